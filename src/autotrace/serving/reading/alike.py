"""Pieces of a stream that differ from an earlier one in their words alone: taken without parsing them one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

#: How often a run of such pieces is looked for in vain: in some streams others stand between them.
TRIES = 8


class Alike(NamedTuple):
    """What the pieces look like.

    Attributes:
        name: What the event is called.
        before: All that stands before the words, with the quotation mark.
        after: All that stands behind them, likewise.
        say: Takes the words, of one piece or of several in order.
        lead: What stands before such a piece in a body, such as `data: `; None where that is not known.
        end: What ends one there.
    """

    name: bytes
    before: bytes
    after: bytes
    say: Callable[..., None]
    lead: bytes | None
    end: bytes

    def takes(self, name: bytes, data: bytes) -> bool:
        """Adds the words of a piece; False where it is another one."""
        usual, before, after, say, _, _ = self
        if name != usual or not data.startswith(before) or not data.endswith(after):
            return False
        words = data[len(before) : -len(after)]
        if b'"' in words or b"\\" in words or len(data) < len(before) + len(after):
            return False
        say(words.decode("utf-8", "replace"))
        return True

    def run(self, data: bytes, at: int) -> int | None:
        """Adds the words of all such pieces from `at` to the last one in `data`.

        Returns:
            Where they end; `at` where none begins there; None where something else stands between them.
        """
        if self.lead is None:
            return at
        begin, finish = self.lead + self.before, self.after + self.end
        if not data.startswith(begin, at):
            return at
        last = data.find(finish, data.rfind(begin) + len(begin))
        if last < 0:  # it is cut off
            return None
        found = _texts(data[at + len(begin) : last].split(finish + begin))
        if found is None:
            return None
        self.say(*found)
        return last + len(finish)


def _texts(quoted: list[bytes]) -> list[str] | None:
    """The texts that stand between quotation marks in JSON; None where one is no such thing."""
    if any(b"\n" in one for one in quoted):
        return None
    try:
        found: list[Any] = orjson.loads(b'["%s"]' % b'","'.join(quoted))
    except ValueError:
        return None
    return found if len(found) == len(quoted) else None
