"""What a store needs from time to time, done a little at a time beside its writing."""

from __future__ import annotations

import sqlite3
import time

from .filling import fill
from .retention import Limits, Pruning
from .writer import Writer

#: Seconds between two looks at a store that needs nothing, and while something is left to be done.
IDLE_S, BUSY_S = 600.0, 5.0
#: Seconds that one call may take.
CALL_S = 0.5


class Upkeep:
    """Keeps a store within its limits, and indexes what is not indexed yet.

    Args:
        writer: The store's.
        age: Seconds after which a trace goes; None: none goes for its age.
        size: Bytes that the store may take; None: as many as it likes.
    """

    def __init__(self, writer: Writer, age: float | None = None, size: int | None = None) -> None:
        self._writer = writer
        self._age = age
        self._size = size
        self._due = 0.0

    def tidy(self) -> None:
        """Does for `CALL_S` at most what is to be done, if it is time again; else nothing.

        Raises:
            StoreError: The store cannot be written.
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + IDLE_S
        if not self._writer.path.exists():
            return
        if self._writer.work(lambda connection: self._work(connection, now + CALL_S)):
            self._due = time.monotonic() + BUSY_S

    def _work(self, connection: sqlite3.Connection, deadline: float) -> bool:
        """Whether something is left."""
        before_ns = None if self._age is None else time.time_ns() - round(self._age * 1e9)
        pruned = Pruning(connection, self._writer.path).prune(Limits(before_ns, self._size), deadline)
        if time.monotonic() >= deadline:
            return True
        return fill(connection, self._writer.index(connection), deadline) or not pruned.is_done
