"""Rare moments: no threads, files that stay, other settings, a rotation at the wrong time."""

from __future__ import annotations

import threading
from pathlib import Path

from autotrace.delivery import lanes
from autotrace.delivery.destinations import Record
from autotrace.delivery.gathering import HOLD_S, Gatherer
from autotrace.delivery.limits import Limits
from autotrace.delivery.parcels import Item, Parcel
from autotrace.delivery.sampling import Sampler
from autotrace.delivery.segments import segment_names
from autotrace.delivery.shipping import Shipping
from autotrace.delivery.stock import Stock


def ended(line, *names):
    for name in names:
        line.tracer.start_span(name).end()


def no_threads(self):
    raise RuntimeError("can't start new thread")


def test_lines_in_memory_come_once(make_line, make_collecting, home):
    """What cannot be written reaches a destination once though another one is down; that one gets it later."""
    home.mkdir(mode=0o700)
    (home / "journal").write_text("in the way")
    good, bad = make_collecting("good"), make_collecting("bad")
    bad.error = OSError("down")
    line = make_line([good, bad])
    ended(line, "a")
    assert not line.drainer.flush(2)
    assert bad.attempts > 1
    bad.error = None
    assert line.drainer.flush(30)
    assert good.named("E") == bad.named("E") == ["a"]


def test_other_destinations_at_run_time(make_line, make_collecting, home):
    """What a destination has not got when the settings name another one stays for it."""
    first, second = make_collecting("first"), make_collecting("second")
    first.error = OSError("down")
    before = make_line([first])
    before.journal._destinations = ["first"]
    ended(before, "one")
    assert not before.drainer.close(1)
    now = make_line([second])
    now.journal._destinations = ["second"]
    ended(now, "two")
    assert now.drainer.flush(30)
    assert second.named("E") == ["two"]
    assert now.drainer.close(30)
    assert [name.process for name in segment_names(home / "journal")] == [before.journal.process]


def test_next_segment_begins_while_the_drainer_looks(make_line, collecting, monkeypatch):
    """A root that is open is not told as interrupted though a segment is let go just after the folder was listed."""
    line = make_line([collecting], segment_bytes=2000)
    root = line.tracer.start_span("root")
    assert line.drainer.flush(30)
    real, looks = Stock.look_again, []

    def look(self):
        looks.append(None)
        if len(looks) == 2:
            ended(line, *map(str, range(12)))
        real(self)

    monkeypatch.setattr(Stock, "look_again", look)
    assert line.drainer.flush(30)
    assert len(looks) > 1
    assert collecting.named("I") == []
    root.end()


def test_no_thread_for_a_lane(make_line, make_collecting, monkeypatch):
    """Where no thread can be had for a destination it is tried again later, not at once and for ever."""
    line = make_line([make_collecting("a"), make_collecting("b")])
    starts = []

    class None_(threading.Thread):
        def start(self):
            starts.append(None)
            no_threads(self)

    ended(line, "x")
    monkeypatch.setattr(lanes.threading, "Thread", None_)
    assert not line.drainer.flush(1)
    assert 0 < len(starts) < 50


def test_no_thread_for_the_drainer(make_line, collecting, monkeypatch, until):
    """A drainer that cannot start at first starts with a later span."""
    line = make_line([collecting])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_threads)
        ended(line, "x")
    ended(line, "y")
    until(lambda: len(collecting.named("E")) == 2)
    assert collecting.named("E") == ["x", "y"]


def test_segment_that_cannot_be_removed(make_line, collecting, monkeypatch, caplog):
    """It is delivered once, told once, and nothing else is held up."""
    real = Path.unlink

    def unlink(self, missing_ok=False):
        if self.suffix == ".journal":
            raise PermissionError(13, "no", str(self))
        real(self, missing_ok)

    line = make_line([collecting])
    ended(line, "x")
    line.journal.retire()
    monkeypatch.setattr(Path, "unlink", unlink)
    assert line.drainer.flush(30)
    ended(line, "y")
    assert line.drainer.flush(30)
    assert collecting.named("E") == ["x", "y"]
    assert caplog.text.count("cannot be removed") == 1


def test_interrupted_run_that_is_not_taken(make_line, make_collecting, monkeypatch, run, until):
    """A span that a destination does not take for long is not lost, and comes with its own process's attributes."""
    monkeypatch.setattr(lanes, "LATE_S", 0.02)
    monkeypatch.setattr(lanes, "MOVED_AFTER_S", 0.05)

    class Late(make_collecting):
        refusals = 0

        def deliver(self, records, resource):
            left = [one for one in records if one.kind == "I"] if self.refusals < 5 else []
            self.refusals += bool(left)
            super().deliver([one for one in records if one not in left], resource)
            return left

    run("tracer(lambda: None).start_span('root'); os._exit(0)")
    late = Late()
    line = make_line([late])
    line.drainer.wake()
    until(lambda: late.named("I") == ["root"])
    assert late.resources[-1]["service.name"] == "child"
    assert line.drainer.damaged == 0


def test_undecided_trace_is_looked_at_when_it_can_be_decided():
    """A trace that sampling cannot decide is no reason to look again and again."""
    record = Record("S", "1" * 32, "2" * 16, {"root": True})
    gatherer = Gatherer(Sampler(0.0))
    gatherer.add([Item(record, Parcel(0, 10, [record]))], "p", {}, 0.0)
    assert gatherer.due(HOLD_S + 1) is None
    due = gatherer.due_at()
    assert due > HOLD_S + 1
    assert gatherer.due(due) is not None


def test_somebody_waits(line, collecting):
    """A long delivery makes room for who waits for an answer, such as a fork."""
    line.journal._segment_bytes = 2000
    line.drainer._closed = True
    ended(line, *map(str, range(20)))
    shipping = Shipping(line.journal.folder, [collecting], Limits(), None, lambda: None)
    shipping.advance(is_wanted=lambda: collecting.attempts > 0)
    assert collecting.attempts == 1
    shipping.advance()
    assert collecting.named("E") == [str(number) for number in range(20)]
    shipping.close()
