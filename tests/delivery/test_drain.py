"""The drainer: delivery, failure, adoption, and the end."""

from __future__ import annotations

import gc
import logging
import os
import sqlite3
import threading
import tracemalloc
from pathlib import Path

import pytest

from autotrace.delivery import drain
from autotrace.delivery.destinations.sqlite import StoreDestination
from autotrace.delivery.drain import Drainer


def ended(line, *names):
    for name in names:
        line.tracer.start_span(name).end()


class Blocking:
    """A destination that does not return until it is let go."""

    name = "blocking"

    def __init__(self):
        self.entered = threading.Event()
        self.release = threading.Event()
        self.returned = False

    def deliver(self, records, resource):
        self.entered.set()
        self.release.wait(60)
        self.returned = True

    def close(self):
        pass


def test_delivers_without_being_asked(line, spans, until):
    """A span is stored soon after it ended, by a thread that was not there before."""
    ended(line, "a")
    until(lambda: spans() == {"a": "ok"})
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "autotrace"] == [True]


def test_flush(line, spans):
    """What ended before a flush is stored when it returns; again and again, also when nothing is new."""
    for number in range(5):
        ended(line, f"span {number}")
        assert line.drainer.flush(30)
        assert list(spans()) == [f"span {n}" for n in range(number + 1)]
        assert line.drainer.flush(30)


def test_flush_without_thread(make_line, collecting):
    """Flush needs no thread."""
    line = make_line([collecting])
    line.drainer.wake = lambda: None
    line.processor._wake = lambda: None
    ended(line, "a")
    assert line.drainer.flush(30)
    assert collecting.named("E") == ["a"]
    assert all(thread.name != "autotrace" for thread in threading.enumerate())


def test_start_is_delivered_before_the_end(make_line, collecting, until):
    """A root is known to be running while it runs; its end comes later."""
    line = make_line([collecting])
    span = line.tracer.start_span("long")
    until(lambda: collecting.named("S") == ["long"])
    span.end()
    assert line.drainer.flush(30)
    assert collecting.named("E") == ["long"]


def test_the_program_steps_aside_for_a_delivery(make_line, monkeypatch):
    """While a delivery is under way, those who end spans let it have the interpreter's lock: so often, no oftener."""
    slept = []
    monkeypatch.setattr(drain, "_sleep", slept.append)
    blocking = Blocking()
    line = make_line([blocking])
    ended(line, "a")
    assert blocking.entered.wait(60)
    slept.clear()
    for number in range(drain.STEPS_ASIDE):
        ended(line, f"span {number}")  # wakes twice: when it starts and when it ends
    assert slept == [drain.ASIDE_S] * len(slept)
    assert 0 < len(slept) <= drain.STEPS_ASIDE
    blocking.release.set()
    assert line.drainer.close(60)
    slept.clear()
    ended(line, "late")
    assert slept == []


def test_without_a_sleep_of_its_own(make_line, collecting, monkeypatch):
    """Where the program has replaced `time.sleep` (gevent), nobody steps aside, and everything is delivered."""
    monkeypatch.setattr(drain, "_sleep", None)
    line = make_line([collecting])
    ended(line, *(f"span {number}" for number in range(100)))
    assert line.drainer.flush(30)
    assert len(collecting.named("E")) == 100


def test_each_destination_gets_all(make_line, make_collecting):
    """A destination that fails holds up no other, and gets what it missed when it works again."""
    good, bad = make_collecting("good"), make_collecting("bad")
    bad.error = RuntimeError("out of order")
    line = make_line([bad, good])
    ended(line, "a", "b")
    assert not line.drainer.flush(2)
    assert good.named("E") == ["a", "b"]
    ended(line, "c")
    assert not line.drainer.flush(2)
    bad.error = None
    while not line.drainer.flush(30):
        pass
    assert bad.named("E") == good.named("E") == ["a", "b", "c"]


def test_failure_is_retried_later_and_told_once(make_line, make_collecting, until, caplog):
    """A failing destination is tried again by itself, ever less often, and complained about once."""
    destination = make_collecting()
    destination.error = RuntimeError("out of order")
    line = make_line([destination])
    with caplog.at_level(logging.ERROR, "autotrace"):
        ended(line, "a")
        until(lambda: destination.attempts >= 3)
        destination.error = None
        until(lambda: destination.named("E") == ["a"])
    assert destination.attempts < 10
    assert caplog.text.count("out of order") == 1


def test_newer_store(line, home, caplog, spans):
    """Where a newer autotrace wrote the store, that is told once, and the records stay in the journal."""
    home.mkdir()
    connection = sqlite3.connect(home / "traces.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (home / "traces.db").read_bytes()
    with caplog.at_level(logging.WARNING, "autotrace"):
        ended(line, "a")
        assert not line.drainer.flush(2)
        ended(line, "b")
        assert not line.drainer.close(30)
    assert caplog.text.count("newer autotrace") == 1
    assert (home / "traces.db").read_bytes() == before
    (home / "traces.db").unlink()
    destination = StoreDestination(home / "traces.db")
    assert Drainer(line.journal.folder, [destination]).adopt()
    destination.close()
    assert spans() == {"a": "ok", "b": "ok"}


def test_close_is_bounded(make_line, home):
    """Close does not wait for a destination that hangs; the records stay for the next process."""
    hanging = Blocking()
    line = make_line([hanging])
    ended(line, "a")
    assert hanging.entered.wait(60)
    assert not line.drainer.close(0.2)
    assert not hanging.returned
    assert len(list((home / "journal").glob("*.journal"))) == 1
    hanging.release.set()


def test_flush_is_bounded(make_line):
    """Nor does flush."""
    hanging = Blocking()
    line = make_line([hanging])
    ended(line, "a")
    assert hanging.entered.wait(60)
    assert not line.drainer.flush(0.1)
    assert not hanging.returned
    hanging.release.set()
    assert line.drainer.flush(60)


def test_close_leaves_nothing(line, home, spans):
    """After a close all is stored, the journal is empty, and the thread has ended."""
    line.tracer.start_span("open")
    ended(line, "a")
    assert line.drainer.close(30)
    assert spans() == {"open": "interrupted", "a": "ok"}
    assert list((home / "journal").glob("*.[!h]*")) == []
    assert line.drainer.close(30)


def test_end_after_close_is_stored_by_the_next(line, adopt, spans):
    """A span that ends after the close overwrites its interruption, as soon as somebody looks."""
    span = line.tracer.start_span("open")
    assert line.drainer.close(30)
    span.end()
    line.journal.retire()
    assert adopt()
    assert spans() == {"open": "ok"}


def test_cursor_is_left_to_the_next_process(make_line, make_collecting, home):
    """What one destination has taken is not delivered to it again by the next process; the other gets it all."""
    good, bad = make_collecting("good"), make_collecting("bad")
    bad.error = RuntimeError("out of order")
    line = make_line([good, bad])
    ended(line, "a")
    assert not line.drainer.close(30)
    [cursor] = (home / "journal").glob("*.cursor")
    assert cursor.stat().st_mode & 0o777 == 0o600
    bad.error = None
    assert Drainer(line.journal.folder, [good, bad]).adopt()
    assert (good.named("E"), bad.named("E")) == (["a"], ["a"])
    assert list((home / "journal").glob("*.[!h]*")) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"destinations": 1}', b'{"destinations": {"collecting": "x"}}'])
def test_damaged_cursor(line, run, home, collecting, content):
    """A cursor that cannot be read means: from the beginning."""
    run("""
tracer(lambda: None).start_span("a").end()
os._exit(0)
""")
    [segment] = (home / "journal").glob("*.[!h]*")
    segment.with_name(segment.name + ".cursor").write_bytes(content)
    assert Drainer(home / "journal", [collecting]).adopt()
    assert collecting.named("E") == ["a"]


def test_orphans_are_adopted_at_the_start(run, line, spans, until, home):
    """A process delivers what earlier ones left, though they are gone."""
    run("""
tracer(lambda: None).start_span("left").end()
os._exit(0)
""")
    ended(line, "own")
    until(lambda: spans() == {"own": "ok", "left": "ok"})
    until(lambda: len(list((home / "journal").glob("*.[!h]*"))) == 1)


def test_two_drainers_at_once(run, home, spans):
    """Several processes that adopt the same segments at the same time deliver every span and delete every segment."""
    for number in range(6):
        run(f"""
spans = tracer(lambda: None)
for number in range(200):
    spans.start_span(f"{number} {{number}}").end()
os._exit(0)
""")
    drainers = [Drainer(home / "journal", [StoreDestination(home / "traces.db")]) for _ in range(4)]
    threads = [threading.Thread(target=drainer.adopt) for drainer in drainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for drainer in drainers:
        assert drainer.close(30)
    assert spans() == {f"{process} {number}": "ok" for process in range(6) for number in range(200)}
    assert list((home / "journal").glob("*.[!h]*")) == []


def test_span_ended_by_the_garbage_collector_while_writing(make_line, collecting):
    """A span that ends in the middle of the journal's own work deadlocks nothing and is not lost."""
    line = make_line([collecting], segment_bytes=2000)

    class Holder:
        def __init__(self, number):
            self.span = line.tracer.start_span(f"held {number}")
            self.cycle = self

        def __del__(self):
            self.span.end()

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(100):
            Holder(number)
            ended(line, f"span {number}")
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert line.drainer.flush(60)
    wanted = {f"{kind} {number}" for kind in ("held", "span") for number in range(100)}
    assert set(collecting.named("E")) == wanted


def test_constant_resources(line, monkeypatch):
    """Five thousand spans later there are no more threads and open files, and no more memory in use."""

    monkeypatch.setattr("autotrace.delivery.processor.ENDED", 200)

    def burst(count):
        for number in range(count):
            with line.tracer.start_as_current_span(f"span {number}", attributes={"text": "x" * 200}):
                line.tracer.start_span("child").end()
        assert line.drainer.flush(60)

    burst(1000)
    gc.collect()  # of what other tests left
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    tracemalloc.start()
    try:
        burst(500)
        before = tracemalloc.get_traced_memory()[0]
        burst(2500)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert threading.active_count() == threads
    # Fewer when the drainer was just reading at the first count.
    assert len(list(Path("/proc/self/fd").iterdir())) <= files
    # A hundred bytes kept of each of 5,000 spans would be half a megabyte.
    assert after - before < 400_000


def test_leftovers_are_swept(run, home, collecting):
    """Files that a process left which died at an unlucky moment go, when they are old."""
    folder = home / "journal"
    folder.mkdir(parents=True)
    old = [folder / "1-2-00000000-000001.new", folder / "1-2-00000000-000001.journal.cursor"]
    young = folder / "1-2-00000000-000002.new"
    for path in (*old, young):
        path.touch()
    for path in old:
        os.utime(path, (0, 0))
    assert Drainer(folder, [collecting]).adopt()
    assert list(folder.glob("*.[!h]*")) == [young]


def test_closed_and_forked(make_line, collecting):
    """What is closed with something left does not wake up again because the program forks."""
    collecting.error = OSError("down")
    line = make_line([collecting])
    ended(line, "a")
    assert not line.drainer.close(5)
    attempts = collecting.attempts
    drain._before_fork()
    drain._after_fork_in_parent()
    assert all(thread.name != "autotrace" for thread in threading.enumerate())
    assert collecting.attempts == attempts
