"""The journal: append-only files that every span is written to before the traced call returns.

A record is one `write` to a file opened with O_APPEND, so that threads need no lock between them, and what
was written survives the process however it dies. Each process has segments of its own and holds a `flock`
on the open one: a segment whose lock is free has no writer left. After a fork the child begins a segment of
its own; that is noticed by comparing process ids, for not every server that forks runs Python's fork hooks.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotrace._version import __version__
from autotrace.store.home import make_folder, make_home

from .backlog import Backlog
from .encoding import dumps
from .segment_file import SegmentFile
from .segments import FORMAT, SegmentName, line_of

logger = logging.getLogger("autotrace")

SEGMENT_BYTES = 16 * 1024 * 1024
RETRY_S = 1.0
#: Starts that are remembered until their span ends; more come from a program that never ends its spans.
OPEN_STARTS = 10_000


class _Process:
    """What the journal holds in one process; replaced as a whole in a forked child."""

    def __init__(self, open_: OrderedDict[str, bytes | None]) -> None:
        self.pid = os.getpid()
        self.name = f"{time.time_ns():x}-{self.pid}-{os.urandom(4).hex()}"
        # Reentrant, for the garbage collector may end a span in the middle of anything.
        self.lock = threading.RLock()
        self.writing = False
        self.sequence = 0
        self.segment: SegmentFile | None = None
        #: Segments without a name, that a thread may still be writing to.
        self.deleted: list[SegmentFile] = []
        self.backlog = Backlog()
        self.retry_at = 0.0
        #: Lines of the roots that have started and not ended; None: started by the parent process.
        self.open = open_


class Journal:
    """Appends records to this process's segment. Never raises.

    Nothing is opened or made before the first record.

    Args:
        home: The folder that `journal/` lies in.
        resource: Attributes of this process, for the segment's header.
        segment_bytes: The size at which the next segment begins.
        destinations: Where its records go: who finds a segment later goes by that.
    """

    def __init__(
        self,
        home: Path,
        resource: Mapping[str, Any] | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        destinations: Sequence[str] | None = None,
    ) -> None:
        self.home = home
        self.folder = home / "journal"
        self.resource = dict(resource or {})
        self._segment_bytes = segment_bytes
        self._destinations = destinations
        self._said: set[str] = set()
        #: Whether others than the owner may list the home.
        self._shared = False
        self._process = _Process(OrderedDict())
        self._processes = {self._process.pid: self._process}
        _journals.append(weakref.ref(self, _journals.remove))

    @property
    def process(self) -> str:
        """How this process is named in its segments."""
        return self._current().name

    @property
    def has_begun(self) -> bool:
        """Whether this process has a segment, or had one."""
        return self._current().sequence > 0

    @property
    def dropped(self) -> int:
        """Records that were lost, for the disk took none and the memory set aside for them was full."""
        return self._current().backlog.dropped

    def start(self, key: str, body: bytes) -> None:
        """Appends the start of a local root span.

        Args:
            key: Trace id and span id in hexadecimal digits, a space between them.
            body: The span's JSON.
        """
        process = self._current()
        line = line_of(f"S {key} ", body)
        if len(process.open) >= OPEN_STARTS:
            process.open.popitem(last=False)
        process.open[key] = line
        self._append(process, line)

    def end(self, key: str, body: bytes) -> None:
        """Appends an ended span; the arguments are those of `start`."""
        process = self._current()
        process.open.pop(key, None)
        self._append(process, line_of(f"E {key} ", body))

    def note(self, kind: str, key: str, body: bytes) -> None:
        """Appends feedback (kind `F`) or an update of a trace (`U`); the other arguments are those of `start`."""
        self._append(self._current(), line_of(f"{kind} {key} ", body))

    def is_open(self, key: str) -> bool:
        """Whether a local root span has started and not ended."""
        return key in self._current().open

    def retry(self) -> bool:
        """Writes what waits in memory, if the disk takes it; answers whether nothing waits any more.

        What was appended to a segment that has been deleted under the writer waits there too.
        """
        process = self._current()
        self._rescue(process)
        if process.backlog:
            self._settle(process)
        return not process.backlog

    def take_waiting(self) -> list[bytes]:
        """Takes the lines that the disk did not take, for delivery from memory."""
        process = self._current()
        with process.lock:
            return process.backlog.take()

    def put_back(self, lines: list[bytes]) -> None:
        """Returns lines that could not be delivered."""
        process = self._current()
        with process.lock:
            process.backlog.put_back(lines)

    def write(self, lines: Sequence[bytes]) -> bool:
        """Appends lines that were taken; False when the disk does not take them all."""
        process = self._current()
        with process.lock:
            if process.writing or time.monotonic() < process.retry_at:
                return False
            process.writing = True
            try:
                for line in lines:
                    while not self._write(process, line):
                        pass
            except OSError:
                process.retry_at = time.monotonic() + RETRY_S
                return False
            finally:
                process.writing = False
        return True

    def goes_to(self, destination: str) -> bool:
        """Whether its records are meant for that destination."""
        return self._destinations is None or destination in (*self._destinations, "console")

    def retire(self) -> None:
        """Lets go of the open segment, so that it can be delivered whole; the next record begins another."""
        process = self._current()
        self._rescue(process)
        with process.lock:
            process.segment = None

    def describe(self, resource: Mapping[str, Any]) -> None:
        """Says something else of this process from the next record on, in a segment that begins with it.

        Args:
            resource: All attributes, those that stay the same among them.
        """
        if resource != self.resource:
            self.resource = dict(resource)
            self.retire()

    def offer(self) -> None:
        """Notes how long the open segment is, before it is delivered."""
        segment = self._current().segment
        if segment is not None:
            segment.offered = segment.length()

    def confirm(self) -> bool:
        """Notes that what was offered has been delivered; False when the segment has been deleted meanwhile."""
        segment = self._current().segment
        if segment is None:
            return True
        if segment.is_deleted():
            return False
        segment.taken = max(segment.taken, segment.offered)
        return True

    def _current(self) -> _Process:
        process = self._process
        return process if process.pid == os.getpid() else self._forked()

    def _forked(self) -> _Process:
        """The state of a child. Waits for nothing: a thread that is gone may hold the parent's lock."""
        parent = self._process
        child = _Process(OrderedDict.fromkeys(parent.open))
        # Several threads may come here at once: setdefault chooses one.
        process = self._processes.setdefault(child.pid, child)
        if process is child and parent.segment is not None:
            # Otherwise the parent's segment would stay locked for as long as the child lives.
            parent.segment.close()
        self._process = process
        return process

    def _rescue(self, process: _Process) -> None:
        """Gives up a segment that has lost its name or its descriptor, and moves on what nobody else can read."""
        with process.lock:
            seen = list(process.deleted)
            self._give_up(process)
            deleted = list(process.deleted)
        for segment in deleted:
            try:
                lines = segment.take()
            except OSError as error:
                lines, seen = [], deleted
                process.backlog.dropped += 1
                self._say("spans in a deleted segment in %s are lost: %s", self.folder, error)
            for line in lines:
                self._append_slowly(process, line)
            # One that had nothing new since the last time has no writer any more.
            if not lines and segment in seen:
                process.deleted.remove(segment)

    def _give_up(self, process: _Process) -> None:
        segment = process.segment
        if segment is None:
            return
        if segment.is_lost():
            segment.abandon()
        elif segment.is_deleted():
            process.deleted.append(segment)
        else:
            return
        process.segment = None

    def _append(self, process: _Process, line: bytes) -> None:
        segment = process.segment
        if segment is None or segment.torn or segment.size >= self._segment_bytes or process.backlog:
            self._append_slowly(process, line)
            return
        try:
            written = os.write(segment.file, line)
        except OSError:
            written = 0
        segment.size += written
        if written != len(line):
            segment.torn = segment.torn or written > 0
            segment.wasted += written
            self._append_slowly(process, line)

    def _append_slowly(self, process: _Process, line: bytes) -> None:
        with process.lock:
            process.backlog.append(line)
        self._settle(process)

    def _settle(self, process: _Process) -> None:
        """Empties the backlog onto the disk, unless the disk refused less than a second ago."""
        problem: OSError | None = None
        with process.lock:
            if process.writing or time.monotonic() < process.retry_at:
                return
            process.writing = True
            try:
                self._write_backlog(process)
            except OSError as error:
                problem = error
                process.retry_at = time.monotonic() + RETRY_S
            finally:
                process.writing = False
        # Outside the lock: a log handler may be traced itself, or hold a lock of its own.
        if problem is not None:
            self._say(
                "spans cannot be written to %s: %s; they are kept in memory and tried again", self.folder, problem
            )
        if self._shared:
            self._say("others than its owner can list %s: chmod it to 0700, or give us a folder of our own", self.home)

    def _say(self, message: str, *values: object) -> None:
        """Warns once in the life of this journal."""
        if message not in self._said:
            self._said.add(message)
            logger.warning(message + " (said once)", *values)

    def _write_backlog(self, process: _Process) -> None:
        while process.backlog:
            line = process.backlog.take_first()
            written = False
            try:
                written = self._write(process, line)
            finally:
                if not written:
                    process.backlog.put_back([line])

    def _write(self, process: _Process, line: bytes) -> bool:
        self._give_up(process)
        segment = process.segment
        if segment is None or segment.size >= self._segment_bytes:
            segment = self._next_segment(process, line)
        try:
            return segment.write(line)
        except OSError as error:
            if error.errno != errno.EFBIG or segment.is_fresh:
                raise
            segment.size = self._segment_bytes  # this file may grow no further: the next one may
            return False

    def _next_segment(self, process: _Process, first: bytes) -> SegmentFile:
        self._shared = make_home(self.home)
        make_folder(self.folder)
        sequence = process.sequence + 1
        coming = {id(first), *map(id, process.backlog)}
        starts = [line for line in list(process.open.values()) if line is not None and id(line) not in coming]
        segment = SegmentFile(self.folder, SegmentName(process.name, sequence), [self._header(process), *starts])
        process.sequence = sequence
        # The old one goes when the last thread that is writing to it has done so.
        process.segment = segment
        return segment

    def _header(self, process: _Process) -> bytes:
        resource = dict(self.resource)
        if "process.pid" in resource:
            resource["process.pid"] = process.pid  # it differs in a forked child
        header = {
            "format": FORMAT,
            "process": process.name,
            "pid": process.pid,
            "created": time.time_ns(),
            "autotrace": __version__,
            "resource": resource,
        }
        if self._destinations is not None:
            header["destinations"] = list(self._destinations)
        return line_of("H - - ", dumps(header))


#: Every journal of this process: what a fork and the drainer of its folder must know.
_journals: list[weakref.ref[Journal]] = []


def journals_in(folder: Path) -> list[Journal]:
    """The journals of this process that write to the folder."""
    found = (reference() for reference in list(_journals))
    return [journal for journal in found if journal is not None and journal.folder == folder]


def _after_fork() -> None:
    for reference in list(_journals):
        journal = reference()
        if journal is not None:
            journal.is_open("")  # any look at the state replaces it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
