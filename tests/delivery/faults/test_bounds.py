"""A journal that has reached its bounds: the oldest goes, and how much went is known exactly."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrace.delivery import outlets, shipping
from autotrace.delivery.drain import Drainer
from autotrace.delivery.limits import Limits, look_at

from .conftest import UNDELIVERED

#: A process that makes traces of two spans and is killed.
KILLED = f"{UNDELIVERED}for _ in range(100):\n    trace('x' * 1000)\nos.kill(os.getpid(), signal.SIGKILL)"
PROCESSES = 5


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Bounds are looked at all the time, and failures followed by short pauses."""
    monkeypatch.setattr(shipping, "LIMIT_S", 0.01)
    monkeypatch.setattr(outlets, "BACKOFF_S", 0.01)
    monkeypatch.setattr(outlets, "LONGEST_BACKOFF_S", 0.05)


@pytest.fixture
def drainers() -> Iterator[list[Drainer]]:
    """Drainers, to be closed."""
    found: list[Drainer] = []
    yield found
    for drainer in found:
        drainer.close(5)


def size(folder: Path) -> int:
    return sum(state.size for state in look_at(folder))


def dropped(drainer: Drainer) -> int:
    return sum(outlet.dropped for outlet in drainer.outlets)


def test_own_segments(make_line, collecting, until, caplog):
    """A process whose destination is down keeps its newest spans within the bound; those it gave up it has counted."""
    limits = Limits(size=400_000)
    line = make_line([collecting], segment_bytes=limits.segment_size)
    line.drainer.close()
    line.drainer = Drainer(line.journal.folder, [collecting], interval_s=0.01, limits=limits)
    collecting.error = ConnectionRefusedError()
    names = [f"span {number}" for number in range(2000)]
    with caplog.at_level(logging.ERROR, "autotrace"):
        for name in names:
            line.tracer.start_span(name, attributes={"text": "x" * 1000}).end()
            line.drainer.wake()
        until(lambda: size(line.journal.folder) <= limits.size)
    collecting.error = None
    until(lambda: line.drainer.flush(10))
    assert line.drainer.close(30)
    arrived = collecting.named("E")
    assert arrived == [name for name in names if name in set(arrived)]
    assert names[-1] in arrived
    assert 0 < dropped(line.drainer) == len(names) - len(arrived)
    assert "records are lost" in caplog.text


def test_segments_of_others(programs, make_collecting, drainers, until):
    """What processes that are gone have left goes oldest first, whichever of two drainers lets it go; each span that
    does not arrive is counted once."""
    for _ in range(PROCESSES):
        programs.run(KILLED, -9)
    folder = programs.home / "journal"
    bound = size(folder) // 2
    destinations = [make_collecting("store"), make_collecting("store")]
    for destination in destinations:
        destination.error = ConnectionRefusedError()
        drainers.append(Drainer(folder, [destination], interval_s=0.01, limits=Limits(size=bound)))
    for drainer in drainers:
        drainer.wake()
    until(lambda: size(folder) <= bound)
    for destination in destinations:
        destination.error = None
    for drainer in drainers:
        assert drainer.adopt(30, gives_up=False)
        assert drainer.close(30)
    arrived = [record for destination in destinations for record in destination.records if record.kind == "E"]
    made = programs.made()
    assert len({record.span_id for record in arrived}) == len(arrived)
    assert 0 < sum(map(dropped, drainers)) == 2 * len(made) - len(arrived)
    newest = programs.report.read_text().split()[-1]
    assert newest in {record.trace_id for record in arrived}


@pytest.mark.parametrize("comes_up", [True, False])
def test_age(programs, make_collecting, drainers, until, monkeypatch, comes_up):
    """What no destination has taken for too long goes from the disk, and what is younger stays. What has been read by
    then is delivered if the destination is up before the process ends, and otherwise counted as lost."""
    programs.run(KILLED, -9)
    folder = programs.home / "journal"
    [old] = folder.glob("*.journal")
    os.utime(old, (0, 0))
    programs.run(KILLED, -9)
    collecting = make_collecting("store")
    collecting.error = ConnectionRefusedError()
    # Only what has been in hand for a while is old: see the tests of clocks.
    drainers.append(Drainer(folder, [collecting], interval_s=0.01, limits=Limits(age_s=600.0)))
    drainers[0].wake()
    until(lambda: drainers[0].outlets[0].failures)
    assert old.exists()
    monotonic = time.monotonic
    monkeypatch.setattr(shipping.time, "monotonic", lambda: monotonic() + 601)
    until(lambda: not old.exists())
    assert len(list(folder.glob("*.journal"))) == 1
    if comes_up:
        collecting.error = None
        assert drainers[0].adopt(30, gives_up=False)
    assert drainers[0].close(30) or not comes_up
    assert len(collecting.named("E")) == (400 if comes_up else 0)
    assert dropped(drainers[0]) == (0 if comes_up else 200)
