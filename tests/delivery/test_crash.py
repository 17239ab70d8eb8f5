"""What survives: kills, forks, and forks in the middle of everything."""

from __future__ import annotations

import os
import signal
import sys

import pytest


def test_sigkill_right_after_the_call(spawn, adopt, spans):
    """Every span that had ended when the process was killed is stored, and the open root as interrupted."""
    process = spawn("""
spans = tracer(lambda: None)
spans.start_span("open")
for number in range(500):
    spans.start_span(f"span {number}").end()
os.kill(os.getpid(), signal.SIGKILL)
""")
    assert process.wait(60) == -signal.SIGKILL
    assert adopt()
    assert spans() == {**{f"span {number}": "ok" for number in range(500)}, "open": "interrupted"}


def test_sigkill_while_delivering(spawn, adopt, spans, until):
    """A process that is killed while its drainer works loses nothing."""
    process = spawn("""
spans = tracer(drainer.wake)
number = 0
while True:
    spans.start_span(f"span {number}").end()
    number += 1
    if number == 3000:
        print("go", flush=True)
""")
    assert process.stdout.readline() == "go\n"
    process.kill()
    process.wait(60)
    assert adopt()
    found = spans()
    numbers = sorted(int(name.split()[1]) for name, status in found.items() if status == "ok")
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 3000


def test_running_while_alive_interrupted_when_gone(spawn, adopt, spans, until, home):
    """A root that has not ended is running while its process lives, and interrupted once it was killed."""
    process = spawn("""
span = tracer(drainer.wake).start_span("long")
sys.stdin.readline()
""")
    until(lambda: spans() == {"long": "running"})
    assert adopt()  # another process's drainer leaves the living alone
    assert spans() == {"long": "running"}
    process.kill()
    process.wait(60)
    assert adopt()
    assert spans() == {"long": "interrupted"}
    # A cursor that was being saved when the process was killed stays for a while: it may be that of a living one.
    assert [path for path in (home / "journal").glob("*.[!h]*") if path.suffix != ".unsaved"] == []


def test_interrupted_is_decided_in_the_last_segment(spawn, adopt, spans):
    """A root that was open across segments is interrupted; one that ended in a later segment is not."""
    process = spawn("""
journal._segment_bytes = 3000
spans = tracer(lambda: None)
lost, ended = spans.start_span("lost"), spans.start_span("ended")
for number in range(50):
    spans.start_span(f"span {number}").end()
ended.end()
assert len(list(journal.folder.glob("*.[!h]*"))) > 5
os.kill(os.getpid(), signal.SIGKILL)
""")
    process.wait(60)
    assert adopt()
    found = spans()
    assert {name: status for name, status in found.items() if status != "ok"} == {"lost": "interrupted"}
    assert len(found) == 52


def test_exit_closes(run, spans, home):
    """A process that closes its drainer leaves nothing in the journal."""
    run("""
spans = tracer(drainer.wake)
for number in range(50):
    spans.start_span(f"span {number}").end()
assert drainer.close(30)
assert list(journal.folder.glob("*.[!h]*")) == []
spans.start_span("late").end()  # stays in the journal
assert len(list(journal.folder.glob("*.[!h]*"))) == 1
""")
    assert spans() == {f"span {number}": "ok" for number in range(50)}


FORKS = {
    "os.fork": "fork = os.fork",
    # As uWSGI does it: Python's fork hooks are not called. (No thread may run then: the interpreter's own lock
    # would not survive it.)
    "fork without hooks": "import ctypes; fork = ctypes.PyDLL(None).fork",
}


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_forked_children_killed(spawn, adopt, spans, fork):
    """Twenty children, each killed right after its last span, and their parent lose nothing."""
    process = spawn(
        fork
        + """
spans = tracer(lambda: None)
spans.start_span("parent before").end()
children = []
for child in range(20):
    pid = fork()
    if pid == 0:
        for number in range(20):
            spans.start_span(f"child {child} span {number}").end()
        os.kill(os.getpid(), signal.SIGKILL)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
spans.start_span("parent after").end()
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    _, err = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL, err
    assert adopt()
    wanted = [f"child {child} span {number}" for child in range(20) for number in range(20)]
    assert spans() == dict.fromkeys(["parent before", "parent after", *wanted], "ok")


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_children_deliver(run, spans, fork):
    """A child's own drainer delivers what the child records, while the parent's goes on."""
    run(
        fork
        + """
spans = tracer(lambda: None)  # the flush works, and leaves its connection open, without a thread
spans.start_span("parent before").end()
assert drainer.flush(30)
children = []
for child in range(3):
    pid = fork()
    if pid == 0:
        with spans.start_as_current_span(f"child {child}"):
            spans.start_span(f"below {child}").end()
        os._exit(0 if drainer.flush(30) else 1)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
spans.start_span("parent after").end()
assert drainer.close(30)
"""
    )
    numbers = range(3)
    wanted = ["parent before", "parent after", *(f"{kind} {n}" for kind in ("child", "below") for n in numbers)]
    assert spans() == dict.fromkeys(wanted, "ok")


def test_fork_while_threads_write(run, spans, home):
    """No child hangs, and no span is lost, when the process forks while threads write and the drainer delivers."""
    run("""
import warnings
warnings.simplefilter("ignore")  # Python 3.12 warns of the threads below, rightly
journal._segment_bytes = 20_000
spans = tracer(drainer.wake)
stop = False
written = [0] * 4
def work(name):
    while not stop:
        spans.start_span(f"thread {name} {written[name]}").end()
        written[name] += 1
        time.sleep(0.0005)
threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
for thread in threads:
    thread.start()
def fork_with_deadline(child):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # a child that hangs is killed
        spans.start_span(f"child {child}").end()
        os._exit(0 if drainer.flush(50) else 1)
    return pid
for child in range(40):
    pid = fork_with_deadline(child)
    assert os.waitpid(pid, 0)[1] == 0, child
stop = True
for thread in threads:
    thread.join()
assert drainer.close(50)
(home / "written").write_text(" ".join(map(str, written)))
""")
    found = spans()
    written = [int(count) for count in (home / "written").read_text().split()]
    wanted = {f"thread {name} {number}" for name, count in enumerate(written) for number in range(count)}
    assert found == dict.fromkeys(wanted | {f"child {number}" for number in range(40)}, "ok")


def test_child_does_not_keep_the_parents_segment(spawn, adopt, spans):
    """When the parent is killed its segment can be adopted though a child of it lives on."""
    process = spawn("""
spans = tracer(lambda: None)
spans.start_span("parent").end()
spans.start_span("open")
pid = os.fork()
if pid == 0:
    print(os.getpid(), flush=True)  # its fork hooks have run
    time.sleep(100)
    os._exit(0)
time.sleep(100)
""")
    child = int(process.stdout.readline())
    try:
        process.kill()
        process.wait(60)
        assert adopt()
        assert spans() == {"parent": "ok", "open": "interrupted"}
    finally:
        os.kill(child, signal.SIGKILL)


def test_child_does_not_interrupt_the_parents_spans(run, adopt, spans):
    """A root that was open at the fork is not declared interrupted when the child is gone."""
    run("""
span_tracer = tracer(lambda: None)
span = span_tracer.start_span("parents")
assert drainer.flush(30)
pid = os.fork()
if pid == 0:
    span_tracer.start_span("childs").end()
    os._exit(0)
os.waitpid(pid, 0)
from autotrace.delivery.drain import Drainer
assert Drainer(journal.folder, [StoreDestination(home / "traces.db")]).adopt()
import sqlite3
found = dict(sqlite3.connect(home / "traces.db").execute("SELECT name, status FROM spans"))
assert found == {"parents": "running", "childs": "ok"}, found
span.end()
assert drainer.flush(30)
""")
    assert spans() == {"childs": "ok", "parents": "ok"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the warning came with Python 3.12")
def test_no_warning_about_threads_at_a_fork(run):
    """A program that forks hears nothing about our thread."""
    run("""
import warnings
warnings.simplefilter("error")
spans = tracer(drainer.wake)
spans.start_span("before").end()
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
""")


def test_thread_has_ended_before_a_fork(run):
    """The drainer's thread is gone at the moment of a fork, and back with the next span."""
    run("""
spans = tracer(drainer.wake)
spans.start_span("before").end()
counts = []
os.register_at_fork(after_in_parent=lambda: counts.append(threading.active_count()))
assert threading.active_count() == 2
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
assert counts == [1], counts
spans.start_span("after").end()
assert threading.active_count() == 2
assert drainer.close(30)
""")
