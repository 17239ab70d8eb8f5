"""Lines that the disk does not take, delivered from memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from .journal import Journal
from .lanes import Lane
from .parcels import Item, Load, Parcel
from .segments import parse


@dataclass
class _Waiting:
    """What was taken from one journal, and what each lane has of it."""

    journal: Journal
    lines: list[bytes]
    parcels: list[Parcel]

    @property
    def is_taken(self) -> bool:
        return not any(parcel.left for parcel in self.parcels)


class Memory:
    """Takes lines from journals, has the lanes deliver them, and gives back what they could not.

    Args:
        lanes: Each gets every line.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._waiting: list[_Waiting] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._waiting

    def take(self, journals: Sequence[Journal]) -> None:
        """Takes what the disk does not take, if any destination may be tried."""
        now = time.monotonic()
        if not any(lane.is_idle and lane.outlet.is_ready(now) for lane in self._lanes):
            return
        for journal in journals:
            if journal.retry() or any(waiting.journal is journal for waiting in self._waiting):
                continue
            lines = journal.take_waiting()
            records = parse(b"".join(lines), 0).records
            parcels = [Parcel(0, sum(map(len, lines)), records) for _ in self._lanes]
            self._waiting.append(_Waiting(journal, lines, parcels))
            for lane, parcel in zip(self._lanes, parcels, strict=True):
                lane.push(Load([Item(record, parcel) for record in records], journal.resource))

    def give_back_failed(self) -> None:
        """Gives back what could not be delivered: the disk may take it next."""
        for waiting in list(self._waiting):
            if waiting.is_taken or not any(map(Lane.carries, self._lanes, waiting.parcels)):
                self._waiting.remove(waiting)
                self._give_back(waiting)

    def give_back(self) -> None:
        """Gives back all that has not been delivered."""
        for waiting in self._waiting:
            self._give_back(waiting)
        self._waiting.clear()

    def _give_back(self, waiting: _Waiting) -> None:
        if not waiting.is_taken:
            for lane, parcel in zip(self._lanes, waiting.parcels, strict=True):
                lane.drop(parcel)
            waiting.journal.put_back(waiting.lines)
