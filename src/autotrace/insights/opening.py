"""Opens `insights.db` for questions, brought up to date before."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from autotrace.errors import StoreError

from . import trouble
from .follower import Follower, Progress
from .source import Source
from .view import Insights

NAME = "insights.db"
#: Seconds between two looks at what another process does that keeps it up.
_PAUSE_S = 0.05


def place(home: Path) -> Path:
    """Where `insights.db` is: beside the store, or, where nothing can be written, in a folder of the user's."""
    if os.access(home, os.W_OK):
        return home / NAME
    folder = Path(tempfile.gettempdir()) / f"autotrace-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or not folder.is_dir() or folder.is_symlink():
        raise StoreError(
            f"{folder} is not a folder of yours alone, and {home} cannot be written: set TMPDIR to one that is"
        )
    stat = home.stat()
    return folder / f"{stat.st_dev}-{stat.st_ino}-{NAME}"


@contextmanager
def lock(path: Path, *, waits: bool = False) -> Iterator[bool]:
    """Whether this process may keep `insights.db` up: one at a time may. Where a file system has no locks, it may.

    Args:
        path: `insights.db`.
        waits: Whether to wait until it may.
    """
    file = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _locked(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    finally:
        os.close(file)


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
    return True


@contextmanager
def opened(home: Path, told: Callable[[Progress], None] | None = None) -> Iterator[Insights]:
    """Questions to a home's traces; what is new in the store is taken in before.

    Args:
        home: The folder with the store; it must be there.
        told: Is called now and then while much is taken in.

    Raises:
        StoreError: The store cannot be read, or nothing can be written anywhere.
    """
    try:
        path = place(home)
        catch_up(home / "traces.db", path, told)
        insights = Insights(path, home / "traces.db")
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"what is worked out of the traces in {home} cannot be kept: {error}") from error
    with insights:
        insights.notes += trouble.sentences({**trouble.told(insights.meta), "problem": None})
        yield insights


def catch_up(store: Path, path: Path, told: Callable[[Progress], None] | None = None) -> None:
    """Takes in all that is in the store when it is called, or waits for the process that does.

    What is written meanwhile is not waited for: programs may write without a pause.
    """
    with Source(store) as source:
        target = source.highest()
    while True:
        with lock(path) as is_ours:
            if is_ours:
                _follow(store, path, target, told)
                return
        # Somebody else does; what it has taken in is seen when it has let go, or is through.
        if path.exists() and _is_there(store, path, target, told):
            return
        time.sleep(_PAUSE_S)


def _follow(store: Path, path: Path, target: int, told: Callable[[Progress], None] | None) -> None:
    follower = Follower(store, path)
    try:
        while follower.step() and not follower.has(target):
            if told is not None:
                told(follower.progress())
    finally:
        follower.close()


def _is_there(store: Path, path: Path, target: int, told: Callable[[Progress], None] | None) -> bool:
    try:
        with Insights(path, store) as insights:
            progress = insights.progress()
            high = int(insights.meta("high") or 0)
            is_there = insights.meta("high") is not None and not insights.meta("low") and high >= target
    except sqlite3.Error:
        return False  # it is being made
    if told is not None and progress.left:
        told(progress)
    return is_there
