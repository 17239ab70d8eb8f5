"""Which trace belongs to a request: for all processes of a home, within bounds, whatever a request's id is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotrace.recording.guard import guard
from autotrace.serving import request_ids
from autotrace.serving.request_ids import RequestIds

A, B = "a" * 32, "b" * 32


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The journal's folder."""
    folder = tmp_path / "home" / "journal"
    folder.mkdir(parents=True, mode=0o700)
    return folder


def size(journal: Path) -> int:
    return sum(path.stat().st_size for path in (journal / "requests").iterdir())


def test_the_last_one_counts(journal: Path) -> None:
    """Any process of the home finds what any other has noted; of several traces of a request the last one."""
    one, other = RequestIds(journal), RequestIds(journal)
    one.note("r-1", A)
    assert other.find("r-1") == A
    other.note("r-1", B)
    assert one.find("r-1") == B
    assert one.find("r-2") is None
    one.note("r-1", A)
    assert (one.find("r-1"), other.find("r-1")) == (A, A)


def test_any_text(journal: Path) -> None:
    """A request's id may be any text: none can be mistaken for another one, or for a line."""
    hostile = ["", "\n", f"x\n{'0' * 32} {B}\n", f"{'0' * 32} {B}", "\ud800", "\0", "../../x", "x" * 100_000, "\x1b[2J"]
    ids = RequestIds(journal)
    for number, request_id in enumerate(hostile):
        ids.note(request_id, f"{number:032x}")
    assert [ids.find(one) for one in hostile] == [None, *(f"{number:032x}" for number in range(1, len(hostile)))]
    content = b"".join(path.read_bytes() for path in (journal / "requests").iterdir())
    assert len(content) == (len(hostile) - 1) * 66
    assert B.encode() not in content
    assert guard.failures == {}


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=50)
@given(st.dictionaries(st.text(st.characters(), min_size=1), st.uuids().map(lambda one: one.hex), max_size=20))
def test_any_texts(journal: Path, given: dict[str, str]) -> None:
    """What is noted is found."""
    ids = RequestIds(journal)
    for request_id, trace_id in given.items():
        ids.note(request_id, trace_id)
    found = {request_id: ids.find(request_id) for request_id in given}
    assert found == given


@pytest.mark.parametrize("trace_id", ["", "x", "A" * 32, f"{A}\n", f"{A} {B}"])
def test_what_is_no_trace(journal: Path, trace_id: str) -> None:
    """Only the id of a trace is noted."""
    ids = RequestIds(journal)
    ids.note("r", trace_id)
    assert ids.find("r") is None


def test_private(journal: Path) -> None:
    """Nobody else may read the files, whatever the umask; and they hold no request's id."""
    before = os.umask(0o777)
    try:
        RequestIds(journal).note("secret-request", A)
        RequestIds(journal).note("secret-request", B)
    finally:
        os.umask(before)
    (path,) = (journal / "requests").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"secret" not in path.read_bytes()
    assert RequestIds(journal).find("secret-request") == B


def test_bounded(journal: Path) -> None:
    """The files never grow beyond their bounds, and the last requests are always known."""
    limit = 660
    ids = RequestIds(journal, limit)
    noted = [str(uuid.uuid4()) for _ in range(5000)]
    for number, request_id in enumerate(noted):
        ids.note(request_id, f"{number:032x}")
    bound = 2 * 64 * limit
    assert bound // 2 < size(journal) <= bound
    for number in range(4900, 5000):
        assert ids.find(noted[number]) == f"{number:032x}"
    assert ids.find(noted[0]) is None


def test_full_files_and_several_processes(journal: Path) -> None:
    """Processes that fill the files at once put none aside twice: all of the last requests are known."""
    code = """
import sys
from pathlib import Path
from autotrace.serving.request_ids import RequestIds
ids = RequestIds(Path(sys.argv[1]), 6600)
for number in range(2000):
    ids.note(f"{sys.argv[2]}-{number}", f"{number:032x}")
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(journal), str(number)], stderr=subprocess.PIPE)
        for number in range(4)
    ]
    errors = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, errors
    ids = RequestIds(journal)
    # 8000 lines of 66 bytes in 64 files: 8250 bytes each, of which those aside and those that are not hold all.
    missing = [
        (process, number)
        for process in range(4)
        for number in range(2000)
        if ids.find(f"{process}-{number}") != f"{number:032x}"
    ]
    assert missing == []


def test_threads(journal: Path) -> None:
    """Threads need not wait for each other."""
    ids = RequestIds(journal)

    def work(thread: int) -> None:
        for number in range(200):
            ids.note(f"{thread}-{number}", f"{thread:016x}{number:016x}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ids.find(f"{a}-{b}") == f"{a:016x}{b:016x}" for a in range(8) for b in range(200))


def test_fork(journal: Path) -> None:
    """What a forked child notes the parent finds, and what it inherits it knows."""
    code = """
import os, sys
from pathlib import Path
from autotrace.serving.request_ids import RequestIds
ids = RequestIds(Path(sys.argv[1]))
ids.note("before", "a" * 32)
child = os.fork()
if not child:
    ids.note("child", "b" * 32)
    os._exit(0 if ids.find("before") == "a" * 32 else 1)
print(os.waitpid(child, 0)[1], ids.find("child"))
"""
    done = subprocess.run([sys.executable, "-c", code, str(journal)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"0 {B}\n", "")
    assert RequestIds(journal).find("before") == A


def test_torn_lines(journal: Path) -> None:
    """A line that was written in part is no answer, and costs nobody else's."""
    ids = RequestIds(journal)
    ids.note("r", A)
    (path,) = (journal / "requests").iterdir()
    line = path.read_bytes()
    later = line.replace(A.encode(), b"c" * 32)
    for length in range(1, len(line)):
        path.write_bytes(line + later[:length])
        assert ids.find("r") == A
        ids.note("r", B)
        assert ids.find("r") == B


def not_a_folder(journal: Path) -> None:
    (journal / "requests").write_text("")


def no_journal(journal: Path) -> None:
    journal.rmdir()


def links(journal: Path) -> None:
    (journal / "requests").mkdir()
    for number in range(64):
        (journal / "requests" / f"{number:02x}").symlink_to(journal / "elsewhere")


@pytest.mark.parametrize("hindrance", [not_a_folder, no_journal, links])
def test_no_disk(journal: Path, hindrance: Callable[[Path], None]) -> None:
    """Where nothing can be written the process remembers its last requests by itself, and nothing is raised."""
    hindrance(journal)
    ids = RequestIds(journal)
    for number in range(request_ids.REMEMBERED + 10):
        ids.note(f"r-{number}", f"{number:032x}")
    assert ids.find("r-9") is None
    assert ids.find("r-10") == f"{10:032x}"
    assert ids.find(f"r-{request_ids.REMEMBERED + 9}") == f"{request_ids.REMEMBERED + 9:032x}"
    ids.note("r-10", A)
    assert ids.find("r-10") == A
    assert guard.failures == {}
    assert not (journal / "elsewhere").exists()


def test_the_disk_comes_back(journal: Path) -> None:
    """What was noted meanwhile is known, and what is noted then is on the disk."""
    not_a_folder(journal)
    ids = RequestIds(journal)
    ids.note("r", A)
    (journal / "requests").unlink()
    assert ids.find("r") == A
    ids.note("r", B)
    assert (ids.find("r"), RequestIds(journal).find("r")) == (B, B)


def test_the_home_goes(journal: Path) -> None:
    """A home that is removed and made again under a running process is used again."""
    ids = RequestIds(journal)
    ids.note("r", A)
    for path in (journal / "requests").iterdir():
        path.unlink()
    (journal / "requests").rmdir()
    assert ids.find("r") is None
    ids.note("r", B)
    assert RequestIds(journal).find("r") == B
