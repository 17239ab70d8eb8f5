"""Reads the journal's segments: names, lines, checksums, and the way back into step after damage.

A line is `<crc32 of the rest, 8 hex> <kind> <trace id> <span id> <json>`. Kind and ids stand at fixed places,
so that the JSON of a start whose end is known need not be read. A torn or damaged line costs itself alone.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from .destinations import Record

logger = logging.getLogger("autotrace")

#: 2: feedback and updates (kinds `F` and `U`); the destinations that the writer delivers to stand in the header.
FORMAT = 2
SUFFIX = ".journal"
#: Bytes read at once, and so the size of a batch.
CHUNK = 512 * 1024
_NAME = re.compile(r"([0-9a-f]+-[0-9]+-[0-9a-f]{8})-([0-9]{6,})\.journal")
_RECORD = re.compile(rb"[0-9a-f]{8} [SEFU] [0-9a-f]{32} [0-9a-f]{16} \{")
_START, _END = ord("S"), ord("E")
_KINDS = frozenset(b"SEFU")
#: Bytes that zlib sums up without letting go of the interpreter's lock, and the length up to which we want that.
_PIECE, _PIECES = 5 * 1024, 256 * 1024
#: Where the kind, the ids and the JSON begin.
_KIND, _IDS, _BODY = 9, 11, 61
_SPAN_KEYS = frozenset(
    {
        *("parent_id", "root", "name", "kind", "start", "end", "status", "message", "scope", "scope_version"),
        *("attributes", "events", "links"),
    }
)
_FEEDBACK_KEYS = frozenset({"id", "type", "name", "value", "comment", "source_type", "source", "time", "metadata"})
_UPDATE_KEYS = frozenset({"time", "name", "session", "user", "tags"})
_REQUIRED = {"S": _SPAN_KEYS, "E": _SPAN_KEYS, "F": _FEEDBACK_KEYS, "U": _UPDATE_KEYS}


class SegmentName(NamedTuple):
    """Who wrote a segment, and which one it is."""

    process: str
    sequence: int

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.process}-{self.sequence:06d}{SUFFIX}"


def parse_name(file: str) -> SegmentName | None:
    """The parts of a segment's file name; None for any other file."""
    found = _NAME.fullmatch(file)
    return SegmentName(found[1], int(found[2])) if found else None


def segment_names(folder: Path) -> list[SegmentName]:
    """Every segment in the folder, oldest first; none when there is no folder."""
    try:
        files = os.listdir(folder)  # noqa: PTH208 - names are all that is needed, several times a second
    except OSError:
        return []
    return sorted(name for name in map(parse_name, files) if name)


@dataclass(frozen=True, slots=True)
class Batch:
    """What some bytes of a segment hold.

    Attributes:
        records: In the order of the lines, without the starts of spans that end in the same batch.
        end: The offset at which the next batch begins.
        damaged: Lines, or pieces of lines, that could not be read.
    """

    records: list[Record]
    end: int
    damaged: int


class Segment:
    """One segment file, open for reading; a context manager.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, folder: Path, name: SegmentName) -> None:
        self.name = name
        self.path = folder / name.file
        self.file = -1
        self.reopen()
        try:
            self.header, self.body_start = self._read_header()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def reopen(self) -> None:
        """Opens the file anew, without closing anything.

        Raises:
            OSError: It cannot be opened.
        """
        self.file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._identity = identity(self.file)

    def is_lost(self) -> bool:
        """Whether the descriptor is no longer this file's: the program has closed it, and may have used its number."""
        return self.file < 0 or identity(self.file) != self._identity

    def close(self) -> None:
        """Closes the file; not what the program may have put in its place."""
        lost = self.is_lost()
        file, self.file = self.file, -1
        if not lost:
            os.close(file)

    @property
    def is_newer(self) -> bool:
        """Whether a newer autotrace wrote it, in a format that this one does not know."""
        format_ = self.header.get("format")
        return isinstance(format_, int) and format_ > FORMAT

    @property
    def resource(self) -> dict[str, Any]:
        """Attributes of the process that wrote it; empty when the header is damaged."""
        resource = self.header.get("resource")
        return resource if isinstance(resource, dict) else {}

    @property
    def destinations(self) -> frozenset[str] | None:
        """Where its writer sends its records; None when that is not known (a damaged header, an older format)."""
        found = self.header.get("destinations")
        return frozenset(map(str, found)) if isinstance(found, list) else None

    @property
    def created(self) -> int | None:
        """When it was begun, in ns since 1970 by its writer's clock; None when that is not known."""
        found = self.header.get("created")
        return found if type(found) is int else None

    def lock(self) -> bool:
        """Takes the segment for this reader; False while its writer lives or another reader has it."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = self.path.stat()
        except OSError:  # locked, or delivered and deleted in the meantime
            return False
        return found.st_ino == os.fstat(self.file).st_ino

    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self.file).st_size

    def batch(self, offset: int, limit: int, final: bool) -> Batch | None:
        """The next lines from `offset`, no further than `limit`.

        Args:
            offset: Where the batch begins.
            limit: The size of the file as far as this reader goes.
            final: Nobody writes any more: a last line without its newline is torn, not unfinished.

        Returns:
            None when there is no complete line.
        """
        data = self._lines(offset, limit, final)
        return parse(data, offset) if data else None

    def has_lines(self, offset: int, limit: int) -> bool:
        """Whether a complete line begins at `offset` and ends before `limit`."""
        return bool(self._lines(offset, limit, False))

    def counted(self, offset: int) -> int:
        """Records from `offset` on whose loss is to be counted: all but the starts of spans."""
        found, end = 0, self.size()
        while data := self._lines(offset, end, True):
            found += sum(
                len(line) > _BODY and line[_KIND] in _KINDS and line[_KIND] != _START for line in data.split(b"\n")
            )
            offset += len(data)
        return found

    def unfinished(self) -> list[Record]:
        """The starts whose ends are not in this segment, as records of kind `I`."""
        open_: dict[bytes, bytes] = {}
        offset, limit = self.body_start, self.size()
        while data := self._lines(offset, limit, True):
            for line in data.split(b"\n"):
                if len(line) <= _BODY:
                    continue
                if line[_KIND] == _START:
                    open_[line[_IDS:_BODY]] = line
                elif line[_KIND] == _END and _is_intact(line):
                    open_.pop(line[_IDS:_BODY], None)
            offset += len(data)
        found = (_record(line) for line in open_.values())
        return [Record("I", r.trace_id, r.span_id, r.body) for r in found if r is not None]

    def _lines(self, offset: int, limit: int, final: bool, size: int | None = None) -> bytes:
        """Whole lines from `offset`: at most `size` bytes, more when one line is longer."""
        size = size or CHUNK
        while offset < limit:
            data = os.pread(self.file, min(size, limit - offset), offset)
            whole = data[: data.rfind(b"\n") + 1]
            if whole:
                return whole
            if not data or offset + len(data) >= limit:
                return data if final else b""
            size *= 4
        return b""

    def _read_header(self) -> tuple[Mapping[str, Any], int]:
        """The header's JSON, and where the lines after it begin; empty and 0 when it is damaged."""
        line = self._lines(0, self.size(), True, 16 * 1024).split(b"\n", 1)[0]
        if line[9:15] == b"H - - " and _is_intact(line):
            try:
                header = orjson.loads(line[15:])
                if isinstance(header, dict):
                    return header, len(line) + 1
            except orjson.JSONDecodeError:
                pass
        return {}, 0


def parse(data: bytes, offset: int) -> Batch:
    """The records in some whole lines.

    Args:
        data: The lines.
        offset: Where they begin in their segment.
    """
    lines = data.split(b"\n")
    # Ends first: they tell which starts need not be looked at.
    ends = [_record(line) if line[_KIND : _IDS - 1] == b"E" else None for line in lines]
    ended = {line[_IDS:_BODY] for line, record in zip(lines, ends, strict=True) if record is not None}
    records, damaged = [], 0
    for line, record in zip(lines, ends, strict=True):
        if record is None:
            # A start that is not what was written may have another record behind it, without a newline between them.
            if line[_IDS:_BODY] in ended and line[_KIND] == _START and _is_intact(line):
                continue
            record = _record(line)
        if record is not None:
            records.append(record)
        elif line and not (line[9:15] == b"H - - " and _is_intact(line)):
            damaged += 1
            records += _rescued(line)
    return Batch(records, offset + len(data), damaged)


def line_of(head: str, body: bytes) -> bytes:
    """A whole line.

    Args:
        head: Kind and ids, each with a space behind it.
        body: JSON without a newline.
    """
    rest = head.encode() + body
    return b"%08x %b\n" % (checksum(rest), rest)


def checksum(data: bytes) -> int:
    """CRC-32 of `data`.

    zlib lets go of the interpreter's lock for more than 5 KB, which it gets back from another busy thread only after
    far longer than the sum takes. So data of a usual call's length are summed up in pieces.
    """
    if len(data) <= _PIECE or len(data) > _PIECES:
        return crc32(data)
    view, start = memoryview(data), 0
    for begin in range(0, len(data), _PIECE):
        start = crc32(view[begin : begin + _PIECE], start)
    return start


def identity(file: int) -> tuple[int, int] | None:
    """What tells an open file from any other; None where the descriptor is closed."""
    try:
        found = os.fstat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_intact(line: bytes) -> bool:
    return b"%08x" % checksum(line[9:]) == line[:8]


def _record(line: bytes) -> Record | None:
    if len(line) <= _BODY or line[_KIND] not in _KINDS or not _is_intact(line):
        return None
    try:
        body = orjson.loads(line[_BODY:])
    except orjson.JSONDecodeError:
        return None
    kind = chr(line[_KIND])
    if not isinstance(body, dict) or not body.keys() >= _REQUIRED[kind]:
        return None
    return Record(kind, line[11:43].decode(), line[44:60].decode(), body)


def _rescued(line: bytes) -> Iterator[Record]:
    """Records that stand behind a torn one, without a newline between them.

    It happens when one thread's write is cut short by a full disk and another's succeeds at the same moment.
    """
    for found in _RECORD.finditer(line, 1):
        record = _record(line[found.start() :])
        if record is not None:
            yield record
