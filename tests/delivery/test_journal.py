"""The journal's write side."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
from zlib import crc32

import pytest

from autotrace.delivery.backlog import Backlog
from autotrace.delivery.journal import Journal
from autotrace.delivery.segments import segment_names


def names(records, kind):
    return [record.body["name"] for record in records if record.kind == kind]


def test_nothing_before_the_first_span():
    """Importing the delivery and making a journal and a drainer opens no file, starts no thread, makes no folder."""
    code = """
import os, sys, threading
from pathlib import Path
before = set(os.listdir("/proc/self/fd"))
from autotrace.delivery.journal import Journal
from autotrace.delivery.segments import segment_names
from autotrace.delivery.drain import Drainer
from autotrace.delivery.processor import JournalProcessor
from autotrace.delivery.destinations.sqlite import StoreDestination
home = Path(sys.argv[1])
journal = Journal(home)
drainer = Drainer(journal.folder, [StoreDestination(home / "traces.db")])
JournalProcessor(journal, drainer.wake)
assert "sqlite3" not in sys.modules
assert threading.active_count() == 1
assert set(os.listdir("/proc/self/fd")) == before
assert not home.exists()
assert drainer.flush(5) and drainer.close(5)
assert not home.exists()
"""
    subprocess.run([sys.executable, "-c", code, "/nonexistent/home"], check=True, timeout=60)


def test_lines(make_line, collecting, home):
    """A segment is a header and one checksummed line for each start of a root and each end."""
    line = make_line([collecting])
    with line.tracer.start_as_current_span("root") as root, line.tracer.start_as_current_span("child") as child:
        child.add_event("seen", {"n": 1}, timestamp=5)
    [segment] = sorted((home / "journal").glob("*.[!h]*"))
    lines = segment.read_bytes().split(b"\n")
    assert lines.pop() == b""
    for text in lines:
        assert int(text[:8], 16) == crc32(text[9:])
    parts = [text.decode().split(" ", 4)[1:] for text in lines]
    trace_id = f"{root.get_span_context().trace_id:032x}"
    root_id = f"{root.get_span_context().span_id:016x}"
    child_id = f"{child.get_span_context().span_id:016x}"
    assert [part[:3] for part in parts] == [
        ["H", "-", "-"],
        ["S", trace_id, root_id],
        ["E", trace_id, child_id],
        ["E", trace_id, root_id],
    ]
    header, start, ended, _ = [json.loads(part[3]) for part in parts]
    assert segment.name == f"{header['process']}-000001.journal"
    assert (header["format"], header["pid"]) == (2, os.getpid())
    assert header["resource"] == {"service.name": "test", "deployment.environment.name": "here"}
    assert (start["root"], start["parent_id"], start["end"]) == (True, None, None)
    assert ended == {
        "parent_id": root_id,
        "root": False,
        "name": "child",
        "kind": "internal",
        "start": child.start_time,
        "end": child.end_time,
        "status": "unset",
        "message": None,
        "scope": "autotrace.plugins.test",
        "scope_version": "1.2",
        "attributes": {},
        "events": [{"name": "seen", "time": 5, "attributes": {"n": 1}}],
        "links": [],
    }


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_permissions(line, home, umask):
    """Folders are 0700 and files 0600 whatever the umask, and git ignores them all."""
    before = os.umask(umask)
    try:
        line.tracer.start_span("open")
        line.tracer.start_span("ended").end()
        assert line.drainer.flush(30)
        found = {path: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.rglob("*")]}
    finally:
        os.umask(before)
    folders = {path for path in found if path.is_dir()}
    assert folders == {home, home / "journal"}
    assert {found[path] for path in folders} == {0o700}
    assert {path.name for path in found if path.parent == home} >= {".gitignore", "traces.db", "traces.db-wal"}
    assert {found[path] for path in found.keys() - folders} == {0o600}
    assert (home / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(("name", "files"), [(".autotrace", ["notes"]), ("traces", []), ("traces", ["traces.db-wal"])])
def test_home_that_was_there_becomes_private(tmp_path, name, files, caplog):
    """A home that is ours by its name or by what lies in it is closed to others and ignored by git."""
    home = tmp_path / name
    home.mkdir()
    home.chmod(0o755)
    for file in files:
        (home / file).touch()
    with caplog.at_level(logging.WARNING, "autotrace"):
        Journal(home).start(f"{1:032x} {1:016x}", b"{}")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / ".gitignore").read_text() == "*\n"
    assert caplog.messages == []


def test_folder_with_other_files_keeps_its_mode(tmp_path, caplog):
    """A home that holds the user's files stays open and its files in git, ours are closed; a warning says so once."""
    home = tmp_path / "project"
    (home / "journal").mkdir(parents=True)
    home.chmod(0o755)
    (home / "program.py").touch()
    journal = Journal(home, segment_bytes=100)
    with caplog.at_level(logging.WARNING, "autotrace"):
        for number in range(5):
            journal.end(f"{number:032x} {1:016x}", b"{}")
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "journal").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "journal").glob("*.[!h]*")} == {0o600}
    subprocess.run(["git", "init", "-q", str(home)], check=True)
    seen = subprocess.run(
        ["git", "-C", str(home), "status", "--porcelain", "-uall"], check=True, capture_output=True, text=True
    )
    assert seen.stdout == "?? program.py\n"
    [message] = caplog.messages
    assert f"others than its owner can list {home}:" in message


def test_gitignore_of_the_user_stays(tmp_path):
    """A `.gitignore` that is in the home already is not touched."""
    (tmp_path / ".gitignore").write_text("journal/\n")
    Journal(tmp_path).start(f"{1:032x} {1:016x}", b"{}")
    assert (tmp_path / ".gitignore").read_text() == "journal/\n"


def test_rotation_carries_open_roots(make_line, collecting, home, journalled):
    """The next segment begins with the starts of the roots that are still open."""
    line = make_line([collecting], segment_bytes=4000)
    root = line.tracer.start_span("long")
    line.tracer.start_span("short").end()
    for number in range(30):
        line.tracer.start_span(f"filler {number}").end()
    last = max((home / "journal").glob("*.journal"))
    assert last.name.endswith("-000002.journal") or int(last.name[-14:-8]) > 2
    assert b'"long"' in last.read_bytes().split(b"\n")[1]
    assert b'"short"' not in last.read_bytes()
    root.end()
    assert set(names(journalled(), "E")) == {"long", "short", *(f"filler {number}" for number in range(30))}


def test_what_is_said_of_the_process_changes(make_line, collecting, home):
    """What is recorded afterwards says something else of the process, open roots included; what came before stays."""
    line = make_line([collecting])
    with line.tracer.start_as_current_span("before"):
        pass
    line.journal.describe(dict(line.journal.resource))  # nothing new: no new segment
    with line.tracer.start_as_current_span("open"):
        assert segment_names(home / "journal")[-1].sequence == 1
        line.journal.describe({**line.journal.resource, "deployment.environment.name": "production"})
        with line.tracer.start_as_current_span("after"):
            pass
        assert segment_names(home / "journal")[-1].sequence == 2
    assert line.drainer.flush(10)
    environments = {}
    for name in ("before", "open", "after"):
        (trace,) = [record for record in collecting.records if record.kind == "E" and record.body["name"] == name]
        environments[name] = collecting.where(trace)["deployment.environment.name"]
    assert environments == {"before": "here", "open": "production", "after": "production"}


def test_threads_lose_nothing_in_rotation(make_line, collecting):
    """Threads that write while segments change lose no record and damage no line."""
    line = make_line([collecting], segment_bytes=20_000)

    def work(name):
        for number in range(300):
            line.tracer.start_span(f"{name} {number}").end()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert line.drainer.flush(60)
    assert sorted(set(collecting.named("E"))) == sorted(f"{n} {k}" for n in range(8) for k in range(300))
    assert line.drainer.damaged == 0


def test_no_home(make_line, collecting, home, until, caplog):
    """Where no folder can be made spans are delivered from memory, after one warning."""
    home.write_text("a file")
    line = make_line([collecting])
    with caplog.at_level(logging.WARNING, "autotrace"):
        for number in range(100):
            line.tracer.start_span(f"span {number}").end()
        assert line.drainer.flush(30)
    assert set(collecting.named("E")) == {f"span {number}" for number in range(100)}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "File exists" in caplog.text or "Not a directory" in caplog.text


def test_home_comes_back(make_line, collecting, home, until, journalled):
    """What waited in memory is written in order as soon as the disk takes it."""
    home.write_text("a file")
    collecting.error = RuntimeError("not now")
    line = make_line([collecting])
    for number in range(50):
        line.tracer.start_span(f"span {number}").end()
    home.unlink()
    # What a lane is just trying is not in the backlog either.
    until(lambda: line.journal.retry() and len(names(journalled(), "E")) == 50)
    assert names(journalled(), "E") == [f"span {number}" for number in range(50)]
    line.tracer.start_span("direct").end()
    assert names(journalled(), "E")[-1] == "direct"


def test_backlog_is_bounded():
    """A backlog drops the oldest lines beyond its bounds, and counts them."""
    backlog = Backlog(records=3, bytes_=10)
    for text in (b"a", b"b", b"c", b"d"):
        backlog.append(text)
    assert (list(backlog), backlog.dropped) == ([b"b", b"c", b"d"], 1)
    backlog.append(b"123456789")
    assert (list(backlog), backlog.dropped) == ([b"d", b"123456789"], 3)
    backlog.append(b"longer than all")
    assert (list(backlog), backlog.dropped) == ([], 6)


def test_starts_are_not_counted():
    """A span that is lost counts once: its end does, its start does not."""
    backlog = Backlog(records=1)
    for kind in "SEFU":
        backlog.append(f"0badc0de {kind} ".encode())
    assert backlog.dropped == 2


def test_put_back_keeps_the_order():
    """Lines that are put back stand before newer ones; the oldest give way when there is no room."""
    backlog = Backlog(records=3)
    for text in (b"a", b"b"):
        backlog.append(text)
    taken = backlog.take()
    backlog.append(b"c")
    backlog.put_back(taken)
    assert list(backlog) == [b"a", b"b", b"c"]
    taken = backlog.take()
    backlog.append(b"d")
    backlog.put_back(taken)
    assert (list(backlog), backlog.dropped) == ([b"b", b"c", b"d"], 1)


def test_file_size_limit(run, adopt, spans):
    """A segment that may grow no further is followed by another; the torn line is written again."""
    run("""
import resource as limits
limits.setrlimit(limits.RLIMIT_FSIZE, (10_000, 10_000))
spans = tracer(lambda: None)
for number in range(100):
    spans.start_span(f"span {number}").end()
assert not list(journal._process.backlog)
assert len(list(journal.folder.glob("*.[!h]*"))) > 3
""")
    assert adopt()
    assert spans() == {f"span {number}": "ok" for number in range(100)}


def test_full_disk_recovers(run, adopt, spans):
    """While nothing can be written the program goes on; later everything is written, one warning was logged."""
    out = run("""
import logging
import resource as limits
messages = []
class Keep(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())
logging.getLogger("autotrace").addHandler(Keep())
spans = tracer(lambda: None)
spans.start_span("before").end()
[segment] = journal.folder.glob("*.[!h]*")
def limit(size):
    limits.setrlimit(limits.RLIMIT_FSIZE, (size, limits.RLIM_INFINITY))
limit(segment.stat().st_size + 50)
spans.start_span("torn").end()
limit(100)
for number in range(20):
    spans.start_span(f"span {number}").end()
waiting = len(list(journal._process.backlog))
limit(limits.RLIM_INFINITY)
deadline = time.monotonic() + 60
while not journal.retry() and time.monotonic() < deadline:
    time.sleep(0.02)
spans.start_span("after").end()
assert not segment.read_bytes().endswith(b"\\n")
print(waiting, len(messages))
""")
    assert out.split() == ["40", "1"]
    assert adopt()
    assert spans() == {"before": "ok", "torn": "ok", **{f"span {number}": "ok" for number in range(20)}, "after": "ok"}


def test_segment_deleted_under_the_writer(line, home, spans):
    """When somebody deletes the home, the spans that come later are stored in a new one."""
    line.tracer.start_span("before").end()
    assert line.drainer.flush(30)
    subprocess.run(["rm", "-r", str(home)], check=True)
    assert line.drainer.flush(30)
    line.tracer.start_span("after").end()
    assert line.drainer.flush(30)
    assert spans() == {"after": "ok"}


@pytest.mark.parametrize("how", ["flush", "close", "rotation"])
def test_spans_after_the_deletion_of_the_home(make_line, home, spans, how):
    """What was appended to a segment without a name is delivered; what was delivered before does not come back."""
    line = make_line(segment_bytes=2000) if how == "rotation" else make_line()
    line.tracer.start_span("before").end()
    assert line.drainer.flush(30)
    line.processor._wake = lambda: None  # nothing is noticed before the flush
    shutil.rmtree(home)
    for number in range(10):
        line.tracer.start_span(f"span {number}").end()
    assert line.drainer.close(30) if how == "close" else line.drainer.flush(30)
    assert spans() == {f"span {number}": "ok" for number in range(10)}
    assert line.journal.dropped == 0


def test_descriptor_that_the_app_took(make_line, collecting, home, tmp_path):
    """A program that closes all descriptors gets its numbers back: nothing more is written to them, none is closed."""
    line = make_line([collecting])
    line.tracer.start_span("before").end()
    assert line.drainer.flush(30)
    line.processor._wake = lambda: None
    journal_file = next((home / "journal").glob("*.[!h]*"))
    numbers = [n for n in range(3, 1000) if is_open(n) and os.path.samestat(os.fstat(n), journal_file.stat())]
    assert len(numbers) == 2  # the journal's and the drainer's
    with (tmp_path / "app").open("wb") as theirs:
        for number in numbers:
            os.dup2(theirs.fileno(), number)
        assert line.drainer.flush(30)
        line.tracer.start_span("after").end()
        assert line.drainer.close(30)
        for number in numbers:
            assert os.path.samestat(os.fstat(number), os.fstat(theirs.fileno()))
            os.close(number)
    assert (tmp_path / "app").read_bytes() == b""
    assert collecting.named("E") == ["before", "after"]


def test_descriptor_that_the_app_closed(make_line, collecting, home):
    """A closed descriptor costs no span: the next segment takes what it did not."""
    line = make_line([collecting])
    line.tracer.start_span("before").end()
    assert line.drainer.flush(30)
    journal_file = next((home / "journal").glob("*.[!h]*"))
    for number in range(3, 1000):
        if is_open(number) and os.path.samestat(os.fstat(number), journal_file.stat()):
            os.close(number)
    for name in ("one", "two"):
        line.tracer.start_span(name).end()
        assert line.drainer.flush(30)
    assert collecting.named("E") == ["before", "one", "two"]


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_values_that_json_lacks(make_line, collecting):
    """Lone surrogates, NaN, huge integers and bytes are kept as far as JSON can say them."""
    line = make_line([collecting])
    values = {"text": "a\ud800b", "nan": float("nan"), "big": 2**80, "bytes": b"x\xff", "list": ["\udfff", "c"]}
    span = line.tracer.start_span("odd")
    for key, value in values.items():
        span.set_attribute(key, value)
    span.end()
    assert line.drainer.flush(30)
    [ended] = [record for record in collecting.records if record.kind == "E"]
    assert ended.body["attributes"]["text"] == "a?b"
    assert ended.body["attributes"]["nan"] is None
    assert ended.body["attributes"]["big"] == str(2**80)
    assert ended.body["attributes"]["list"] == ["?", "c"]


def test_records_longer_than_a_segment(make_line, collecting):
    """A record longer than a segment and than a read is kept whole."""
    line = make_line([collecting], segment_bytes=1000)
    text = "x" * 3_000_000
    for number in range(3):
        line.tracer.start_span(f"span {number}", attributes={"text": text}).end()
    assert line.drainer.flush(60)
    assert [r.body["attributes"]["text"] == text for r in collecting.records if r.kind == "E"] == [True] * 3


def test_open_starts_are_bounded(tmp_path, monkeypatch):
    """A program that never ends its spans does not make the journal's memory grow."""
    monkeypatch.setattr("autotrace.delivery.journal.OPEN_STARTS", 10)
    journal = Journal(tmp_path)
    for number in range(100):
        journal.start(f"{number:032x} {number:016x}", b"{}")
    assert [number for number in range(100) if journal.is_open(f"{number:032x} {number:016x}")] == list(range(90, 100))
