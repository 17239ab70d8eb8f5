"""Gives what lies in the segments to the destinations. The work of the drainer, without its thread."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from .destinations import Destination, Record
from .encoding import dumps
from .holdings import Holding
from .journal import Journal, journals_in
from .lanes import Lane
from .limits import Limits
from .memory import Memory
from .outlets import Outlet
from .parcels import COUNTED, Item, Load, Parcel
from .stock import Stock

if TYPE_CHECKING:
    from .gathering import Gatherer
    from .sampling import Sampler
    from .spares import Spares

logger = logging.getLogger("autotrace")

#: Seconds between two looks for what processes that are gone have left, between two savings of the cursors, and
#: between two looks at how much there is.
ADOPT_S, SAVE_S, LIMIT_S = 30.0, 10.0, 5.0

#: Segments, each with the offset up to which they are to be delivered.
Target = list[tuple[Holding, int]]


class Shipping:
    """Delivers what lies in a journal's folder. One thread at a time.

    Args:
        folder: The journal's folder.
        destinations: Each one gets every record that is meant for it.
        limits: What the journal may take.
        sampler: Which traces are kept; None: all.
        ring: Called in another thread when something that was under way is through.
    """

    def __init__(
        self,
        folder: Path,
        destinations: Sequence[Destination],
        limits: Limits,
        sampler: Sampler | None,
        ring: Callable[[], None],
    ) -> None:
        self.folder = folder
        self.outlets = [Outlet(destination) for destination in destinations]
        #: Lines that could not be read, since the start.
        self.damaged = 0
        self._limits = limits
        many = len(self.outlets) > 1
        self._lanes = [Lane(outlet, _gatherer(outlet, sampler), ring if many else None) for outlet in self.outlets]
        self._spares = _spares(folder) if sampler is not None else None
        self._stock = Stock(folder, [outlet.name for outlet in self.outlets])
        self._memory = Memory(self._lanes)
        self._offered: tuple[list[Journal], Target] | None = None
        self._adopt_at = 0.0
        self._save_at = time.monotonic() + SAVE_S
        self._limit_at = time.monotonic() + LIMIT_S

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way that will be through by itself."""
        return not all(lane.is_idle for lane in self._lanes)

    def advance(
        self,
        deadline: float = inf,
        is_last_call: bool = False,
        adopts: bool = True,
        is_wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        """Does what can be done now: sends what may be sent, takes note of what is through.

        Args:
            deadline: Moment of `time.monotonic` after which nothing more is sent.
            is_last_call: Nothing waits for the rest of its trace, but what sampling cannot decide yet.
            adopts: Whether what processes that are gone have left is looked for, when it is time.
            is_wanted: Whether somebody waits for an answer: then nothing more is sent until it is asked for again.
        """
        self._collect()
        self._refresh()
        if adopts and time.monotonic() >= self._adopt_at:
            self.look_for_orphans()
        self._keep_limits()
        went = True
        while went and time.monotonic() < deadline and not is_wanted():
            went = False
            for lane in self._lanes:
                while self._send(lane, is_last_call):
                    went = True
                    self._collect()
                    if lane.outlet.failures or time.monotonic() >= deadline or is_wanted():
                        break
        self._collect()
        self._finish()

    def target(self) -> Target:
        """What this process has journalled by now."""
        self._refresh()
        return [(holding, holding.limit) for holding in self._stock.own]

    def has(self, target: Target) -> bool:
        """Whether all destinations have what `target` said, and nothing waits in memory."""
        waiting = [journal for journal in journals_in(self.folder) if not journal.retry()]
        if not self._memory.is_empty or waiting:
            return False
        return all(holding.is_settled(name, offset) for holding, offset in target for name in holding.progress)

    def hurry(self) -> None:
        """Lets what waits for no more than time go at once."""
        for lane in self._lanes:
            lane.hurry(time.monotonic())

    def look_for_orphans(self) -> bool:
        """Takes segments of processes that are gone in hand, as many as may be; whether there are any."""
        self._adopt_at = time.monotonic() + ADOPT_S * random.uniform(0.75, 1.25)
        self._stock.adopt({journal.process for journal in journals_in(self.folder)})
        if self._spares is not None:
            self._spares.sweep()
        return bool(self._stock.orphans)

    def can_go_on(self, adopts: bool) -> bool:
        """Whether anything will happen before a pause is over: something is on its way, or there is more to adopt."""
        return self.is_busy or (adopts and self._adopt_at <= time.monotonic())

    @property
    def has_orphans(self) -> bool:
        """Whether something that processes have left is in hand, or there is time to look for more."""
        return bool(self._stock.orphans) or self._adopt_at <= time.monotonic()

    def offsets(self, process: str) -> dict[str, dict[str, int]]:
        """How far each destination has come in the segments of a process that are not done, by file."""
        own = [holding for holding in self._stock.own if holding.name.process == process]
        return {holding.name.file: holding.offsets() for holding in own}

    def pause(self) -> float:
        """Seconds until there may be something to do without being told."""
        now = time.monotonic()
        times = [self._adopt_at]
        for lane in self._lanes:
            due = lane.due_at()
            if due is not None:
                times.append(due)
            if lane.outlet.failures and lane.is_idle:
                times.append(lane.outlet.retry_at)
        if any(lane.outlet.failures for lane in self._lanes):
            times.append(self._limit_at)
        return max(0.01, min(times) - now)

    def close(self, timeout_s: float = 0.0) -> None:
        """Leaves to others what is not delivered, and lets the destinations let go of what they hold."""
        deadline = time.monotonic() + timeout_s
        self._memory.give_back()
        for lane in self._lanes:
            gone = (item for item in lane.in_hand() if item.parcel.is_orphaned)
            lane.outlet.lost(sum(item.record.kind in COUNTED for item in gone))
            if lane.stop(deadline - time.monotonic()):
                lane.outlet.close()
        self._stock.save()
        self.forget()

    def forget(self) -> None:
        """Lets go of every file, in a forked child too: its parent has the locks."""
        self._stock.close()
        self._offered = None
        for lane in self._lanes:
            lane.forget()

    def _refresh(self) -> None:
        """Looks at this process's segments: which there are, how long they are by now."""
        journals = journals_in(self.folder)
        self._stock.refresh({journal.process for journal in journals})
        is_new = self._offered is None
        if is_new:
            for journal in journals:
                journal.offer()
        self._stock.look_again()
        if is_new:
            self._offered = journals, [(holding, holding.limit) for holding in self._stock.own]
        self._memory.take(journals)

    def _send(self, lane: Lane, is_last_call: bool) -> bool:
        """Sends a lane what comes next; False when there is nothing, or it takes nothing now."""
        now = time.monotonic()
        if not lane.is_idle or not lane.outlet.is_ready(now):
            return False
        load = lane.next_load(now, is_last_call)
        while load is None:
            if not self._read(lane, now):
                return False
            load = lane.next_load(now, is_last_call)
        lane.send(self._left_out(lane, load) if load.is_counted_only else load)
        return True

    def _left_out(self, lane: Lane, load: Load) -> Load:
        """What sampling leaves out is put aside; where there is feedback on some of it by now, that goes first."""
        if self._spares is None or lane.gatherer is None:
            return load
        self._spares.add([item.record for item in load.items], load.resource)
        wanted = self._spares.wanted()
        kept = [item for item in load.items if item.record.trace_id in wanted]
        if not kept:
            return load
        for item in kept:
            lane.gatherer.keeps(item.record.trace_id)
        lane.push(Load([item for item in load.items if item.record.trace_id not in wanted], load.resource, True))
        return Load(kept, load.resource)

    def _read(self, lane: Lane, now: float) -> bool:
        """Reads a batch for a lane: this process's own come first; False when it has all."""
        for holding in self._stock.all:
            if lane.name not in holding.progress:
                continue
            found = holding.next(lane.name, self._stock.is_last(holding))
            damaged = holding.new_damage()
            if damaged:
                self.damaged += damaged
                self._stock.say(holding.name, f"is damaged: {damaged} lines were skipped (said once)")
            if found is not None:
                parcel, records = found
                self._bring_back(lane, records)
                lane.take(parcel, records, holding.name.process, holding.resource, now)
                return True
        return False

    def _bring_back(self, lane: Lane, records: Sequence[Record]) -> None:
        """Has what sampling left out delivered after all, where feedback on it comes."""
        if self._spares is None or lane.gatherer is None:
            return
        for record in records:
            if record.kind == "F" and lane.gatherer.keeps(record.trace_id):
                self._spares.want(record.trace_id)
                for spare, resource in self._spares.find(record.trace_id):
                    parcel = Parcel(0, 0, spare)
                    lane.push(Load([Item(one, parcel) for one in spare], resource))

    def _collect(self) -> None:
        for lane in self._lanes:
            lane.collect()

    def _finish(self) -> None:
        """Puts away what is delivered, and leaves word of the rest from time to time."""
        self._memory.give_back_failed()
        for holding in self._stock.done():
            self._stock.put_away(holding)
            if not holding.is_own:
                self._adopt_at = min(self._adopt_at, time.monotonic())  # there may be more than fit in a hand
        now = time.monotonic()
        for lane in self._lanes:
            self._move(lane, now)
        if self._offered is not None and self.has(self._offered[1]):
            for journal in self._offered[0]:
                journal.confirm()
            self._offered = None
        if now >= self._save_at:
            self._save_at = now + SAVE_S
            self._stock.save()

    def _move(self, lane: Lane, now: float) -> None:
        """Writes to the journal anew what a destination has not taken for long, so that it holds up nothing."""
        journals = [journal for journal in journals_in(self.folder) if journal.goes_to(lane.name)]
        if not journals:
            return
        for record, parcel in lane.moving(now):
            journals[-1].note(record.kind, f"{record.trace_id} {record.span_id}", dumps(record.body))
            parcel.take(record)

    def _keep_limits(self) -> None:
        now = time.monotonic()
        if now < self._limit_at:
            return
        self._limit_at = now + LIMIT_S
        lost = self._stock.keep_within(self._limits)
        for outlet in self.outlets:
            outlet.lost(lost[outlet.name])


# Most programs need neither: they are imported when they are wanted.


def _gatherer(outlet: Outlet, sampler: Sampler | None) -> Gatherer | None:
    if not outlet.wants_traces and sampler is None:
        return None
    from .gathering import Gatherer

    return Gatherer(sampler)


def _spares(folder: Path) -> Spares:
    from .spares import Spares

    return Spares(folder)
