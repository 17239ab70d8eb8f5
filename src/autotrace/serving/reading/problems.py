"""What an error response, or an error in a stream, says went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fields import folded

#: Characters of an error's text that are kept.
LONGEST = 1000
_DEPTH = 4
_NAMES = (
    "detail",
    "error",
    "message",
    "errormessage",
    "errors",
    "errortext",
    "errordescription",
    "reason",
    "msg",
    "title",
)


def problem(value: Any, depth: int = 0) -> str | None:
    """The words of an error in JSON; None where it has none."""
    if type(value) is str:
        return value.strip()[:LONGEST] or None
    if depth > _DEPTH:
        return None
    if type(value) is list:  # FastAPI's, one for each field that does not fit
        found = [words for one in value[:10] if (words := _of_field(one, depth + 1))]
        return "; ".join(found)[:LONGEST] or None
    if type(value) is not dict:
        return None
    named = folded(value)
    return next((words for name in _NAMES if (words := problem(named.get(name), depth + 1))), None)


def _of_field(value: Any, depth: int) -> str | None:
    words = problem(value, depth)
    place = value.get("loc") if isinstance(value, Mapping) else None
    if words is None or type(place) is not list or not place:
        return words
    return f"{'.'.join(str(part)[:50] for part in place[:10])}: {words}"
