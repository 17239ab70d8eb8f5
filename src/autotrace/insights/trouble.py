"""What keeps `insights.db` from being all that is in the store, told to who reads it by notes of the follower's."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import orjson

from . import ranges

#: Keys of `meta`: why it does not go on, with since when; what was left out, because it cannot be read.
WHY, LEFT_OUT = "trouble", "unreadable"
#: Pieces that are remembered, and characters of a reason.
_MOST, _LONGEST = 10_000, 300
_BUSY_S = 1.0


def tell(path: Path, why: str) -> None:
    """Notes in `insights.db`, where it is there and can be written, why it is not kept up to date."""
    if not path.is_file():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as connection:
        known = connection.execute("SELECT value FROM meta WHERE key = ?", (WHY,)).fetchone()
        since = _read(known[0], [None])[-1] if known is not None else None
        note = orjson.dumps([why[:_LONGEST], since or ranges.iso(time.time_ns())]).decode()
        if known is None or known[0] != note:
            connection.execute("REPLACE INTO meta VALUES (?, ?)", (WHY, note))


def left_out(pieces: Collection[int | str]) -> str:
    """What is noted of pieces that were left out."""
    return orjson.dumps(sorted(pieces, key=str)[-_MOST:]).decode()


def known_left_out(note: Any) -> set[int | str]:
    """The pieces that were noted."""
    return {each for each in _read(note, []) if isinstance(each, int | str)}


def told(meta: Callable[[str], Any]) -> dict[str, Any]:
    """What a reader is told.

    Args:
        meta: Answers a note by its key.

    Returns:
        `problem`, None where all is well, and `skipped`: pieces of the store that were left out.
    """
    found = _read(meta(WHY), [])
    problem = None
    if len(found) == 2:
        problem = f"The store cannot be read on: {found[0]}; what is shown is of {found[1]}."
    return {"problem": problem, "skipped": len(known_left_out(meta(LEFT_OUT)))}


def sentences(found: dict[str, Any]) -> list[str]:
    """The same, for people."""
    count = found["skipped"]
    pieces = "1 span" if count == 1 else f"{count:,} spans"
    skipped = f"The store is damaged: {pieces} or more cannot be read, and are left out." if count else None
    return [each for each in (found["problem"], skipped) if each]


def _read(note: Any, otherwise: list[Any]) -> list[Any]:
    try:
        found = orjson.loads(note or "[]")
    except (TypeError, ValueError):
        return otherwise
    return found if isinstance(found, list) and found else otherwise
