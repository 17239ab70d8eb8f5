"""The local store as a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrace.config import Config

from . import Record

if TYPE_CHECKING:
    from autotrace.store.writer import Writer


def make(config: Config) -> StoreDestination:
    """The store in the home folder as a destination."""
    return StoreDestination(config.home / "traces.db")


class StoreDestination:
    """Writes records into the store; SQLite is imported and opened with the first of them.

    Args:
        path: The store's file, `traces.db` in the home folder.
    """

    name = "store"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Writer | None = None

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Stores the records in one transaction.

        Raises:
            StoreError: The store cannot be written.
        """
        if self._writer is None:
            from autotrace.store.writer import Writer

            self._writer = Writer(self.path)
        self._writer.write(records, resource)

    def close(self) -> None:
        """Closes the store."""
        if self._writer is not None:
            self._writer.close()
