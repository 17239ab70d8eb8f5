"""Lines that the disk does not take, delivered from memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from .backlog import BYTES, RECORDS
from .journal import Journal
from .lanes import Lane
from .parcels import Item, Load, Parcel
from .segments import parse


@dataclass
class _Waiting:
    """What was taken from one journal, and what each lane has of it."""

    journal: Journal
    lines: list[bytes]
    parcels: dict[Lane, Parcel]
    records: int

    @property
    def is_taken(self) -> bool:
        return not any(parcel.left for parcel in self.parcels.values())

    @property
    def is_untouched(self) -> bool:
        return all(parcel.left == self.records for parcel in self.parcels.values())

    @property
    def is_under_way(self) -> bool:
        return any(lane.carries(parcel) for lane, parcel in self.parcels.items())


class Memory:
    """Takes lines from journals, has the lanes deliver them, and gives back what none of them could.

    What some have taken waits here for the others, within the bounds of a journal's backlog.

    Args:
        lanes: Each gets every line that is meant for it.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._waiting: list[_Waiting] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._waiting

    def take(self, journals: Sequence[Journal]) -> None:
        """Takes what the disk does not take, if any destination may be tried that has the rest."""
        now = time.monotonic()
        ready = [lane for lane in self._lanes if lane.is_idle and lane.outlet.is_ready(now)]
        for journal in journals if ready else ():
            if not journal.retry() and not all(self._is_behind(lane, journal) for lane in ready):
                self._take(journal)
                self._keep_bounds(journal)

    def give_back_failed(self) -> None:
        """Gives back what none could deliver: the disk may take it next. Of the rest only the disk relieves us."""
        for waiting in list(self._waiting):
            if waiting.is_taken:
                self._waiting.remove(waiting)
            elif not waiting.is_under_way and (waiting.is_untouched or waiting.journal.write(waiting.lines)):
                self._waiting.remove(waiting)
                self._drop(waiting)
                if waiting.is_untouched:
                    waiting.journal.put_back(waiting.lines)

    def give_back(self) -> None:
        """Gives back all that has not been delivered, to the disk if that takes it now."""
        for waiting in self._waiting:
            if not waiting.is_taken:
                self._drop(waiting)
                waiting.journal.put_back(waiting.lines)
                waiting.journal.retry()
        self._waiting.clear()

    def _is_behind(self, lane: Lane, journal: Journal) -> bool:
        """Whether a lane has still to take what came before, or is to have nothing."""
        before = (waiting.parcels.get(lane) for waiting in self._waiting if waiting.journal is journal)
        return not journal.goes_to(lane.name) or any(parcel is not None and parcel.left for parcel in before)

    def _take(self, journal: Journal) -> None:
        lines = journal.take_waiting()
        records = parse(b"".join(lines), 0).records
        lanes = [lane for lane in self._lanes if journal.goes_to(lane.name)]
        parcels = {lane: Parcel(0, sum(map(len, lines)), records) for lane in lanes}
        self._waiting.append(_Waiting(journal, lines, parcels, len(records)))
        for lane, parcel in parcels.items():
            lane.push(Load([Item(record, parcel) for record in records], journal.resource))

    def _keep_bounds(self, journal: Journal) -> None:
        """Drops what came first where too much waits; those that had not taken it lose it."""
        mine = [waiting for waiting in self._waiting if waiting.journal is journal]
        records = sum(len(waiting.lines) for waiting in mine)
        size = sum(len(line) for waiting in mine for line in waiting.lines)
        for waiting in mine[:-1]:
            if records <= RECORDS and size <= BYTES:
                break
            if not waiting.is_under_way:
                records -= len(waiting.lines)
                size -= sum(map(len, waiting.lines))
                self._waiting.remove(waiting)
                for lane, parcel in waiting.parcels.items():
                    lane.outlet.lost(parcel.counted)
                self._drop(waiting)

    def _drop(self, waiting: _Waiting) -> None:
        for lane, parcel in waiting.parcels.items():
            lane.drop(parcel)
