"""Several destinations: each goes its own way, at its own pace."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value

from autotrace.delivery import lanes, outlets
from autotrace.delivery.destinations import WHOLE_TRACE, Record, RetryLater
from autotrace.delivery.drain import Drainer
from autotrace.delivery.encoding import dumps
from autotrace.delivery.outlets import Outlet
from autotrace.delivery.sampling import Sampler
from autotrace.delivery.spares import Spares

from .conftest import Collecting, Line

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Blocking(Collecting):
    """A destination that does not return until it is let go."""

    def __init__(self) -> None:
        super().__init__("blocking")
        self.entered = threading.Event()
        self.release = threading.Event()

    def deliver(self, records: Any, resource: Any) -> None:
        self.entered.set()
        assert self.release.wait(60)
        super().deliver(records, resource)


def ended(line: Line, *names: str, **more: Any) -> None:
    for name in names:
        line.tracer.start_span(name, **more).end()


def noted(line: Line, kind: str = "F", trace: str = TRACE, **more: Any) -> None:
    """Journals feedback or an update."""
    keys = ("id", "type", "name", "value", "comment", "source_type", "source", "time", "metadata", "session", "user")
    line.journal.note(kind, f"{trace} {WHOLE_TRACE}", dumps({**dict.fromkeys(keys), "tags": {}, "name": "n", **more}))
    line.drainer.wake()


def test_slow_one_holds_up_no_other(make_line: Any, until: Any) -> None:
    """While one destination hangs another gets everything; the hanging one is given one load and no more."""
    slow, fast = Blocking(), Collecting("fast")
    line = make_line([slow, fast])
    ended(line, "a")
    assert slow.entered.wait(60)
    for number in range(50):
        ended(line, f"span {number}")
    until(lambda: len(fast.named("E")) == 51)
    assert slow.records == []
    assert not line.drainer.flush(0.2)
    slow.release.set()
    assert line.drainer.flush(60)
    assert sorted(slow.named("E")) == sorted(fast.named("E"))


def test_exit_waits_for_no_slow_one(make_line: Any, home: Path) -> None:
    """The end is bounded; what a hanging destination has not taken is there for the next process."""
    slow, fast = Blocking(), Collecting("fast")
    line = make_line([slow, fast])
    ended(line, "a")
    assert slow.entered.wait(60)
    ended(line, "b")
    assert not line.drainer.close(0.5)
    assert fast.named("E") == ["a", "b"]
    late = Collecting("blocking")
    assert Drainer(home / "journal", [late, fast]).adopt()
    assert late.named("E") == ["a", "b"]
    slow.release.set()


def test_what_is_not_taken_yet_comes_again(make_line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that a destination hands back come again, and hold up nothing behind them."""
    monkeypatch.setattr(lanes, "LATE_S", 0.05)

    class Choosy(Collecting):
        refusals = 3

        def deliver(self, records: Any, resource: Any) -> Any:
            back = [one for one in records if one.kind == "F" and self.refusals > 0]
            self.refusals -= len(back)
            super().deliver([one for one in records if one not in back], resource)
            return back

    choosy = Choosy()
    line = make_line([choosy])
    noted(line)
    ended(line, "a")
    assert line.drainer.flush(30)
    assert [one.kind for one in choosy.records] == ["E", "F"]
    assert choosy.refusals == 0


def test_what_is_never_taken_moves_on(
    make_line: Any, monkeypatch: pytest.MonkeyPatch, until: Any, journalled: Callable[[], list[Record]]
) -> None:
    """What comes back for long is journalled anew, so that the segment that it lay in can go."""
    monkeypatch.setattr(lanes, "LATE_S", 0.02)
    monkeypatch.setattr(lanes, "MOVED_AFTER_S", 0.05)

    class Never(Collecting):
        def deliver(self, records: Any, resource: Any) -> Any:
            super().deliver(records, resource)
            return [one for one in records if one.kind == "F"]

    line = make_line([Never()])
    noted(line)
    until(lambda: len([one for one in journalled() if one.kind == "F"]) > 1)
    bodies = [one.body for one in journalled() if one.kind == "F"]
    assert bodies[0] == bodies[1]


def test_own_requests_are_not_traced(make_line: Any) -> None:
    """OpenTelemetry's instrumentations are suppressed while a destination is at work, and only then."""
    seen = []

    class Looking(Collecting):
        def deliver(self, records: Any, resource: Any) -> None:
            seen.append(get_value(_SUPPRESS_INSTRUMENTATION_KEY))

    line = make_line([Looking(), Collecting("other")])
    ended(line, "a")
    assert line.drainer.flush(30)
    assert seen
    assert set(seen) == {True}
    assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination is left in peace longer each time, never at one moment by all; what it asked for is honoured."""
    random.seed(7)
    now = [1000.0]
    monkeypatch.setattr(outlets.time, "monotonic", lambda: now[0])
    destination = Collecting()
    outlet = Outlet(destination)
    destination.error = RuntimeError("no")
    pauses = []
    for _ in range(12):
        assert outlet.deliver([Record("F", TRACE, WHOLE_TRACE, {})], {}) is None
        pauses.append(outlet.retry_at - now[0])
    steps = [min(outlets.BACKOFF_S * 2**n, outlets.LONGEST_BACKOFF_S) for n in range(12)]
    assert all(step / 2 <= pause <= step for pause, step in zip(pauses, steps, strict=True))
    assert len({pause / step for pause, step in zip(pauses, steps, strict=True)}) == 12
    for asked, least in ((7.0, 7.0), (1e9, outlets.LONGEST_ASKED_S), (-5.0, 0.0)):
        destination.error = RetryLater("busy", asked)
        outlet.deliver([Record("F", TRACE, WHOLE_TRACE, {})], {})
        assert least <= outlet.retry_at - now[0] <= least * 1.1


class Counting(Collecting):
    """A destination that counts what sampling leaves out."""

    def __init__(self) -> None:
        super().__init__("counting")
        self.counted: list[str] = []

    def count(self, records: Any, resource: Any) -> None:
        self.counted += [one.body["name"] for one in records if one.kind == "E"]


def sampled(line: Line, destination: Collecting) -> Drainer:
    line.drainer.close(5)
    line.drainer = Drainer(line.journal.folder, [destination], sampler=Sampler(0.0))
    return line.drainer


def test_sampled_out_is_counted(make_line: Any, home: Path) -> None:
    """What sampling leaves out is told to a destination that counts, and is done with."""
    line, counting = make_line([]), Counting()
    drainer = sampled(line, counting)
    ended(line, "a", "b")
    with pytest.raises(RuntimeError), line.tracer.start_as_current_span("bad"):
        raise RuntimeError("no")
    assert drainer.flush(30)
    assert (counting.named("E"), counting.counted) == (["bad"], ["a", "b"])
    assert drainer.close(5)
    assert not list((home / "journal").glob("*.journal"))


def test_feedback_that_another_process_has_got_already(make_line: Any) -> None:
    """A trace is kept on which feedback came to another process before it was over; what is beside it is left out."""
    line, counting = make_line([]), Counting()
    drainer = sampled(line, counting)
    with line.tracer.start_as_current_span("root") as root:
        Spares(line.journal.folder).want(f"{root.get_span_context().trace_id:032x}")
        ended(line, "child")
    ended(line, "other")
    assert drainer.flush(30)
    assert (counting.named("E"), counting.counted) == (["child", "root"], ["other"])
    assert drainer.close(5)


def test_feedback_on_what_another_process_has_leaves_word(make_line: Any) -> None:
    """Whoever delivers feedback tells those that may have its trace; the word is its owner's alone, and bounded."""
    line = make_line([])
    drainer = sampled(line, Counting())
    noted(line)
    noted(line, trace="f" * 32)
    assert drainer.flush(30)
    assert Spares(line.journal.folder).wanted() == {TRACE, "f" * 32}
    assert drainer.close(5)


def test_word_of_feedback_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process keeps two files of it; what is older is gone."""
    monkeypatch.setattr("autotrace.delivery.spares.WANTED_BYTES", 100)
    spares = Spares(tmp_path)
    for number in range(50):
        spares.want(f"{number:032x}")
    assert len(list(tmp_path.iterdir())) == 2
    assert f"{49:032x}" in Spares(tmp_path).wanted()
    assert f"{0:032x}" not in Spares(tmp_path).wanted()


def test_feedback_brings_a_trace_back(make_line: Any, home: Path) -> None:
    """A thumb on a trace that was left out brings it back, from another process of the same home too."""
    line, counting = make_line([]), Counting()
    drainer = sampled(line, counting)
    with line.tracer.start_as_current_span("root") as root:
        trace = f"{root.get_span_context().trace_id:032x}"
        ended(line, "child")
    ended(line, "other")
    assert drainer.flush(30)
    assert (counting.named("E"), counting.counted) == ([], ["child", "root", "other"])
    noted(line, trace=trace)
    assert drainer.flush(30)
    assert [(one.kind, one.body["name"]) for one in counting.records] == [("E", "child"), ("E", "root"), ("F", "n")]
    assert counting.resources[0]["service.name"] == "test"
    noted(line, trace=trace)
    assert drainer.flush(30)
    assert len(counting.records) == 4
    assert drainer.close(5)
    elsewhere, again = Line(home, []), Counting()
    drainer = sampled(elsewhere, again)
    noted(elsewhere, trace=trace)
    assert drainer.flush(30)
    assert again.named("E") == ["child", "root"]
    assert drainer.close(5)
