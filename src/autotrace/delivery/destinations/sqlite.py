"""The local store as a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrace.config import Config

from . import Record

if TYPE_CHECKING:
    from autotrace.store.upkeep import Upkeep
    from autotrace.store.writer import Writer


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
        self._opened: tuple[Writer, Upkeep] | None = None

    @property
    def rejected(self) -> int:
        """Records that had no place in the store's tables."""
        return self._opened[0].rejected if self._opened else 0

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Stores the records in one transaction.

        Raises:
            StoreError: The store cannot be written.
        """
        self._open()[0].write(records, resource)

    def count(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Adds the records to the store's hourly figures, and does not keep them: they are left out by sampling.

        Exact however often they come, and if some are delivered too, before or later.

        Raises:
            StoreError: The store cannot be written.
        """
        self._open()[0].count(records, resource)

    def tidy(self) -> None:
        """Deletes what is too old or too much, and indexes what is not yet, for half a second at most.

        Nothing, and at once, when it is not time yet: call it as often as you like, from the thread that delivers.

        Raises:
            StoreError: The store cannot be written.
        """
        self._open()[1].tidy()

    def close(self) -> None:
        """Closes the store."""
        if self._opened is not None:
            self._opened[0].close()

    def _open(self) -> tuple[Writer, Upkeep]:
        if self._opened is None:
            from autotrace.store.upkeep import Upkeep
            from autotrace.store.writer import Writer

            writer = Writer(self.path)
            self._opened = writer, Upkeep(writer, *self._limits)
        return self._opened
