"""The local store as a destination."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrace.config import Config

from . import Record

if TYPE_CHECKING:
    from autotrace.store.upkeep import Upkeep
    from autotrace.store.writer import Writer

#: Seconds before a store without bounds is tidied for the first time.
QUIET_S = 30.0


def make(config: Config) -> StoreDestination:
    """The store in the home folder as a destination."""
    return StoreDestination(config.home / "traces.db", config.store_age, config.store_size)


class StoreDestination:
    """Writes records into the store; SQLite is imported and opened with the first of them.

    Args:
        path: The store's file, `traces.db` in the home folder.
        age: Seconds after which `tidy` deletes a trace; None: it deletes none for its age.
        size: Bytes that the store may take before `tidy` deletes the oldest traces; None: as many as it likes.
    """

    name = "store"

    def __init__(self, path: Path, age: float | None = None, size: int | None = None) -> None:
        self.path = path
        self._limits = (age, size)
        self._writer: Writer | None = None
        self._upkeep: Upkeep | None = None
        # Where nothing is to be deleted, what a short program would spend on upkeep is better spent by a longer one.
        self._tidy_at = time.monotonic() + (0.0 if age or size else QUIET_S)

    @property
    def rejected(self) -> int:
        """Records that had no place in the store's tables."""
        return self._writer.rejected if self._writer is not None else 0

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Stores the records in one transaction.

        Raises:
            StoreError: The store cannot be written.
        """
        self._open().write(records, resource)

    def count(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Adds the records to the store's hourly figures, and does not keep them: they are left out by sampling.

        Exact however often they come, and if some are delivered too, before or later.

        Raises:
            StoreError: The store cannot be written.
        """
        self._open().count(records, resource)

    def tidy(self) -> None:
        """Deletes what is too old or too much, and indexes what is not yet, for half a second at most.

        Nothing, and at once, when it is not time yet: call it as often as you like, from the thread that delivers.

        Raises:
            StoreError: The store cannot be written.
        """
        if time.monotonic() < self._tidy_at:
            return
        if self._upkeep is None:
            from autotrace.store.upkeep import Upkeep

            self._upkeep = Upkeep(self._open(), *self._limits)
        self._upkeep.tidy()

    def close(self) -> None:
        """Closes the store."""
        if self._writer is not None:
            self._writer.close()

    def _open(self) -> Writer:
        if self._writer is None:
            from autotrace.store.writer import Writer

            self._writer = Writer(self.path)
        return self._writer
