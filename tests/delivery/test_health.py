"""The health files: what each process tells of itself, for somebody who looks from outside."""

from __future__ import annotations

import itertools
import os
import socket
import stat
import time

import orjson
import pytest

from autotrace.delivery import health
from autotrace.delivery.journal import Journal
from autotrace.delivery.queue import queues
from autotrace.delivery.segments import segment_names
from autotrace.recording.guard import guard

GOOD = {
    "format": 1,
    "process": "18a-5-0123abcd",
    "pid": 5,
    "host": "here",
    "program": "app.py",
    "autotrace": "1.0",
    "python": "3.12.1",
    "started": 1,
    "written": 2,
    "ended": False,
    "dropped": 0,
    "damaged": 0,
    "destinations": [{"name": "store", "delivered": 1, "failures": 0, "last_delivery": 2, "last_error": None}],
    "failures": [{"where": "acme: mapper", "count": 2, "last": "KeyError at a.py:3"}],
    "offsets": {"18a-5-0123abcd-000001.journal": {"store": 100}},
}


@pytest.fixture(autouse=True)
def no_failures():
    """Failures of other tests are not told."""
    guard.reset()
    yield
    guard.reset()


@pytest.fixture
def own(home):
    """The one health file in the home, read; None where there is none."""

    def read():
        found = health.files(home / "journal")
        return health.read(found[0]) if found else None

    return read


def ended(line, *names):
    for name in names:
        line.tracer.start_span(name).end()


def test_what_it_tells(line, own, home):
    """It has the process, its destinations, and how far they have come; its mode is its owner's alone."""
    ended(line, "a")
    assert line.drainer.flush(30)
    found = own()
    assert (found.process, found.pid, found.host) == (line.journal.process, os.getpid(), socket.gethostname())
    assert (found.ended, found.state, found.dropped, found.damaged, found.failures) == (False, "running", 0, 0, ())
    [destination] = found.destinations
    assert (destination.name, destination.delivered, destination.failures) == ("store", 1, 0)
    assert destination.last_error is None
    assert abs(destination.last_delivery - time.time_ns()) < 60 * 10**9
    [segment] = segment_names(home / "journal")
    assert found.offsets == {segment.file: {"store": (home / "journal" / segment.file).stat().st_size}}
    [path] = health.files(home / "journal")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_end(line, own):
    """A process that ends by itself says so, with the last figures, however short it was."""
    ended(line, "a", "b")
    assert line.drainer.close(30)
    found = own()
    assert (found.ended, found.state) == (True, "ended")
    assert found.destinations[0].delivered == 2
    assert found.offsets == {}


def test_nothing_is_made_without_a_record(line, home):
    """A process that records nothing leaves no file and no folder."""
    assert line.drainer.flush(30)
    line.drainer.close(30)
    assert not home.exists()


def test_at_most_once_a_second_and_the_last_word_counts(line, own, until, monkeypatch):
    """Many deliveries in a row write few files; what the last one changed is written without another delivery."""
    written = []
    save = health._save
    monkeypatch.setattr(health, "_save", lambda path, content: (written.append(time.monotonic()), save(path, content)))
    for number in range(30):
        ended(line, f"span {number}")
        assert line.drainer.flush(30)
    until(lambda: own().destinations[0].delivered == 30)
    gaps = [later - earlier for earlier, later in itertools.pairwise(written)]
    assert all(gap >= health.INTERVAL_S * 0.99 for gap in gaps)


def test_failures(line, own):
    """What failed, how often, and where the last error was: never what it said."""
    for _ in range(3):
        try:
            raise ValueError("the user's secret")
        except ValueError as error:
            guard.report("acme: mapper", error)
    ended(line, "a")
    line.drainer.close(30)
    [failure] = own().failures
    assert (failure.where, failure.count) == ("acme: mapper", 3)
    assert failure.last.startswith("ValueError at test_health.py:")
    assert "secret" not in str(own())


def test_a_destination_that_refuses(make_line, collecting, own):
    """How often in a row it has refused, and what it said last."""
    collecting.error = RuntimeError("out of order")
    line = make_line([collecting])
    ended(line, "a")
    assert not line.drainer.flush(2)
    line.drainer.close(30)
    [destination] = own().destinations
    assert destination.failures >= 1
    assert (destination.delivered, destination.last_delivery) == (0, None)
    assert destination.last_error == "RuntimeError: out of order"


@pytest.mark.parametrize("how", ["read-only", "full", "a folder in its place"])
def test_a_disk_that_takes_no_file(line, spans, home, monkeypatch, caplog, how):
    """Where it cannot be written, there is none, and nobody is told."""
    ended(line, "a")
    assert line.drainer.flush(30)
    [path] = health.files(home / "journal")
    path.unlink()
    if how == "a folder in its place":
        path.mkdir()
        (path / "file").touch()
    else:

        def fail(name, *args, **more):
            if str(name).endswith(".unsaved"):
                raise OSError(30 if how == "read-only" else 28, how)
            return real(name, *args, **more)

        real = os.open
        monkeypatch.setattr(os, "open", fail)
    ended(line, "b")
    assert line.drainer.close(30)
    assert spans() == {"a": "ok", "b": "ok"}
    assert caplog.records == []
    assert [one.suffix for one in (home / "journal").iterdir() if one != path] == []


def test_fork(run, home):
    """A forked child tells of itself in a file of its own; the parent's stays the parent's."""
    run("""
tracer(drainer.wake).start_span("parent").end()
assert drainer.flush(60)
child = os.fork()
if child == 0:
    tracer(drainer.wake).start_span("child").end()
    drainer.close(60)
    os._exit(0)
os.waitpid(child, 0)
drainer.close(60)
""")
    found = [health.read(path) for path in health.files(home / "journal")]
    assert len(found) == 2
    assert len({one.pid for one in found}) == 2
    assert all(one.ended and one.process.split("-")[1] == str(one.pid) for one in found)
    # The start comes by itself where the drainer was quicker than the span.
    assert {one.destinations[0].delivered for one in found} <= {1, 2}


def test_killed(spawn, home, until):
    """A process that was killed is known to be gone, with what it told last."""
    process = spawn("""
tracer(drainer.wake).start_span("a").end()
drainer.flush(60)
print("ready", flush=True)
sys.stdin.readline()
""")
    assert process.stdout.readline() == "ready\n"
    [path] = health.files(home / "journal")
    assert health.read(path).state == "running"
    process.kill()
    process.wait(60)
    assert health.read(path).state == "gone"


def test_other_readers_leave_it_alone(line, adopt, home, spans):
    """It is no segment: nobody delivers it, and sweeping leaves it."""
    ended(line, "a")
    assert line.drainer.close(30)
    before = health.files(home / "journal")
    assert segment_names(home / "journal") == []
    assert adopt()
    assert health.files(home / "journal") == before != []


def write(folder, pid, age_s=0.0, number=0):
    path = folder / f"{number:x}-{pid}-0123abcd.health"
    path.write_bytes(orjson.dumps(GOOD))
    moment = time.time() - age_s - number  # seconds apart
    os.utime(path, (moment, moment))
    return path


def test_old_ones_are_swept(tmp_path):
    """What processes that are gone left seven days ago goes; of a process that lives it stays."""
    gone = 2**22 + 1  # no Linux has so many
    old, young = write(tmp_path, gone, health.KEPT_S + 1, 1), write(tmp_path, gone, health.KEPT_S - 60, 2)
    living = write(tmp_path, os.getpid(), health.KEPT_S + 1, 3)
    odd = tmp_path / "odd.health"
    odd.touch()
    health.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([young, living, odd])
    assert not old.exists()


def test_there_are_at_most_a_hundred(tmp_path):
    """The oldest go where there are more than a hundred."""
    paths = [write(tmp_path, 2**22 + 1, 0, number) for number in range(health.FILES + 20)]
    health.sweep(tmp_path)
    assert health.files(tmp_path) == paths[: health.FILES]


def read(tmp_path, content):
    path = tmp_path / "1-5-0123abcd.health"
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    return health.read(path)


def test_read(tmp_path):
    """What was written is what is read."""
    found = read(tmp_path, GOOD)
    assert found.failures == (health.FailureCount("acme: mapper", 2, "KeyError at a.py:3"),)
    assert found.destinations == (health.DestinationHealth("store", 1, 0, 2, None),)
    assert found.offsets == GOOD["offsets"]
    assert found.state == "unknown"  # it is another machine's


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b'"' + b"x" * health.BYTES + b'"',
        *({**GOOD, key: value} for key in GOOD if key not in ("ended",) for value in (None, [5], 1.5)),
        {**GOOD, "format": 2},
        {**GOOD, "pid": True},
        {**GOOD, "destinations": [{"name": 5}]},
        {**GOOD, "failures": [{}]},
    ],
)
def test_corrupt_files(tmp_path, content):
    """A file that holds anything else is refused with ValueError, whatever it is."""
    with pytest.raises(ValueError):
        read(tmp_path, content)


def test_huge_texts_are_cut(tmp_path):
    """No text of a file is longer than a line or two, and no list longer than a page."""
    huge = {
        **GOOD,
        "program": "p" * 10_000,
        "failures": [{"where": "w" * 1000, "count": 10**18, "last": "\x1b[2J"}] * 150,
    }
    found = read(tmp_path, huge)
    assert len(found.program) == health.TEXT
    assert len(found.failures) == health.PLACES
    assert len(found.failures[0].where) == health.TEXT


def test_links_and_pipes_are_not_followed(tmp_path):
    """A symbolic link or a pipe in the place of a file is refused, and waits for nobody."""
    (tmp_path / "1-5-0.health").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "2-5-0.health")
    for path in health.files(tmp_path):
        with pytest.raises((OSError, ValueError)):
            health.read(path)


def test_queues(home, make_line, make_collecting):
    """What waits for each destination: what a process tells of its progress counts, or what lies beside a segment."""
    good, bad = make_collecting("good"), make_collecting("bad")
    bad.error = RuntimeError("no")
    line = make_line([good, bad])
    ended(line, "a", "b")
    assert not line.drainer.flush(2)
    [told] = [health.read(path) for path in health.files(home / "journal")]
    found = queues(home / "journal", ["good", "bad", "bad"], told.offsets)
    assert [(queue.destination, queue.records) for queue in found] == [("good", 0), ("bad", 4)]
    assert found[0].bytes == 0 < found[1].bytes
    assert [queue.records for queue in queues(home / "journal", ["good", "bad"])] == [4, 4]
    line.drainer.close(30)
    assert [queue.records for queue in queues(home / "journal", ["good", "bad"])] == [0, 4]


def test_queues_without_a_journal(tmp_path):
    """No folder, and odd offsets, are no fault."""
    assert [queue.records for queue in queues(tmp_path / "none", ["store"])] == [0]
    journal = Journal(tmp_path)
    journal.end("0" * 32 + " " + "0" * 16, b"{}")
    [segment] = segment_names(journal.folder)
    for offset in (-5, 10**9):
        [queue] = queues(journal.folder, ["store"], {segment.file: {"store": offset}})
        assert queue.records == (1 if offset < 0 else 0)
