"""What sampling has left out, kept for a while: feedback that comes later brings a trace back.

Each process appends to a file of its own beside the journal; any process of the same home looks through all of them,
for the thumb and its trace often come to different workers. A file is a segment's lines behind a segment's header.

A thumb may also come before its trace is over. So whoever delivers one leaves word of the trace first and looks for
it then, and whoever leaves a trace out puts it here first and looks for word of it then: one of them sees the other.
"""

from __future__ import annotations

import mmap
import os
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from autotrace.store.home import FILE_MODE

from .destinations import Record
from .encoding import dumps
from .segments import line_of, parse

SUFFIX = ".spare"
OLD = ".spare-old"
#: Ids of traces on which there is feedback, a line each.
WANTED, WANTED_OLD = ".wanted", ".wanted-old"
WANTED_BYTES = 1024 * 1024
#: Bytes of a file; when it has them it is put aside, and the one that was aside before goes.
FILE_BYTES = 16 * 1024 * 1024
#: Seconds after which nobody looks for what is in a file.
KEPT_S = 3600.0
REMEMBERED = 10_000


class Spares:
    """The traces that sampling left out lately.

    Args:
        folder: The journal's folder.
        limit: Bytes of a file.
    """

    def __init__(self, folder: Path, limit: int = FILE_BYTES) -> None:
        self._folder = folder
        self._limit = limit
        self._path = folder / f"{time.time_ns():x}-{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"
        self._known: OrderedDict[str, None] = OrderedDict()
        #: What was read of each file of wanted traces, and its size and time of change then.
        self._wanted: dict[Path, tuple[tuple[int, int], frozenset[str]]] = {}

    def add(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Keeps records for a while; where the disk takes none they are gone."""
        new = {record.trace_id for record in records} - self._known.keys()
        lines = [
            line_of(f"{record.kind} {record.trace_id} {record.span_id} ", dumps(record.body))
            for record in records
            if record.trace_id in new and record.kind in "SE"
        ]
        if not lines:
            return
        self._known.update(dict.fromkeys(new))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        with suppress(OSError):
            header = line_of("H - - ", dumps({"resource": dict(resource)}))
            self._append(self._path, b"".join([header, *lines]), self._limit, OLD)

    def want(self, trace_id: str) -> None:
        """Leaves word that a trace is to be kept, for the process that has it; call it before `find`."""
        with suppress(OSError):
            self._append(self._path.with_suffix(WANTED), f"{trace_id}\n".encode(), WANTED_BYTES, WANTED_OLD)

    def wanted(self) -> frozenset[str]:
        """The traces of which any process here has lately left word; call it after `add`."""
        known, self._wanted = self._wanted, {}
        for path in self._files(WANTED, WANTED_OLD):
            with suppress(OSError):
                state = path.stat()
                seen = state.st_size, state.st_mtime_ns
                read = known.get(path)
                if read is None or read[0] != seen:
                    read = seen, frozenset(path.read_text("ascii", "replace").split())
                self._wanted[path] = read
        return frozenset().union(*(ids for _, ids in self._wanted.values()))

    def find(self, trace_id: str) -> Iterator[tuple[list[Record], Mapping[str, Any]]]:
        """What any process here has left out of a trace, with its attributes."""
        for path in self._files(SUFFIX, OLD):
            with suppress(OSError, ValueError):
                yield from _found(path, trace_id.encode())

    def sweep(self) -> None:
        """Removes what nobody looks for any more."""
        old = time.time() - KEPT_S
        for path in self._files(SUFFIX, OLD, WANTED, WANTED_OLD):
            with suppress(OSError):
                if path.stat().st_mtime < old:
                    path.unlink()

    def _files(self, *suffixes: str) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.suffix in suffixes]
        except OSError:
            return []

    def _append(self, path: Path, content: bytes, limit: int, aside: str) -> None:
        """Appends to a file; one that has reached its limit is put aside before."""
        with suppress(FileNotFoundError):
            if path.stat().st_size >= limit:
                path.replace(path.with_suffix(aside))
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            os.fchmod(file, FILE_MODE)
            os.write(file, content)
        finally:
            os.close(file)


def _found(path: Path, trace_id: bytes) -> Iterator[tuple[list[Record], Mapping[str, Any]]]:
    """The records of a trace in one file: each is looked for, and the header before it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(b" " + trace_id + b" ")
        while at >= 0:
            begin = content.rfind(b" H - - {", 0, at)
            header = content[begin + 7 : content.find(b"\n", begin)] if begin >= 0 else b"{}"
            next_ = content.find(b" H - - {", at)
            # The checksum of the next header, 8 digits, belongs to that.
            end = len(content) if next_ < 0 else next_ - 8
            lines = content[content.rfind(b"\n", 0, at) + 1 : end]
            records = [one for one in parse(lines, 0).records if one.trace_id == trace_id.decode()]
            if records:
                yield records, orjson.loads(header).get("resource") or {}
            at = content.find(b" " + trace_id + b" ", end)
