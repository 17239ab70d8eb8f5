"""Opens the store for a command: with what processes that are gone have left, and with clear errors."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from autotrace import config
from autotrace.errors import AutotraceError
from autotrace.store.reader import Reader

from .terminal import Failure, warn

#: Seconds that the delivery of what is left over may take.
ADOPT_S = 60.0

#: The one next step of who has no traces yet.
NEXT_STEP = 'No traces yet in {home}: add "import autotrace.auto" to a program, or start it with "autotrace run".'


def settings() -> config.Config:
    """The configuration; what could not be used is told on stderr."""
    found = config.load()
    for problem in found.problems:
        warn(problem)
    return found


def find_local() -> None:
    """Lets plugins of the project's own be found: a command does not begin in the program's folder of its path."""
    try:
        folder = str(Path.cwd())
    except OSError:  # it is gone
        return
    if folder not in sys.path:
        sys.path.append(folder)


class _Log(logging.Handler):
    """Shows on stderr what the library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one record."""
        warn(record.getMessage())


_LOG = _Log(logging.WARNING)


@contextmanager
def shown_log() -> Iterator[None]:
    """Shows on stderr what the library logs meanwhile."""
    logging.getLogger("autotrace").addHandler(_LOG)
    try:
        yield
    finally:
        logging.getLogger("autotrace").removeHandler(_LOG)


@contextmanager
def opened_store(found: config.Config | None = None) -> Iterator[tuple[Reader | None, config.Config]]:
    """A reader of the configured store, or None where there is no store yet.

    Args:
        found: The settings; None: they are read, and what could not be used is told.

    Raises:
        Failure: The store cannot be read: damaged, written by a newer autotrace, no permission.
    """
    found = found or settings()
    path = found.home / "traces.db"
    with shown_log():
        try:
            if _exists(path):
                Reader(path).close()  # Nothing may be delivered into a store that is not ours to write.
            adopt_orphans(found)
            if not _exists(path):
                yield None, found
                return
            with Reader(path) as reader:
                yield reader, found
                for note in reader.notes:
                    warn(note)
        except AutotraceError as error:
            raise Failure(error) from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error}") from error


def adopt_orphans(found: config.Config) -> None:
    """Delivers what processes that are gone have left in the journal; a failure is only a warning."""
    folder = found.home / "journal"
    if not folder.is_dir():
        return
    try:
        from autotrace.delivery.pipeline import drainer_of

        drainer = drainer_of(replace(found, destination=("store",)))
        try:
            if not drainer.adopt(timeout_s=ADOPT_S):
                warn("what ended processes have left could not all be delivered; it stays in the journal")
        finally:
            drainer.close()
    except Exception as error:  # noqa: BLE001 (whatever it is, what was delivered before can be read)
        warn(f"traces of processes that ended may be missing: {type(error).__name__}: {error}")
