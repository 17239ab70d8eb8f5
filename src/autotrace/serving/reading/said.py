"""What was said in a JSON value: a conversation, a text, or the value itself where it is of no known shape.

Questions and answers are found alike, in places of different names (`questions.PLACES`, `answers.PLACES`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ...recording.encoding import to_json
from ...recording.messages import Message
from .conversation import message, messages
from .fields import folded
from .lenient_json import begun, loads

#: Characters of one text, and of the JSON of one value of no known shape, that are kept.
LONGEST = 100_000
#: Objects within objects that are looked into.
_DEPTH = 8
_ROWS = 1000


class Said(NamedTuple):
    """What was said: one of the two.

    Attributes:
        value: A text or any JSON value.
        messages: A conversation.
    """

    value: Any | None = None
    messages: list[Message] | None = None


class Places(NamedTuple):
    """Where in an object something is said, by folded names (`fields.folded`), in the order in which they count.

    Attributes:
        conversations: Lists of messages.
        texts: Texts, or objects that hold a text.
        wrappers: What holds the same once more, or one of it in a list.
        special: Finds messages that stand in a shape of their own.
        finished: What is made of it, given the object that it stands in.
    """

    conversations: tuple[str, ...]
    texts: tuple[str, ...]
    wrappers: tuple[str, ...]
    special: Callable[[Mapping[str, Any]], list[Message] | None]
    finished: Callable[[Mapping[str, Any], Said], Said]


def said(value: Any, places: Places, depth: int = 0) -> Said | None:
    """What is said in a value, whatever it is; None where it is nothing at all."""
    if type(value) is str:
        return Said(cut(value)) if value.strip() else None
    if type(value) is dict:
        known = said_in(value, places, depth)
        if known is not None:
            return known
    elif type(value) is list:
        found = messages(value)
        if found is not None:
            return places.finished({}, Said(messages=found))
        if len(value) == 1 and depth < _DEPTH:
            return said(value[0], places, depth + 1)
    return Said(bounded(value)) if value not in (None, {}, []) else None


def said_in(value: Any, places: Places, depth: int = 0) -> Said | None:
    """What is said in an object of a known shape; None in any other."""
    if type(value) is not dict or depth > _DEPTH:
        return None
    single = message(value)
    if single is not None:
        return places.finished(folded(value), Said(messages=[single]))
    named = folded(value)
    found = places.special(named) or _conversation(named, places.conversations)
    if found:
        return places.finished(named, Said(messages=found))
    for name in places.texts:
        inner = _words(named.get(name), places, depth + 1)
        if inner is not None:
            return places.finished(named, inner)
    for name in places.wrappers:
        inner = said(unwrapped(named[name]), places, depth + 1) if named.get(name) is not None else None
        if inner is not None:
            return inner
    return None


def _conversation(named: Mapping[str, Any], names: tuple[str, ...]) -> list[Message] | None:
    return next((found for name in names if (found := messages(named.get(name)))), None)


def _words(value: Any, places: Places, depth: int) -> Said | None:
    """What stands where a text is expected."""
    if type(value) is list and len(value) == 1 and type(value[0]) is str:
        value = value[0]
    if type(value) is str:
        return Said(cut(value)) if value.strip() else None
    if type(value) is dict:
        return said_in(value, places, depth)
    found = messages(value)
    return Said(messages=found) if found is not None else None


def unwrapped(value: Any) -> Any:
    """The rows of a table, where a value is one, as MLflow and pandas write it (`columns` and `data`)."""
    if type(value) is not dict or type(value.get("columns")) is not list or type(value.get("data")) is not list:
        return value
    names = [str(name) for name in value["columns"]]
    return [dict(zip(names, row)) for row in value["data"][:_ROWS] if type(row) is list]  # noqa: B905 (as it comes)


def objects(value: Any, wrappers: tuple[str, ...]) -> Iterator[Any]:
    """An object, and those that it wraps."""
    for _ in range(_DEPTH):
        if type(value) is list and value:
            value = value[0]
        if type(value) is not dict:
            return
        yield value
        named = folded(value)
        value = next((unwrapped(named[name]) for name in wrappers if type(named.get(name)) in (dict, list)), None)


def cut(text: str) -> str:
    """A text, or its first `LONGEST` characters."""
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def bounded(value: Any) -> Any:
    """A value, or what the beginning of its JSON says."""
    text = to_json(value)
    return value if len(text) <= LONGEST else begun(text[:LONGEST], "…")


def json_value(body: bytes) -> Any:
    """The JSON value in a body, as far as it came; None where there is none."""
    value = loads(body)
    if value is not None:
        return value
    text = _decoded(body, "utf-8")
    return begun(text[:LONGEST], "…" if len(text) > LONGEST else "")


def plain_text(body: bytes, charset: str) -> str | None:
    """The text in a body, as far as it came; None where it is no text."""
    text = _decoded(body, charset)
    return None if "\0" in text[:1000] or text.count("�") > len(text) // 10 else cut(text)


def _decoded(body: bytes, charset: str) -> str:
    """The text in a body, without the character that it was cut off in; a little more than is kept, at most."""
    return body[: 4 * LONGEST].decode(charset, "replace").rstrip("�")[: LONGEST + 1]


def is_json(body: bytes) -> bool:
    """Whether a text looks like JSON."""
    return body[:100].lstrip()[:1] in _STARTS


_STARTS = (b"{", b"[", b'"')
