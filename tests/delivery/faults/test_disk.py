"""Disks that take nothing: the program goes on, and what is lost for good is counted exactly."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autotrace.delivery.backlog import Backlog
from autotrace.delivery.drain import Drainer


def mount(folder: Path, *options: str) -> None:
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KB."""
    with mounted(tmp_path / "disk", "512k") as folder:
        yield folder


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size."""
    folder.mkdir()
    try:
        mount(folder, "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs")
    except FileNotFoundError:
        pytest.skip("there is no mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """The disk takes nothing more inside."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 4096
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    yield
    filler.unlink()


def make_traces(line, count: int, text: str = "x" * 1000) -> set[str]:
    """Makes traces of two spans each; answers the names of all spans."""
    made = set()
    for _ in range(count):
        number = os.urandom(6).hex()
        with line.tracer.start_as_current_span(f"work {number}", attributes={"text": text}):
            line.tracer.start_span(f"step {number}").end()
        made |= {f"work {number}", f"step {number}"}
    return made


@pytest.fixture
def line(small_disk, make_line, home, collecting):
    """A line whose home is on the small disk."""
    home.symlink_to(small_disk / "home")
    (small_disk / "home").mkdir()
    return make_line([collecting])


def test_full_while_the_destination_takes_spans(line, small_disk, collecting):
    """On a full disk spans reach the destination from memory: none is lost, none comes twice."""
    made = make_traces(line, 20)
    with full(small_disk):
        made |= make_traces(line, 300)
        assert line.drainer.flush(30)
        assert sorted(collecting.named("E")) == sorted(made)
    made |= make_traces(line, 20)
    assert line.drainer.close(30)
    assert sorted(collecting.named("E")) == sorted(made)
    assert line.journal.dropped == 0


def test_full_while_the_destination_is_down(line, small_disk, collecting, until):
    """What neither the disk nor the destination takes waits in memory, and arrives when one of them does."""
    collecting.error = ConnectionRefusedError()
    made = make_traces(line, 300)  # more than the disk has room for
    with full(small_disk):
        made |= make_traces(line, 20)
        assert not line.journal.retry()
    collecting.error = None
    until(lambda: line.drainer.flush(30))
    assert sorted(set(collecting.named("E"))) == sorted(made)
    assert line.journal.dropped == 0


def test_more_than_memory_holds(line, small_disk, collecting, until):
    """Where the disk is full, the destination is down and the memory set aside is used up, the oldest spans go, and
    their number is known exactly."""
    line.journal._process.backlog = Backlog(records=100)
    collecting.error = ConnectionRefusedError()
    with full(small_disk):
        made = make_traces(line, 200)
        dropped = line.journal.dropped
        assert dropped > 300
    collecting.error = None
    until(lambda: line.drainer.flush(30))
    arrived = collecting.named("E")
    assert len(set(arrived)) == len(arrived)
    assert set(arrived) <= made
    assert len(made) == len(arrived) + line.journal.dropped


@pytest.fixture
def on_small_disk(programs, tmp_path) -> Iterator[Callable[[str], str]]:
    """Runs a program whose whole home, store and all, is on a disk of 4 MB."""
    with mounted(tmp_path / "store disk", "4m") as folder:
        programs.home = folder / "home"
        programs.environment |= {"AUTOTRACE_HOME": str(programs.home), "DISK": str(folder)}
        yield lambda code: programs.run(code)[1]


def test_store_on_a_full_disk(on_small_disk, programs, all_stored):
    """A program whose disk is full throughout its work fails at nothing, and delivers all when there is room again."""
    errors = on_small_disk("""
trace()
assert autotrace.flush(30)
filler = os.path.join(os.environ["DISK"], "filler")
with open(filler, "wb", buffering=0) as file:
    size = 4096
    while size:
        try:
            file.write(b"x" * size)
        except OSError:
            size //= 2
for _ in range(50):
    trace("x" * 1000)
assert not autotrace.flush(0.1)
os.unlink(filler)
deadline = time.monotonic() + 60
while not autotrace.flush(5):
    assert time.monotonic() < deadline
""")
    programs.adopt()
    all_stored()
    assert "Traceback" not in errors


def test_home_on_a_read_only_disk(line, small_disk, collecting, until):
    """Where nothing could ever be written, spans reach the destination from memory."""
    mount(small_disk, "-o", "remount,ro")
    made = make_traces(line, 100)
    assert line.drainer.flush(30)
    assert sorted(collecting.named("E")) == sorted(made)
    mount(small_disk, "-o", "remount,rw")
    made |= make_traces(line, 10)
    assert line.drainer.close(30)
    assert sorted(set(collecting.named("E"))) == sorted(made)
    assert line.journal.dropped == 0


def test_journal_on_a_read_only_disk(line, small_disk, make_collecting, caplog):
    """What lies on a disk that has become read-only stays there, for it could not be deleted and would come again and
    again; it is delivered once the disk can be written."""
    assert line.drainer.close(30)  # else it may have the file open
    made = make_traces(line, 20)
    line.journal.retire()
    reader = make_collecting("reader")
    mount(small_disk, "-o", "remount,ro")
    drainer = Drainer(line.journal.folder, [reader])
    drainer.flush(5)
    assert reader.records == []
    assert "Read-only file system" in caplog.text
    mount(small_disk, "-o", "remount,rw")
    assert drainer.flush(30)
    assert drainer.close(30)
    assert sorted(reader.named("E")) == sorted(made)
