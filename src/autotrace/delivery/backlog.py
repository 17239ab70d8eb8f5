"""Lines that the disk did not take, in memory, within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

#: Where a line's kind stands, and the kind whose loss is not counted: the start of a span, for its end is.
_KIND, _START = 9, ord("S")
RECORDS = 10_000
BYTES = 64 * 1024 * 1024


class Backlog:
    """A queue of lines; when it is full the oldest are dropped.

    Attributes:
        dropped: How many records were lost; the start of a span is not counted, its end is.
    """

    def __init__(self, records: int = RECORDS, bytes_: int = BYTES) -> None:
        self.dropped = 0
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._records_limit = records
        self._bytes_limit = bytes_

    def __iter__(self) -> Iterator[bytes]:
        return iter(list(self._lines))

    def __bool__(self) -> bool:
        return bool(self._lines)

    def append(self, line: bytes) -> None:
        """Adds a line at the end."""
        self._lines.append(line)
        self._bytes += len(line)
        while len(self._lines) > self._records_limit or self._bytes > self._bytes_limit:
            self._drop(self.take_first())

    def take_first(self) -> bytes:
        """Takes the oldest line."""
        line = self._lines.popleft()
        self._bytes -= len(line)
        return line

    def take(self) -> list[bytes]:
        """Takes all lines, oldest first."""
        lines = list(self._lines)
        self._lines.clear()
        self._bytes = 0
        return lines

    def put_back(self, lines: list[bytes]) -> None:
        """Puts lines that were taken back to where they were, as far as there is room."""
        for line in reversed(lines):
            if len(self._lines) >= self._records_limit or self._bytes + len(line) > self._bytes_limit:
                self._drop(line)
            else:
                self._lines.appendleft(line)
                self._bytes += len(line)

    def _drop(self, line: bytes) -> None:
        self.dropped += len(line) <= _KIND or line[_KIND] != _START
