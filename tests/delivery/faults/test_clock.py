"""Clocks that jump: nothing is lost for it, and nothing is old or lasts forever because of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

import pytest

from autotrace.delivery.drain import Drainer

from .conftest import UNDELIVERED

#: A clock that a program can set; it must be there before anything has taken the real one by name.
CLOCK = """
import time as _time
_real, _real_ns, _jump = _time.time, _time.time_ns, [0]
_time.time = lambda: _real() + _jump[0] / 1e9
_time.time_ns = lambda: _real_ns() + _jump[0]
def jump(seconds):
    _jump[0] += int(seconds * 1e9)
"""
DAY, YEAR = 86_400, 365 * 86_400
JUMPS = {
    "back a day": [-DAY],
    "forward ten years": [10 * YEAR],
    "to and fro": [-DAY, 3 * DAY, -10 * YEAR, 20 * YEAR, -3600, -10 * YEAR],
    "before 1970": [-70 * YEAR],
}


@pytest.fixture
def run(programs) -> Callable[..., None]:
    """Runs a program whose clock can be set."""

    def work(code: str, status: int = 0) -> None:
        programs.run(code, status, CLOCK)

    return work


@pytest.mark.parametrize("jumps", JUMPS)
def test_jumps_while_a_program_works(run, programs, all_stored, jumps):
    """A program whose clock jumps between traces and in the midst of one delivers them all."""
    run(
        f"""
for seconds in {JUMPS[jumps]}:
    for _ in range(20):
        trace()
    with autotrace.span("work"):
        with autotrace.span("step"):
            jump(seconds)
        trace_id = autotrace.current_trace_id()
    os.write(report, f"{{trace_id}}\\n".encode())
    for _ in range(20):
        trace()
    assert autotrace.flush(30)
"""
    )
    all_stored()
    assert len(programs.made()) == 41 * len(JUMPS[jumps])


@pytest.mark.parametrize("seconds", [-10 * YEAR, 10 * YEAR])
def test_jump_and_then_death(run, programs, all_stored, seconds):
    """What a process left whose clock was years off is delivered by one with the right time."""
    run(f"{UNDELIVERED}jump({seconds})\nfor _ in range(50):\n    trace()\nos.kill(os.getpid(), signal.SIGKILL)", -9)
    programs.adopt()
    all_stored()
    assert len(programs.made()) == 50


@pytest.mark.parametrize("seconds", [-10 * YEAR, 10 * YEAR])
def test_drainer_whose_clock_is_off(programs, all_stored, monkeypatch, seconds):
    """Ten years later by the clock, or before, what was left is delivered, and nothing is thrown away as too old."""
    programs.run(UNDELIVERED + "for _ in range(50):\n    trace()\nos.kill(os.getpid(), signal.SIGKILL)", -9)
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + seconds * 10**9)
    drainer = programs.adopt()
    all_stored()
    assert [outlet.dropped for outlet in drainer.outlets] == [0]


@pytest.mark.parametrize("seconds", [-10 * YEAR, 10 * YEAR])
def test_jump_while_the_destination_is_down(programs, make_collecting, monkeypatch, until, seconds):
    """A clock that jumps while a destination is down neither throws away what waits nor delays the next attempt."""
    programs.run(UNDELIVERED + "for _ in range(50):\n    trace()\nos.kill(os.getpid(), signal.SIGKILL)", -9)
    destination = make_collecting("store")
    destination.error = ConnectionRefusedError()
    drainer = Drainer(programs.home / "journal", [destination], interval_s=0.01)
    drainer.wake()
    until(lambda: destination.attempts)
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + seconds * 10**9)
    before = destination.attempts
    until(lambda: destination.attempts > before)
    destination.error = None
    until(lambda: len(destination.named("E")) == 100)
    assert drainer.close(30)
    assert [outlet.dropped for outlet in drainer.outlets] == [0]


def test_times_that_run_backwards(run, programs, all_stored):
    """A span during which the clock was set back ends no earlier than it began."""
    run('with autotrace.span("work"):\n    jump(-3600)\n')
    connection = sqlite3.connect(programs.home / "traces.db")
    [(status, start, end)] = connection.execute("SELECT status, start_ns, end_ns FROM spans").fetchall()
    connection.close()
    assert status == "ok"
    assert end >= start
