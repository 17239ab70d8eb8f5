"""What has been read for one destination and has not been taken by it yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .destinations import Record

#: Kinds whose loss is counted: the start of a span whose end is lost, too, is lost with that.
COUNTED = frozenset("EFU")


class Parcel:
    """The records of one batch of a segment, on their way to one destination.

    Attributes:
        start: Where the batch begins in the segment.
        end: Where the next one begins.
        left: Records that have not been taken.
        counted: Those of them whose loss would be counted.
        undecided: Those of them that wait for the rest of their trace.
        is_orphaned: Whether the segment is gone: they cannot be read again.
    """

    __slots__ = ("counted", "end", "is_orphaned", "left", "start", "undecided")

    def __init__(self, start: int, end: int, records: Iterable[Record]) -> None:
        self.start = start
        self.end = end
        kinds = [record.kind for record in records]
        self.left = len(kinds)
        self.counted = sum(kind in COUNTED for kind in kinds)
        self.undecided = 0
        self.is_orphaned = False

    def take(self, record: Record) -> None:
        """Takes note that a record need not come again."""
        self.left -= 1
        self.counted -= record.kind in COUNTED


class Item(NamedTuple):
    """A record and the parcel that it came in."""

    record: Record
    parcel: Parcel

    def taken(self) -> None:
        """Takes note that it need not come again."""
        self.parcel.take(self.record)


class Load(NamedTuple):
    """What a destination is given at once; `is_counted_only`: sampling has left it out."""

    items: Sequence[Item]
    resource: Mapping[str, Any]
    is_counted_only: bool = False


class Progress:
    """How far one destination has come in one segment.

    Args:
        offset: Up to where it has all.
    """

    __slots__ = ("_parcels", "read")

    def __init__(self, offset: int) -> None:
        #: Where the next batch begins.
        self.read = offset
        self._parcels: deque[Parcel] = deque()

    def add(self, parcel: Parcel) -> None:
        """Takes in a batch that has been read."""
        self.read = parcel.end
        if parcel.left:
            self._parcels.append(parcel)

    @property
    def taken(self) -> int:
        """The offset up to which the destination has everything."""
        while self._parcels and self._parcels[0].left == 0:
            self._parcels.popleft()
        return self._parcels[0].start if self._parcels else self.read

    @property
    def settled(self) -> int:
        """As `taken`, but what waits for the rest of its trace counts as taken."""
        waiting = (parcel.start for parcel in self._parcels if parcel.left > parcel.undecided)
        return next(waiting, self.read)

    def orphan(self) -> None:
        """Takes note that the segment is gone."""
        for parcel in self._parcels:
            parcel.is_orphaned = True
