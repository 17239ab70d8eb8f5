"""How far each destination has taken each segment."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from autotrace.store.home import FILE_MODE


class Cursors:
    """Offsets into one segment, by destination.

    Args:
        segment: The segment's path. What is saved lies beside it.
        start: The offset of the first record.
    """

    def __init__(self, segment: Path, start: int) -> None:
        self.path = segment.with_name(segment.name + ".cursor")
        self._start = start
        self._offsets: dict[str, int] = self._load()

    def __getitem__(self, destination: str) -> int:
        return max(self._offsets.get(destination, 0), self._start)

    def __setitem__(self, destination: str, offset: int) -> None:
        self._offsets[destination] = offset

    def reached(self, destinations: Iterable[str], offset: int) -> bool:
        """Whether all of the destinations have come that far."""
        return all(self[name] >= offset for name in destinations)

    def save(self) -> None:
        """Leaves the offsets for the next process that comes; without them it delivers all again."""
        unnamed = self.path.with_suffix(".unsaved")
        try:
            file = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            try:
                os.fchmod(file, FILE_MODE)
                os.write(file, orjson.dumps({"destinations": self._offsets}))
            finally:
                os.close(file)
            unnamed.replace(self.path)
        except OSError:
            pass

    def delete(self) -> None:
        """Removes what was saved."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            pass

    def _load(self) -> dict[str, int]:
        try:
            saved = orjson.loads(self.path.read_bytes())["destinations"]
            return {name: offset for name, offset in saved.items() if isinstance(offset, int)}
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return {}
