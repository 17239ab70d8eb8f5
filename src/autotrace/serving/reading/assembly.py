"""A streamed answer, as far as it has come: turns, whole items, loose words, and what ended it. In bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...recording.messages import Message, Part
from .answers import Answered, answer
from .conversation import message, messages
from .fields import Fields
from .problems import problem
from .turns import MOST, Room, Turn
from .words import Words

#: What takes the next words of a piece like this one, and the words of this one: where it brought nothing else.
Heard = tuple[Callable[..., None], str]
#: Bytes of whole items that are kept beside the text.
MOST_BYTES = 1_000_000


class Assembly:
    """What the pieces of an answer add up to.

    Attributes:
        words: What was said in pieces of no known kind.
        final: An object that has the whole answer once more, of which the last one counts.
        result: One that may have it: it counts where nothing else came.
    """

    __slots__ = ("_error", "_failed_at", "_left", "_room", "_said", "final", "result", "words")

    def __init__(self) -> None:
        self._room = Room()
        self.words = Words(self._room)
        self.final: Any = None
        self.result: Any = None
        #: Turns and items by what they go by, in order.
        self._said: dict[Any, Turn | dict[str, Any]] = {}
        self._left = MOST_BYTES
        self._error: str | None = None
        self._failed_at = 0

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more words."""
        return self._room.left <= 0

    def turn(self, key: Any, role: str = "assistant") -> Turn:
        """The turn that goes by `key`: begun, where there is none."""
        known = self._said.get(key)
        if type(known) is Turn:
            return known
        turn = Turn(self._room, role)
        if len(self._said) < MOST:
            self._said[key] = turn
        return turn

    def item(self, key: Any, item: dict[str, Any], size: int) -> None:
        """A whole item of the responses API, in place of what goes by its key.

        Args:
            key: What it goes by.
            item: The item.
            size: Its bytes, about.
        """
        self._left -= size
        if self._left > 0 and (key in self._said or len(self._said) < MOST):
            self._said[key] = item

    def whole(self, key: Any, value: Any) -> None:
        """A whole message, in place of what came of it so far."""
        made, known = message(value), self._said.get(key)
        if made is None or (known is None and len(self._said) >= MOST):
            return
        if isinstance(known, Turn):
            self._room.left += sum(map(len, known.words))
        turn = self._said[key] = Turn(self._room, made.role)
        turn.name = made.name
        for piece in made.parts:
            turn.put(piece)

    def fail(self, value: Any) -> None:
        """What went wrong, in any JSON or text. Where words follow, it was no failure."""
        self._error = problem(value) or "error"
        self._failed_at = self._room.left

    def answered(self) -> Answered:
        """The answer as far as it has come."""
        whole = self.final
        if whole is None and not self._said and not self.words:
            whole = self.result
        found = answer(whole, Fields()) if whole is not None else Answered()
        error = (self._error if self._failed_at == self._room.left else None) or found.error
        said = found.messages or self._messages()
        words = self.words.text()
        if not said:
            return Answered(words or found.output, None, error)
        if words and all(one.role != "assistant" or _is_mute(one) for one in said):
            said = [*said, Message.assistant(words)]
        return Answered(None, said, error)

    def _messages(self) -> list[Message]:
        found: list[Message] = []
        items: list[Any] = []  # one after another: several may be one turn
        for said in (*self._said.values(), None):
            if type(said) is dict:
                items.append(said)
                continue
            found += messages(items) or []
            items = []
            made = said.message() if isinstance(said, Turn) else None
            if made is not None:
                found.append(made)
        return found


def _is_mute(message: Message) -> bool:
    return not any(isinstance(piece, Part) and piece.type == "text" for piece in message.parts)
