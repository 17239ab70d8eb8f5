"""A message that comes in pieces."""

from __future__ import annotations

from typing import Any

from ...read import field, items, text
from ...recording.encoding import to_json
from ...recording.messages import Message, Part, Piece, ToolCall

#: Characters of one streamed answer that are kept, its calls of tools among them.
LONGEST = 100_000
#: Calls of one turn, and turns of one answer.
MOST = 500


class Room:
    """What may still be kept of an answer.

    Attributes:
        left: In characters.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = LONGEST

    def put(self, pieces: list[str], piece: str) -> None:
        """Adds a piece, or as much of it as there is room for."""
        left = self.left
        if left > 0:
            size = len(piece)
            pieces.append(piece if size <= left else piece[:left] + "…")
            self.left = left - size

    def take(self, value: Any) -> Any:
        """A value, where there is room for its JSON; None where there is none."""
        size = len(to_json(value))
        if size > self.left:
            return None
        self.left -= size
        return value


class Turn:
    """One message, as far as it has come.

    Attributes:
        role: Who speaks.
        words: What was said, in pieces.
        finish_reason: Why it ended.
        name: Of the participant, where it was given.
        call_id: Of a tool's result: the call that it answers.
    """

    __slots__ = (
        "_answer",
        "_calls",
        "_refusals",
        "_room",
        "_thoughts",
        "call_id",
        "finish_reason",
        "name",
        "role",
        "words",
    )

    def __init__(self, room: Room, role: str = "assistant") -> None:
        self.role = role
        self.words: list[str] = []
        self.finish_reason: str | None = None
        self.name: str | None = None
        self.call_id: str | None = None
        self._room = room
        self._thoughts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[Any, _Call] = {}
        self._answer: Any = None

    def say(self, *words: str) -> None:
        """Adds words."""
        self._room.put(self.words, "".join(words))

    def think(self, thought: str) -> None:
        """Adds to what the model thought."""
        self._room.put(self._thoughts, thought)

    def add(self, delta: Any) -> None:
        """Adds what a piece says beside its words, in OpenAI's or LangChain's shape."""
        thought = text(delta, "reasoning_content") or text(delta, "reasoning")
        if thought:
            self.think(thought)
        refusal = text(delta, "refusal")
        if refusal:
            self._room.put(self._refusals, refusal)
        for index, call in enumerate(items(delta, "tool_calls")):
            place = field(call, "index")
            self.call(place if type(place) is int else text(call, "id") or index, call)
        function = field(delta, "function_call")
        if function is not None:
            self.call(0, function)

    def call(self, place: Any, piece: Any) -> None:
        """Adds a piece of a call of a tool, which goes by its place among them."""
        known = self._calls.get(place)
        if known is None:
            if len(self._calls) >= MOST:
                return
            known = self._calls[place] = _Call()
        known.add(piece, self._room)

    def put(self, piece: Piece) -> None:
        """Adds a part of a message."""
        if isinstance(piece, ToolCall):
            self.call(piece.id or len(self._calls), {"name": piece.name, "args": piece.arguments, "id": piece.id})
        elif piece.type == "tool_call_response":
            self.call_id = self.call_id or piece.id
            self.answer(piece.content)
        elif type(piece.content) is str:
            if piece.type == "text":
                self.say(piece.content)
            elif piece.type == "reasoning":
                self.think(piece.content)
            elif piece.type == "refusal":
                self._room.put(self._refusals, piece.content)

    def answer(self, result: Any) -> None:
        """Adds what a tool answered."""
        if type(result) is str:
            self.say(result)
        else:
            self._answer = self._room.take(result)

    def message(self) -> Message | None:
        """The message; None where nothing has been said."""
        words = "".join(self.words)
        if self.role == "tool":
            result = words if self._answer is None else self._answer
            return Message("tool", (Part.tool_result(result, self.call_id),), self.name)
        found: list[Piece] = []
        if self._thoughts:
            found.append(Part.reasoning("".join(self._thoughts)))
        if words:
            found.append(Part.text(words))
        if self._refusals:
            found.append(Part.refusal("".join(self._refusals)))
        found += [call.made() for call in self._calls.values()]
        return Message(self.role, tuple(found), self.name, self.finish_reason) if found else None


class _Call:
    """A call of a tool, as far as it has come."""

    __slots__ = ("arguments", "id", "name", "pieces")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name = ""
        self.pieces: list[str] = []
        self.arguments: Any = None

    def add(self, piece: Any, room: Room) -> None:
        function = field(piece, "function")
        function = function if type(function) is dict else piece
        self.id = text(piece, "id") or self.id
        self.name = self.name or text(function, "name") or ""
        for name in ("arguments", "args", "partial_json"):
            given = field(function, name)
            if type(given) is str:
                room.put(self.pieces, given)
            elif type(given) is dict:
                self.arguments = room.take(given)

    def made(self) -> ToolCall:
        return ToolCall(self.name, "".join(self.pieces) if self.pieces else self.arguments, self.id)
