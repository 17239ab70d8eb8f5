"""Gathers the records of each trace until it is whole, for destinations that want it so, and for sampling."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .parcels import Item, Load
from .sampling import Sampler, speaks_for

#: Seconds after which what has come of a trace goes on without the rest.
HOLD_S = 30.0
#: Seconds after which a trace is kept of which sampling cannot yet say whether it should be.
UNDECIDED_S = 300.0
#: Bytes of the journal that are held at most; beyond them the oldest trace goes on without the rest.
HELD_BYTES = 32 * 1024 * 1024
#: What is put into one load at most: records, bytes of the journal.
LOAD_RECORDS, LOAD_BYTES = 2000, 1024 * 1024
#: Traces whose fate is remembered, for spans that end after their root.
REMEMBERED = 10_000


class Held:
    """What has come of one trace, from one process.

    Attributes:
        source: The process.
        since: When the first of it came, as a moment of `time.monotonic`.
        size: Bytes of the journal.
        open: Roots that have started and not ended, by span id.
        is_kept: Whether it is known that sampling keeps it.
    """

    __slots__ = ("is_kept", "items", "open", "resource", "since", "size", "source", "trace_id")

    def __init__(self, trace_id: str, source: str, resource: Mapping[str, Any], now: float, is_kept: bool) -> None:
        self.trace_id = trace_id
        self.source = source
        self.resource = resource
        self.since = now
        self.is_kept = is_kept
        self.items: list[Item] = []
        self.size = 0
        self.open: set[str] = set()


class Gatherer:
    """Holds records until their trace is whole, and lets sampling decide on it.

    A trace is whole when the roots that this process has begun in it have ended.

    Args:
        sampler: None: every trace is kept.
        sizes: Bytes that are held at most.
    """

    def __init__(self, sampler: Sampler | None = None, sizes: int = HELD_BYTES) -> None:
        self._sampler = sampler
        self._limit = sizes
        self._size = 0
        self._held: OrderedDict[tuple[str, str], Held] = OrderedDict()
        self._ready: deque[tuple[Held, bool]] = deque()
        #: Whether a trace is kept, of those that have gone on.
        self._fates: OrderedDict[str, bool] = OrderedDict()
        #: Traces whose roots have ended: what comes of them now need not wait.
        self._over: OrderedDict[tuple[str, str], None] = OrderedDict()

    def keeps(self, trace_id: str) -> bool:
        """Takes note that a trace is kept from now on; False where that is known."""
        is_new = self._fates.get(trace_id) is not True
        self._fates[trace_id] = True
        _forget(self._fates)
        return is_new

    def anew(self) -> Gatherer:
        """One like it that holds nothing."""
        return Gatherer(self._sampler, self._limit)

    def add(self, items: Sequence[Item], source: str, resource: Mapping[str, Any], now: float) -> None:
        """Takes in what has been read.

        Args:
            items: Records of one batch.
            source: The process that they come from.
            resource: Its attributes.
            now: Moment of `time.monotonic`.
        """
        if not items:
            return
        parcel = items[0].parcel
        size = max(1, (parcel.end - parcel.start) // len(items))
        for item in items:
            self._add(item, size, source, resource, now)
        while self._size > self._limit and self._held:
            self._release(next(iter(self._held.values())), True)

    def due(self, now: float, is_last_call: bool = False) -> Load | None:
        """What goes on now: whole traces, and those that have waited long enough.

        Args:
            now: Moment of `time.monotonic`.
            is_last_call: Nothing waits any longer but what sampling cannot decide yet.
        """
        for held in list(self._held.values()):
            if self._is_slow_already(held, now) or now >= held.since + UNDECIDED_S:
                self._decide(held)
            if held.is_kept and (is_last_call or now >= held.since + HOLD_S):
                self._release(held, False)
            elif not is_last_call and now < held.since + HOLD_S:
                break  # those behind it came later
        return self._load() if self._ready else None

    def due_at(self) -> float | None:
        """When something is due, as a moment of `time.monotonic`; None: nothing waits."""
        if self._ready:
            return 0.0
        return min(map(self._due_at, self._held.values()), default=None)

    def in_hand(self) -> Iterator[Item]:
        """Everything that is held."""
        for held in [*self._held.values(), *(held for held, _ in self._ready)]:
            yield from held.items

    def _add(self, item: Item, size: int, source: str, resource: Mapping[str, Any], now: float) -> None:
        record = item.record
        key = record.trace_id, source
        held = self._held.get(key)
        if held is None:
            fate = self._fates.get(record.trace_id)
            is_kept = self._sampler is None or fate is True
            held = Held(record.trace_id, source, resource, now, is_kept)
            if key in self._over or record.kind in "FU":
                self._hold(held, item, size)
                self._go(held, fate is not False or record.kind == "F")
                return
            self._held[key] = held
        self._hold(held, item, size)
        if speaks_for(record):
            self._decide(held)
        if record.kind == "S":
            held.open.add(record.span_id)
        elif record.kind in "EI":
            held.open.discard(record.span_id)
            if not held.open and (record.kind == "I" or record.body.get("root")):
                self._over[key] = None
                _forget(self._over)
                self._release(held, False)

    def _hold(self, held: Held, item: Item, size: int) -> None:
        held.items.append(item)
        held.size += size
        self._size += size
        if not held.is_kept:
            item.parcel.undecided += 1

    def _decide(self, held: Held) -> None:
        """It is kept, whatever else comes."""
        if not held.is_kept:
            held.is_kept = True
            for item in held.items:
                item.parcel.undecided -= 1

    def _due_at(self, held: Held) -> float:
        """When a trace goes on, or is decided on, although it is not whole."""
        if held.is_kept:
            return held.since + HOLD_S
        slow = self._sampler.slow_s if self._sampler is not None and held.open else None
        return held.since + (UNDECIDED_S if slow is None else min(max(slow, HOLD_S), UNDECIDED_S))

    def _is_slow_already(self, held: Held, now: float) -> bool:
        slow = self._sampler.slow_s if self._sampler is not None else None
        return slow is not None and bool(held.open) and now >= held.since + slow

    def _release(self, held: Held, is_forced: bool) -> None:
        """Lets what is held of a trace go on."""
        self._held.pop((held.trace_id, held.source), None)
        kept = is_forced or held.is_kept
        if not kept and self._sampler is not None:
            kept = self._sampler.keeps(held.trace_id, [item.record for item in held.items])
        self._go(held, kept)

    def _go(self, held: Held, is_kept: bool) -> None:
        if not held.is_kept:
            for item in held.items:
                item.parcel.undecided -= 1
            held.is_kept = True  # no longer undecided
        self._size -= held.size
        self._fates[held.trace_id] = is_kept
        _forget(self._fates)
        self._ready.append((held, is_kept))

    def _load(self) -> Load:
        """As many of the traces that are ready as one load takes, of one process and one fate."""
        first, is_kept = self._ready[0]
        items: list[Item] = []
        size = 0
        while self._ready:
            held, kept = self._ready[0]
            is_full = items and (len(items) + len(held.items) > LOAD_RECORDS or size + held.size > LOAD_BYTES)
            if kept is not is_kept or held.source != first.source or is_full:
                break
            self._ready.popleft()
            size += held.size
            items += held.items
        return Load(items, first.resource, not is_kept)


def _forget(known: OrderedDict[Any, Any]) -> None:
    if len(known) > REMEMBERED:
        known.popitem(last=False)
