"""One destination's way: what it has in hand, one load at a time, in a thread of its own where there are several.

A slow destination holds up no other, and is never given more than it has asked for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from .destinations import Record
from .outlets import Outlet
from .parcels import Item, Load, Parcel

if TYPE_CHECKING:
    from .gathering import Gatherer

logger = logging.getLogger("autotrace")

#: Seconds until what a destination took not yet (feedback on a trace that it does not know) comes again, at first and
#: at most; and after how many in all it is written to the journal anew, so that it holds back nothing that lies there.
LATE_S, LATEST_S, MOVED_AFTER_S = 1.0, 30.0, 60.0


class Late:
    """Items that a destination took not yet, though it took others."""

    def __init__(self, load: Load, now: float) -> None:
        self.load = load
        self.since = now
        self.pause = LATE_S
        self.due = now + LATE_S


class Lane:
    """Gives loads to one destination.

    All but the delivery itself happens in the drainer's thread.

    Args:
        outlet: The destination.
        gatherer: Where records wait for the rest of their trace; None: they go as they come.
        ring: Called in the lane's own thread when a load is through. None: there is no such thread, and a load is
            delivered by who sends it.
    """

    def __init__(self, outlet: Outlet, gatherer: Gatherer | None, ring: Callable[[], None] | None) -> None:
        self.outlet = outlet
        self.name = outlet.name
        self.gatherer = gatherer
        self._ring = ring
        self._sent: Load | None = None
        self._again: deque[Load] = deque()
        self._late: deque[Late] = deque()
        self._came_late: Late | None = None
        self._inbox: SimpleQueue[Load | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Sequence[Record] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no load is on its way."""
        return self._sent is None

    def take(
        self, parcel: Parcel, records: Iterable[Record], source: str, resource: Mapping[str, Any], now: float
    ) -> None:
        """Takes in what has been read for it."""
        items = [Item(record, parcel) for record in records]
        if self.gatherer is not None:
            self.gatherer.add(items, source, resource, now)
        else:
            self.push(Load(items, resource))

    def next_load(self, now: float, is_last_call: bool) -> Load | None:
        """What should go next of what it has in hand.

        Args:
            now: Moment of `time.monotonic`.
            is_last_call: What waits for the rest of its trace goes now, unless it is undecided.
        """
        if self._again:
            return self._again.popleft()
        late = min(self._late, key=lambda late: late.due, default=None)
        if late is not None and late.due <= now:
            self._late.remove(late)
            self._came_late = late
            return late.load
        return None if self.gatherer is None else self.gatherer.due(now, is_last_call)

    def due_at(self) -> float | None:
        """When something that waits is due, as a moment of `time.monotonic`; None: nothing waits."""
        times = [late.due for late in self._late]
        gathered = None if self.gatherer is None else self.gatherer.due_at()
        if gathered is not None:
            times.append(gathered)
        return max(min(times), self.outlet.retry_at if self.outlet.failures else 0.0) if times else None

    def send(self, load: Load) -> None:
        """Has a load delivered; `collect` says when it is through."""
        self._sent = load
        if self._ring is None:
            self._outcomes.put(self._deliver(load))
            return
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name=f"autotrace {self.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter is shutting down, or there are no threads to be had
                self.outlet.failed(error)
                self._outcomes.put(None)
                return
            self._thread = thread
        self._inbox.put(load)

    def collect(self) -> bool:
        """Takes note of a load that is through; False when there is none."""
        try:
            left = self._outcomes.get_nowait()
        except Empty:
            return False
        load, self._sent = self._sent, None
        late, self._came_late = self._came_late, None
        if load is None:
            return False
        if left is None:
            if late is not None:
                self._late.appendleft(late)
            else:
                self._again.appendleft(load)
            return True
        self._settle(load, {id(record) for record in left}, late)
        return True

    def push(self, load: Load) -> None:
        """Takes in a load that waits for nothing."""
        if load.items:
            self._again.append(load)

    def carries(self, parcel: Parcel) -> bool:
        """Whether anything of a parcel is on its way."""
        return self._sent is not None and any(item.parcel is parcel for item in self._sent.items)

    def drop(self, parcel: Parcel) -> None:
        """Takes out what is in hand of a parcel and not on its way."""
        self._again = deque(load for load in self._again if load.items[0].parcel is not parcel)
        self._late = deque(late for late in self._late if late.load.items[0].parcel is not parcel)

    def hurry(self, now: float) -> None:
        """Lets what the destination took not yet come again at once."""
        for late in self._late:
            late.due = now

    def in_hand(self) -> Iterator[Item]:
        """Everything that has been read for it and not been taken."""
        loads = [self._sent] if self._sent is not None else []
        loads += [*self._again, *(late.load for late in self._late)]
        for load in loads:
            yield from load.items
        if self.gatherer is not None:
            yield from self.gatherer.in_hand()

    def moving(self, now: float) -> list[Item]:
        """Takes out what has been coming in vain for so long that it should lie in the journal anew.

        Not spans, for their process's attributes stand in the segment that they came in, and an interrupted one is
        no line of any.
        """
        found: list[Item] = []
        for late in [late for late in self._late if now >= late.since + MOVED_AFTER_S]:
            found += (item for item in late.load.items if item.record.kind in "FU")
            late.load = late.load._replace(items=[item for item in late.load.items if item.record.kind not in "FU"])
            if not late.load.items:
                self._late.remove(late)
        return found

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread; whether it has ended."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._inbox.put(None)
        thread.join(max(0.0, timeout_s))
        return not thread.is_alive()

    def forget(self) -> None:
        """Lets go of what it has in hand: it will be read again. What is on its way stays on its way."""
        self._again.clear()
        self._late.clear()
        if self.gatherer is not None:
            self.gatherer = self.gatherer.anew()

    def _settle(self, load: Load, left: set[int], late: Late | None) -> None:
        missing = []
        for item in load.items:
            if id(item.record) in left:
                missing.append(item)
            else:
                item.taken()
        if not missing:
            return
        now = time.monotonic()
        again = Late(Load(missing, load.resource), now)
        if late is not None:
            again.since, again.pause = late.since, min(late.pause * 2, LATEST_S)
            again.due = now + again.pause
        self._late.append(again)

    def _deliver(self, load: Load) -> Sequence[Record] | None:
        records = [item.record for item in load.items]
        if load.is_counted_only:
            return () if self.outlet.count(records, load.resource) else None
        return self.outlet.deliver(records, load.resource)

    def _run(self) -> None:
        while (load := self._inbox.get()) is not None:
            try:
                outcome = self._deliver(load)
            except BaseException:  # whatever it is, this thread goes on
                logger.exception("the delivery to %s failed; it goes on", self.name)
                outcome = None
            self._outcomes.put(outcome)
            if self._ring is not None:
                self._ring()
