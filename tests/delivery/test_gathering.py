"""Traces are gathered until they are whole, and sampling decides on them then."""

from __future__ import annotations

from typing import Any

import pytest

from autotrace.delivery.destinations import Record
from autotrace.delivery.gathering import HOLD_S, REMEMBERED, UNDECIDED_S, Gatherer
from autotrace.delivery.parcels import Item, Parcel
from autotrace.delivery.sampling import Sampler

TRACE, OTHER = "1" * 32, "2" * 32
RESOURCE: dict[str, Any] = {}
#: Keeps nothing that nothing speaks for, all, and nothing but the slow.
NOTHING, SLOW = Sampler(0.0), Sampler(0.0, slow_s=2.0)


def record(kind: str, name: str, root: bool = False, trace: str = TRACE, **more: Any) -> Record:
    body = {"name": name, "root": root, "status": "ok", "start": 0, "end": 10**9, "attributes": {}, **more}
    return Record(kind, trace, name.rjust(16, "0"), body)


class Line:
    """A gatherer, what is fed to it, and what comes out."""

    def __init__(self, sampler: Sampler | None = None, **more: Any) -> None:
        self.gatherer = Gatherer(sampler, **more)
        self.parcels: list[Parcel] = []

    def add(self, *records: Record, now: float = 0.0, source: str = "p", size: int = 100) -> Parcel:
        parcel = Parcel(0, size, records)
        self.parcels.append(parcel)
        self.gatherer.add([Item(one, parcel) for one in records], source, RESOURCE, now)
        return parcel

    def due(self, now: float = 0.0, last: bool = False) -> list[tuple[list[str], bool]]:
        found = []
        while load := self.gatherer.due(now, last):
            found.append(([item.record.body["name"] for item in load.items], not load.is_counted_only))
        return found


def test_a_trace_waits_for_its_root() -> None:
    """Spans come with their root, in one load, however many batches they came in."""
    line = Line()
    line.add(record("S", "a", root=True), record("E", "b"))
    line.add(record("E", "c"), record("E", "other", root=True, trace=OTHER))
    assert line.due() == [(["other"], True)]
    line.add(record("E", "a", root=True))
    assert line.due() == [(["a", "b", "c", "a"], True)]
    assert line.gatherer.due_at() is None


def test_all_roots_of_one_process_are_waited_for() -> None:
    """A trace with two roots here is whole when both have ended."""
    line = Line()
    line.add(record("S", "a", root=True), record("S", "b", root=True))
    line.add(record("E", "a", root=True))
    assert line.due() == []
    line.add(record("E", "b", root=True))
    assert line.due() == [(["a", "b", "a", "b"], True)]


def test_a_long_trace_goes_in_parts() -> None:
    """What has come goes on after a while; what comes then is gathered anew."""
    line = Line()
    line.add(record("S", "a", root=True), record("E", "b"))
    assert line.gatherer.due_at() == HOLD_S
    assert line.due(HOLD_S - 1) == []
    assert line.due(HOLD_S) == [(["a", "b"], True)]
    line.add(record("E", "c"), now=HOLD_S)
    assert line.due(HOLD_S) == []
    line.add(record("E", "a", root=True), now=HOLD_S)
    assert line.due(HOLD_S) == [(["c", "a"], True)]


def test_stragglers_do_not_wait() -> None:
    """A span that ends after its root goes at once."""
    line = Line()
    line.add(record("E", "a", root=True))
    assert line.due() == [(["a"], True)]
    line.add(record("E", "late"))
    assert line.due() == [(["late"], True)]


def test_flush_waits_for_nothing() -> None:
    """At a flush what is there goes, root or not."""
    line = Line()
    line.add(record("S", "a", root=True), record("E", "b"))
    assert line.due(last=True) == [(["a", "b"], True)]


def test_an_interrupted_root_ends_its_trace() -> None:
    """So does the word that its process is gone."""
    line = Line()
    line.add(record("E", "b"))
    line.add(record("I", "a", root=True, end=None))
    assert line.due() == [(["b", "a"], True)]


def test_processes_are_kept_apart() -> None:
    """Parts of one trace from two processes are two loads, for each has its own resource."""
    line = Line()
    line.add(record("E", "b"), source="p")
    line.add(record("E", "c"), source="q")
    line.add(record("E", "a", root=True), source="p")
    assert line.due() == [(["b", "a"], True)]
    line.add(record("E", "d", root=True), source="q")
    assert line.due() == [(["c", "d"], True)]


def test_memory_is_bounded() -> None:
    """Beyond the bound the oldest trace goes on without the rest."""
    line = Line(sizes=250)
    for number in range(3):
        line.add(record("E", f"{number}", trace=f"{number + 1:032x}"))
    assert line.due() == [(["0"], True)]
    for number in range(3 * REMEMBERED):
        line.add(record("E", "r", root=True, trace=f"{number + 9:032x}"))
        line.due()
    held = [vars(line.gatherer)[name] for name in ("_fates", "_over")]
    assert max(map(len, held)) <= REMEMBERED


def test_feedback_does_not_wait() -> None:
    """Feedback on a trace that is not here goes at once; that on one that is here goes with it."""
    line = Line()
    line.add(record("F", "thumb"))
    assert line.due() == [(["thumb"], True)]
    line.add(record("S", "a", root=True), record("F", "early"))
    assert line.due() == []
    line.add(record("E", "a", root=True))
    assert line.due() == [(["a", "early", "a"], True)]


@pytest.mark.parametrize(
    ("sampler", "more", "kept"),
    [
        (NOTHING, {}, False),
        (Sampler(1.0), {}, True),
        (NOTHING, {"status": "error"}, True),
        (SLOW, {"end": 2 * 10**9}, True),
        (SLOW, {"end": 2 * 10**9 - 1}, False),
        (SLOW, {"end": "later"}, False),
        (Sampler(0.0, cost_usd=0.5, cost=lambda record: 0.5), {}, True),
        (Sampler(0.0, cost_usd=0.5, cost=lambda record: 0.1), {}, False),
        (Sampler(0.0, cost_usd=0.5, cost=lambda record: None), {}, False),
    ],
)
def test_sampling_decides_on_whole_traces(sampler: Sampler, more: dict[str, Any], kept: bool) -> None:
    """An error, a long time and a high cost keep a trace, all of it."""
    line = Line(sampler)
    line.add(record("E", "b"))
    line.add(record("E", "c", **more), record("E", "a", root=True))
    assert line.due() == [(["b", "c", "a"], kept)]
    line.add(record("E", "late"))
    assert line.due() == [(["late"], kept)]


def test_the_share_is_of_ids() -> None:
    """Of many traces about the share is kept, and every process chooses the same ones."""
    sampler = Sampler(0.25)
    ids = [f"{number:016x}{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(1, 4001)]
    kept = [one for one in ids if sampler.is_in_share(one)]
    assert 900 < len(kept) < 1100
    assert kept == [one for one in ids if Sampler(0.25).is_in_share(one)]
    assert all(Sampler(1.0).is_in_share(one) for one in ids)
    assert not any(NOTHING.is_in_share(one) for one in ids)


def test_undecided_is_settled_but_not_taken() -> None:
    """What waits for a decision may be waited for by nobody, but must not be lost."""
    line = Line(NOTHING)
    parcel = line.add(record("S", "a", root=True), record("E", "b"))
    assert (parcel.left, parcel.undecided) == (2, 2)
    assert line.due(last=True) == []
    line.add(record("E", "c", status="error"))
    assert parcel.undecided == 0
    assert line.due(last=True) == [(["a", "b", "c"], True)]
    assert line.parcels[1].undecided == 0


def test_a_trace_that_runs_for_ever_is_kept() -> None:
    """A trace that is already slow, or has been undecided for very long, is kept as it comes."""
    line = Line(SLOW)
    line.add(record("S", "a", root=True), record("E", "b"))
    assert line.due(1.0) == []
    assert line.due(2.0, last=True) == [(["a", "b"], True)]
    line = Line(NOTHING)
    line.add(record("S", "a", root=True), record("E", "b"))
    assert line.due(HOLD_S) == []
    assert line.due(UNDECIDED_S) == [(["a", "b"], True)]
