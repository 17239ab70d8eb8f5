"""How a traced process fares, in a small file beside its segments: for `autotrace doctor`, which runs elsewhere.

It is written by the drainer's thread after deliveries, at most once a second, and when the process ends; where the disk
takes none, there is none. Everything in such a file may have been written by anybody: what is read is checked and cut.
"""

from __future__ import annotations

import errno
import os
import platform
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from autotrace._version import __version__
from autotrace.recording.guard import guard
from autotrace.store.home import FILE_MODE

from .platform import ENVIRONMENT, PLATFORM

if TYPE_CHECKING:
    from .journal import Journal
    from .shipping import Shipping

FORMAT = 1
SUFFIX = ".health"
#: Seconds between two files of one process.
INTERVAL_S = 1.0
#: What is kept of processes that are gone: so many files, so many seconds.
FILES = 100
KEPT_S = 7 * 24 * 3600.0
#: What is written and read at most: bytes of a file, characters of a text, places that failed.
BYTES, TEXT, PLACES = 256 * 1024, 500, 100


@dataclass(frozen=True)
class DestinationHealth:
    """How one destination fares in one process.

    Attributes:
        name: The destination.
        delivered: Records that it has taken from this process's drainer.
        failures: How often in a row it has refused by now.
        last_delivery: When it last took any, in nanoseconds since 1970; None: never.
        last_error: What it last said when it refused; None: it never has.
        dropped: Records lost to it, for the journal could keep them no longer.
        rejected: Records that it has refused for good.
    """

    name: str
    delivered: int
    failures: int
    last_delivery: int | None
    last_error: str | None
    dropped: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class FailureCount:
    """What failed in our own code or a plugin's at one place: how often, and the last error's type and position."""

    where: str
    count: int
    last: str


@dataclass(frozen=True)
class ProcessHealth:
    """How one process fares.

    Attributes:
        process: Its name in the journal.
        pid: Its process id.
        host: The machine it ran on.
        program: What it ran.
        autotrace: The version of autotrace in it.
        python: The version of Python.
        started: When its drainer started, in nanoseconds since 1970.
        written: When this was written.
        ended: Whether it came to its end by itself.
        dropped: Records that were lost, as neither disk nor memory took them.
        damaged: Lines of the journal that it could not read.
        destinations: Each one that it delivers to.
        failures: What failed, most frequent first.
        offsets: How far each destination has come in each of its segments, in bytes.
        environment: `deployment.environment.name` of its spans; None: not told.
        platform: What it ran on; None: not told.
    """

    process: str
    pid: int
    host: str
    program: str
    autotrace: str
    python: str
    started: int
    written: int
    ended: bool
    dropped: int
    damaged: int
    destinations: tuple[DestinationHealth, ...]
    failures: tuple[FailureCount, ...]
    offsets: Mapping[str, Mapping[str, int]]
    environment: str | None = None
    platform: str | None = None

    @property
    def state(self) -> str:
        """`ended`, `running`, `gone` (it was killed), or `unknown`: it runs or ran on another machine."""
        if self.ended:
            return "ended"
        if self.host != socket.gethostname():
            return "unknown"
        return "running" if is_alive(self.pid) else "gone"


class HealthFile:
    """The files of one process; one of a drainer's parts, used by one thread at a time."""

    def __init__(self) -> None:
        self._started = time.time_ns()
        self._written_at = -INTERVAL_S
        self._last: dict[str, dict[str, Any]] = {}
        self._is_pending = False

    def due_in(self) -> float | None:
        """Seconds until something new should be written; None when nothing is new."""
        return max(0.0, self._written_at + INTERVAL_S - time.monotonic()) if self._is_pending else None

    def note(self, journal: Journal, shipping: Shipping, ended: bool) -> None:
        """Writes how things stand, if they have changed; never raises.

        Args:
            journal: The process's journal. One that has had no record leaves no file.
            shipping: What delivers it.
            ended: The process has come to its end.
        """
        if not journal.has_begun:
            return
        content = self._content(journal, shipping, ended)
        if self._last.get(journal.process) == content:
            return
        if not ended and time.monotonic() < self._written_at + INTERVAL_S:
            self._is_pending = True
            return
        self._is_pending = False
        self._written_at = time.monotonic()
        self._last[journal.process] = content
        _save(journal.folder / (journal.process + SUFFIX), {**content, "written": time.time_ns()})

    def _content(self, journal: Journal, shipping: Shipping, ended: bool) -> dict[str, Any]:
        failures = sorted(guard.failures.copy().values(), key=lambda failure: -failure.count)[:PLACES]
        return {
            "format": FORMAT,
            "process": journal.process,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "program": " ".join(sys.argv[:1])[:TEXT],
            "autotrace": __version__,
            "python": platform.python_version(),
            "started": self._started,
            "ended": ended,
            "dropped": journal.dropped,
            "damaged": shipping.damaged,
            "destinations": [asdict(outlet.health()) for outlet in shipping.outlets],
            "failures": [{"where": one.where[:TEXT], "count": one.count, "last": one.last[:TEXT]} for one in failures],
            "offsets": shipping.offsets(journal.process),
            "environment": str(journal.resource.get(ENVIRONMENT, ""))[:TEXT],
            "platform": str(journal.resource.get(PLATFORM, ""))[:TEXT],
        }


def _save(path: Path, content: dict[str, Any]) -> None:
    unnamed = path.with_suffix(".unsaved")
    try:
        file = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            os.fchmod(file, FILE_MODE)
            data = orjson.dumps(content, default=str)
            if os.write(file, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)
        unnamed.replace(path)
    except (OSError, TypeError, ValueError):  # the disk takes none, or a name that no JSON can hold
        with suppress(OSError):
            unnamed.unlink(missing_ok=True)


def files(folder: Path) -> list[Path]:
    """The files in a journal's folder, newest first; none where there is no folder."""
    found = []
    try:
        for path in folder.iterdir():
            if path.suffix == SUFFIX:
                with suppress(OSError):
                    found.append((path.lstat().st_mtime, path))
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)]


def read(path: Path) -> ProcessHealth:
    """One file.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        data = os.read(file, BYTES + 1)
    finally:
        os.close(file)
    if len(data) > BYTES:
        raise ValueError(f"it is longer than {BYTES} bytes")
    found = orjson.loads(data)
    if not isinstance(found, dict):
        raise ValueError("it holds no object")
    if _whole(found, "format") > FORMAT:
        raise ValueError("a newer autotrace wrote it")
    return ProcessHealth(
        process=_text(found, "process"),
        pid=_whole(found, "pid"),
        host=_text(found, "host"),
        program=_text(found, "program"),
        autotrace=_text(found, "autotrace"),
        python=_text(found, "python"),
        started=_whole(found, "started"),
        written=_whole(found, "written"),
        ended=found.get("ended") is True,
        dropped=_whole(found, "dropped"),
        damaged=_whole(found, "damaged"),
        destinations=tuple(_destination(one) for one in _objects(found, "destinations")),
        failures=tuple(
            FailureCount(_text(one, "where"), _whole(one, "count"), _text(one, "last"))
            for one in _objects(found, "failures")
        ),
        offsets=_offsets(found.get("offsets")),
        environment=_optional(found, "environment"),
        platform=_optional(found, "platform"),
    )


def sweep(folder: Path) -> None:
    """Removes what processes that are gone left long ago, and the oldest where there are many."""
    old = time.time() - KEPT_S
    for number, path in enumerate(files(folder)):
        with suppress(OSError, ValueError, IndexError):
            if (number >= FILES or path.lstat().st_mtime < old) and not is_alive(int(path.name.split("-")[1])):
                path.unlink()


def is_alive(pid: int) -> bool:
    """Whether a process of that id runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return pid > 0


def _destination(found: Mapping[str, Any]) -> DestinationHealth:
    delivery = None if found.get("last_delivery") is None else _whole(found, "last_delivery")
    error = None if found.get("last_error") is None else _text(found, "last_error")
    return DestinationHealth(
        _text(found, "name"),
        _whole(found, "delivered"),
        _whole(found, "failures"),
        delivery,
        error,
        _whole(found, "dropped", 0),
        _whole(found, "rejected", 0),
    )


def _offsets(found: Any) -> dict[str, dict[str, int]]:
    if not isinstance(found, dict):
        raise ValueError("offsets are missing")
    return {
        str(segment): {str(name): offset for name, offset in given.items() if type(offset) is int}
        for segment, given in found.items()
        if isinstance(given, dict)
    }


def _objects(found: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = found.get(key)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError(f"{key} are no objects")
    return value[:PLACES]


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value[:TEXT]


def _optional(found: Mapping[str, Any], key: str) -> str | None:
    """A text that older releases did not write."""
    return _text(found, key) or None if key in found else None


def _whole(found: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = found.get(key, default)
    if type(value) is not int:
        raise ValueError(f"{key} is no whole number")
    return value
