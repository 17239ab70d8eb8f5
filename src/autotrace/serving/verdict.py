"""What a visitor says of an answer: JSON, checked to the letter before anything is done with it.

docs/feedback.openapi.json publishes what is taken. What is refused is refused in words that are known beforehand:
nothing of what was sent is ever in them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

#: Characters of a name and of a user, of a text value and of a comment, of a request's id.
NAME_LIMIT, TEXT_LIMIT, REQUEST_ID_LIMIT = 250, 10_000, 1000
#: Entries of the metadata, characters of a key and of a value.
METADATA_LIMIT, KEY_LIMIT, ITEM_LIMIT = 20, 64, 1000
#: What a number must lie below.
NUMBER_LIMIT = 2**63

_TRACE, _SPAN = re.compile("(?:tr-)?[0-9a-fA-F]{32}"), re.compile("[0-9a-fA-F]{16}")
#: No dot: a key of the metadata cannot stand in another's namespace, such as `mlflow.`.
_KEY = re.compile(f"[A-Za-z0-9_-]{{1,{KEY_LIMIT}}}")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
#: In what may have several lines these are none.
_CONTROLS_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Refused(Exception):
    """What was sent cannot be taken.

    Args:
        status: Of the HTTP answer.
        message: What is wrong, in words of ours.
        headers: More for the answer.
    """

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Verdict:
    """A value that says how good an answer was, and which one: by its trace, or by the request that it answers."""

    value: bool | int | float | str
    trace_id: str | None
    request_id: str | None
    span_id: str | None
    name: str
    comment: str | None
    user: str | None
    metadata: Mapping[str, Any]


def read(body: bytes) -> Verdict:
    """The verdict that a request's body holds.

    Raises:
        Refused: It holds none: 400 where it is no JSON object, 422 where that does not fit.
    """
    given = _object(body)
    for key, value in given.items():
        field = _FIELDS.get(key)
        if field is None:
            raise Refused(422, f"there are {', '.join(_FIELDS)}, and nothing else")
        if not field.fits(value):
            raise Refused(422, f"{key} must be {field.wanted}")
    if "value" not in given:
        raise Refused(422, "value is missing")
    if ("trace_id" in given) == ("request_id" in given):
        raise Refused(422, "give either trace_id or request_id")
    span_id = given.get("span_id")
    return Verdict(
        value=given["value"],
        trace_id=given.get("trace_id"),
        request_id=given.get("request_id"),
        span_id=None if span_id is None else span_id.lower(),
        name=given.get("name", "feedback"),
        comment=_said(given.get("comment")),
        user=_said(given.get("user")),
        metadata=given.get("metadata") or {},
    )


def _object(body: bytes) -> dict[str, Any]:
    """The object that the bytes are the JSON of.

    The first parser knows what is JSON (no NaN, no half surrogates, nothing nested deeper than 1024) and never runs
    out of the stack; the second one, after it, sees keys that are there twice.
    """
    try:
        found = orjson.loads(body)
        json.loads(body, object_pairs_hook=_once, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        raise Refused(400, "the body must be JSON in UTF-8, and no object may have a key twice") from None
    if type(found) is not dict:
        raise Refused(400, "the body must be an object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")


def _said(text: str | None) -> str | None:
    """None for a text that says nothing: an empty field of a form."""
    return text if text is not None and text.strip() else None


class _Field(NamedTuple):
    fits: Callable[[Any], bool]
    wanted: str


def _is_value(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= TEXT_LIMIT and not _CONTROLS_IN_TEXT.search(value)
    return _is_number(value)


def _is_number(value: Any) -> bool:
    """Whether it is a number that every destination can hold; true and false are 1 and 0."""
    return isinstance(value, int | float) and abs(value) < NUMBER_LIMIT


def _is_trace_id(value: Any) -> bool:
    return isinstance(value, str) and _TRACE.fullmatch(value) is not None and not value.endswith("0" * 32)


def _is_span_id(value: Any) -> bool:
    return value is None or (isinstance(value, str) and _SPAN.fullmatch(value) is not None and value != "0" * 16)


def _is_name(value: Any) -> bool:
    return _is_line(value, NAME_LIMIT) and bool(value.strip())


def _is_metadata(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and len(value) <= METADATA_LIMIT
        and all(_KEY.fullmatch(key) and (_is_number(item) or _is_text(item, ITEM_LIMIT)) for key, item in value.items())
    )


def _is_line(value: Any, limit: int) -> bool:
    return isinstance(value, str) and len(value) <= limit and not _CONTROLS.search(value)


def _is_text(value: Any, limit: int) -> bool:
    return isinstance(value, str) and len(value) <= limit and not _CONTROLS_IN_TEXT.search(value)


_FIELDS: Mapping[str, _Field] = {
    "trace_id": _Field(_is_trace_id, "32 hexadecimal digits, not all of them 0, perhaps after tr-"),
    "request_id": _Field(
        lambda value: _is_line(value, REQUEST_ID_LIMIT) and value != "",
        f"a text of 1 to {REQUEST_ID_LIMIT} characters without control characters",
    ),
    "value": _Field(
        _is_value,
        f"true, false, a number below 2**63, or a text of 1 to {TEXT_LIMIT} characters without control characters",
    ),
    "comment": _Field(
        lambda value: value is None or _is_text(value, TEXT_LIMIT),
        f"a text of at most {TEXT_LIMIT} characters without control characters, or null",
    ),
    "name": _Field(_is_name, f"a text of 1 to {NAME_LIMIT} characters without control characters"),
    "user": _Field(
        lambda value: value is None or _is_line(value, NAME_LIMIT),
        f"a text of at most {NAME_LIMIT} characters without control characters, or null",
    ),
    "span_id": _Field(_is_span_id, "16 hexadecimal digits, not all of them 0, or null"),
    "metadata": _Field(
        _is_metadata,
        f"an object of at most {METADATA_LIMIT} texts of {ITEM_LIMIT} characters, numbers, true and false, whose keys"
        f" are 1 to {KEY_LIMIT} letters, digits, _ and -, or null",
    ),
}
