"""A text that comes in pieces of no known kind: the next words each, or all words again with a few more."""

from __future__ import annotations

from .turns import Room

#: So many pieces that each are the one before and something more, and the last one so long, are no accident.
_GROWTHS, _LONG = 3, 20


class Words:
    """The text, as far as it has come."""

    __slots__ = ("_grows", "_growths", "_last", "_pieces", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._pieces: list[str] = []
        self._growths = 0
        self._last = ""
        self._grows = True

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, *pieces: str) -> None:
        """Adds pieces."""
        if self._grows:
            for piece in pieces:
                self._watch(piece)
                self._room.put(self._pieces, piece)
            return
        if len(pieces) > 1:  # the last one may say all of it once more
            self._room.put(self._pieces, "".join(pieces[:-1]))
        self._room.put(self._pieces, pieces[-1])

    def _watch(self, piece: str) -> None:
        """Sees whether the pieces so far are in this one: then they have gone."""
        last, self._last = self._last, piece
        self._grows = piece.startswith(last)
        self._growths += len(piece) > len(last)
        if self._grows and self._growths > _GROWTHS and len(piece) >= _LONG:
            self._room.left += sum(map(len, self._pieces))
            self._pieces.clear()

    def text(self) -> str:
        """The text: without what says all of it once more, as a last piece may do."""
        before, last = self._pieces[:-1], self._pieces[-1:]
        said = "".join(before)
        return said if len(before) > 1 and [said] == last else said + "".join(last)
