"""From the pieces of a streamed answer to the answer: JSON or plain text, in whichever dialect each one is."""

from __future__ import annotations

import functools
import re
from typing import Any

import orjson

from ..read import field, text
from ..recording.messages import Part
from . import dialects
from .answers import Answered
from .assembly import Assembly
from .conversation import messages, role_of
from .fields import Fields, first_at
from .lenient_json import begun
from .parts import parts

#: What an event is called that brings no part of the answer.
_SILENT = re.compile(
    r"tool|function|reason|think|thought|status|progress|usage|meta|ping|heartbeat|keep.?alive|step|sourc|citation"
    r"|debug|trace|start|begin|state|checkpoint|^data-|^on_|(?:^|[._-])logs?(?:$|[._-])"
)
#: Where the next words stand in JSON of no known dialect, in the order in which they count.
_PLACES = (
    *("delta", "token", "content", "text", "chunk", "answer", "output", "response", "message", "data", "result"),
    *("reply", "completion", "parts", "candidates", "output_text", "generated_text"),
)
_DEPTH = 6
#: Fields by which a piece may be something else than the one before.
_MAY_MATTER = frozenset({"error", "ops", "messages", "id", "role"})


class Fold:
    """Adds up a streamed answer.

    Args:
        fields: Where the user's settings say that the answer stands in each piece.
    """

    __slots__ = ("_assembly", "_output", "_usual")

    def __init__(self, fields: Fields) -> None:
        self._output = fields.output
        self._assembly = Assembly()
        #: Names of the fields of the last piece of no known dialect, its kind, and which field had its words: most
        #: pieces are like the one before.
        self._usual: tuple[list[str], Any, str] | None = None

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more words."""
        return self._assembly.is_full

    def answered(self) -> Answered:
        """The answer as far as it has come."""
        return self._assembly.answered()

    def add(self, name: bytes, data: bytes) -> None:
        """Adds a piece.

        Args:
            name: What the event is called; empty where it has no name.
            data: JSON, or text.
        """
        if data[:1] in _JSON:
            if data == b"[DONE]":
                return
            try:
                value = orjson.loads(data)
            except ValueError:
                value = begun(data.decode("utf-8", "replace"))  # the last one may be cut off
            if value:
                self._value(name, value, len(data))
                return
        self._plain(name, data)

    def _plain(self, name: bytes, data: bytes) -> None:
        if name == b"error":
            self._assembly.fail(data.decode("utf-8", "replace"))
        elif not name or not _is_silent(name.decode("latin-1")):
            self._assembly.words.add(data.decode("utf-8", "replace"))

    def _value(self, name: bytes, value: Any, size: int) -> None:
        if type(value) is dict:
            self._object(name, value, size)
        elif type(value) is str:
            if not name or not _is_silent(name.decode("latin-1")):
                self._assembly.words.add(value)
        elif role_of(value[0]) is not None and len(value) == 2 and role_of(value[1]) is None:
            dialects.chat_message(self._assembly, value[0])  # LangGraph's pair: a message, what is known of it
        elif messages(value) is not None:
            self._assembly.final = {"messages": value}

    def _object(self, name: bytes, value: dict[str, Any], size: int) -> None:
        choices = value.get("choices")
        if type(choices) is list:
            dialects.choices(self._assembly, choices)
            return
        kind = value.get("type") or value.get("event")
        if self._is_usual(kind, value):
            return
        if type(kind) is not str:
            self._untyped(name.decode("latin-1"), value, size)
        elif kind[:9] == "response.":
            dialects.response_event(self._assembly, kind[9:], value, size)
        elif kind in dialects.TYPED:
            dialects.TYPED[kind](self._assembly, value)
        else:
            self._untyped(kind, value, size)

    def _is_usual(self, kind: Any, value: dict[str, Any]) -> bool:
        """Adds a piece that is like the one before but for its words; False where it is not."""
        usual = self._usual
        if usual is None or usual[1] != kind or usual[0] != list(value):
            return False
        words = value[usual[2]]
        if type(words) is not str:
            return False
        self._assembly.words.add(words)
        return True

    def _untyped(self, kind: str, value: dict[str, Any], size: int) -> None:
        """An object whose kind is not known, or says nothing."""
        assembly = self._assembly
        given = first_at(value, self._output)
        if type(given) is str:
            assembly.words.add(given)
        elif value.get("error") or kind == "error":
            assembly.fail(value.get("error") or value)
        elif role_of(value) is not None:
            dialects.chat_message(assembly, value)
        elif type(value.get("ops")) is list:
            dialects.log_patch(assembly, value["ops"])
        elif not _is_silent(kind):
            self._of_no_dialect(kind, value, size)

    def _of_no_dialect(self, kind: str, value: dict[str, Any], size: int) -> None:
        assembly = self._assembly
        delta, data, said = value.get("delta"), value.get("data"), value.get("message")
        if type(delta) is dict and (role_of(delta) is not None or delta.get("id") is not None):
            dialects.chat_message(assembly, delta, value.get("finish_reason"))
        elif type(data) is dict and (text(data, "type") or "")[:9] == "response.":
            self._object(b"", data, size)  # wrapped, as the Agents SDK does
        elif role_of(said) is not None:
            dialects.chat_message(assembly, said)
        elif messages(value.get("messages")) is not None:
            assembly.final = value
        elif not dialects.graph_update(assembly, value):
            assembly.words.add(_words(value, 0))
            place = next((name for name in _PLACES if type(value.get(name)) is str and value[name]), None)
            if place is not None and len(value) <= 10 and not _MAY_MATTER.intersection(value):
                self._usual = (list(value), value.get("type") or value.get("event"), place)


_JSON = frozenset({b"{", b"[", b'"'})


@functools.lru_cache(maxsize=256)
def _is_silent(kind: str) -> bool:
    return _SILENT.search(kind[:100].lower()) is not None


def _words(value: Any, depth: int) -> str:
    """The words in a piece of no known dialect."""
    if type(value) is str:
        return value
    if depth > _DEPTH:
        return ""
    if type(value) is dict:
        return next((words for name in _PLACES if (words := _words(value.get(name), depth + 1))), "")
    if type(value) is list and value:
        if field(value[0], "content") is not None:  # Gemini's candidates
            return _words(value[0], depth + 1)
        said = [piece.content for piece in parts(value) if isinstance(piece, Part) and piece.type == "text"]
        return "".join(words for words in said if type(words) is str)
    return ""
