"""From the pieces of a streamed answer to the answer: JSON or plain text, in whichever dialect each one is."""

from __future__ import annotations

import functools
import re
from typing import Any

from ...read import field, text
from ...recording.messages import Part
from .alike import TRIES, Alike
from .answers import Answered
from .assembly import Assembly, Heard
from .conversation import messages, role_of
from .dialects.known import TYPED
from .dialects.langchain import graph_update, log_patch
from .dialects.messages import chat_message
from .dialects.openai import choices, response_event
from .fields import Fields, first_at
from .lenient_json import begun, loads
from .parts import parts

#: What an event is called that brings no part of the answer.
_SILENT = re.compile(
    r"tool|function|reason|think|thought|status|progress|usage|meta|ping|heartbeat|keep.?alive|step|sourc|citation"
    r"|debug|trace|start|begin|state|checkpoint|^data-|^on_|(?:^|[._-])logs?(?:$|[._-])"
)
#: Where the next words stand in JSON of no known dialect, in the order in which they count.
_PLACES = (
    *("delta", "token", "content", "text", "chunk", "answer", "output", "response", "message", "data", "result"),
    *("reply", "completion", "parts", "candidates", "output_text", "generated_text", "artifact", "artifactUpdate"),
)
_DEPTH = 6


class Fold:
    """Adds up a streamed answer.

    Args:
        fields: Where the user's settings say that the answer stands in each piece.
    """

    __slots__ = ("_alike", "_assembly", "_is_json", "_learns", "_output", "_runs")

    def __init__(self, fields: Fields) -> None:
        self._output = fields.output
        self._assembly = Assembly()
        self._alike: Alike | None = None
        #: How often a piece is still remembered: of some streams no two are alike.
        self._learns = TRIES
        self._runs = TRIES
        #: Whether pieces have been JSON so far; None: there were none.
        self._is_json: bool | None = None

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more words."""
        return self._assembly.is_full

    def answered(self) -> Answered:
        """The answer as far as it has come."""
        return self._assembly.answered()

    def add(self, name: bytes, data: bytes, is_cut: bool = False, lead: bytes | None = None, end: bytes = b"") -> None:
        """Adds a piece.

        Args:
            name: What the event is called; empty where it has no name.
            data: JSON, or text.
            is_cut: Whether it may be cut off.
            lead: What stands before it in the body, where that is known.
            end: What ends it there.
        """
        alike = self._alike
        if alike is not None and alike.takes(name, data):
            return
        value = _value(data, is_cut) if data[:1] in _JSON else None
        if value is None or (self._is_json is False and type(value) is not dict):
            self._plain(name, data)
            return
        self._is_json = True
        heard = self._add(name, value, len(data))
        if heard is not None and self._learns:
            self._learns -= 1
            say, words = heard
            before, mark, after = data.partition(b'"%s"' % words.encode("utf-8", "replace"))
            if mark and len(words) > 1 and mark not in after and b"\\" not in mark:
                self._alike = Alike(name, before + b'"', b'"' + after, say, lead, end)

    def run(self, data: bytes, at: int) -> int:
        """Adds all pieces of a body from `at` on that are like one before; answers where they end."""
        if self._alike is None or not self._runs:
            return at
        end = self._alike.run(data, at)
        if end is None:
            self._runs -= 1
            return at
        return end

    def _plain(self, name: bytes, data: bytes) -> None:
        """A piece that is no JSON: words, unless the others were JSON and this one is a broken one."""
        if data == b"[DONE]" or (self._is_json and data[:1] in _JSON):
            return
        if name == b"error":
            self._assembly.fail(data.decode("utf-8", "replace"))
        elif not name or not _is_silent(name.decode("latin-1")):
            self._is_json = self._is_json or False
            self._assembly.words.add(data.decode("utf-8", "replace"))

    def _add(self, name: bytes, value: Any, size: int) -> Heard | None:
        if type(value) is dict:
            return self._object(name, value, size)
        if type(value) is str:
            if not name or not _is_silent(name.decode("latin-1")):
                self._assembly.words.add(value)
        elif type(value) is list and value:
            return self._list(value, size)
        return None

    def _list(self, value: list[Any], size: int) -> Heard | None:
        """LangGraph's pairs: a message and what is known of it; a mode and its piece. Or a whole conversation."""
        if len(value) == 2 and role_of(value[0]) is not None and role_of(value[1]) is None:
            return chat_message(self._assembly, value[0])
        if len(value) == 2 and type(value[0]) is str and type(value[1]) in (dict, list):
            return self._add(value[0].encode("utf-8", "replace"), value[1], size)
        if messages(value) is not None:
            self._assembly.final = {"messages": value}
        return None

    def _object(self, name: bytes, value: dict[str, Any], size: int) -> Heard | None:
        if type(value.get("choices")) is list:
            return choices(self._assembly, value["choices"])
        kind = value.get("type") or value.get("event")
        if type(kind) is not str:
            return self._untyped(name.decode("latin-1"), value, size)
        if kind[:9] == "response.":
            return response_event(self._assembly, kind[9:], value, size)
        known = TYPED.get(kind)
        return self._untyped(kind, value, size) if known is None else known(self._assembly, value)

    def _untyped(self, kind: str, value: dict[str, Any], size: int) -> Heard | None:
        """An object whose kind is not known, or says nothing."""
        assembly = self._assembly
        given = first_at(value, self._output)
        if type(given) is str:
            return self._say(given)
        if value.get("error") or kind == "error":
            assembly.fail(value.get("error") or value)
        elif role_of(value) is not None:
            return chat_message(assembly, value)
        elif type(value.get("ops")) is list:
            log_patch(assembly, value["ops"])
        elif not _is_silent(kind):
            return self._of_no_dialect(value, size)
        return None

    def _of_no_dialect(self, value: dict[str, Any], size: int) -> Heard | None:
        delta, data, said = value.get("delta"), value.get("data"), value.get("message")
        if type(delta) is dict and (role_of(delta) is not None or delta.get("id") is not None):
            return chat_message(self._assembly, delta, value.get("finish_reason"))
        if type(data) is dict and (text(data, "type") or "")[:9] == "response.":
            return self._object(b"", data, size)  # wrapped, as the Agents SDK does
        if role_of(said) is not None:
            return chat_message(self._assembly, said)
        if messages(value.get("messages")) is not None:
            self._assembly.final = value
            return None
        return None if graph_update(self._assembly, value) else self._say(_words(value, 0))

    def _say(self, words: str) -> Heard:
        self._assembly.words.add(words)
        return self._assembly.words.add, words


_JSON = frozenset({b"{", b"[", b'"'})


def _value(data: bytes, is_cut: bool) -> Any:
    """The JSON value of a piece, as far as it came; None where it is none."""
    value = loads(data)
    return begun(data.decode("utf-8", "replace")) if value is None and is_cut else value


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
