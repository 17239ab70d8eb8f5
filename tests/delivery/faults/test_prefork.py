"""Servers that fork: what any of their processes recorded arrives, whoever dies how and when."""

from __future__ import annotations

import signal

import pytest

FORKS = {
    # As gunicorn does it with `--preload`: the application is imported, and has traced, before the workers are forked.
    "os.fork": "fork = os.fork\ntrace()\n",
    # As uWSGI does it: Python's fork hooks are not called. (No thread may run then: the interpreter's own lock would
    # not survive it.)
    "fork without hooks": "import ctypes\nfork = ctypes.PyDLL(None).fork\nautotrace.autolog()\n",
}

#: A master with four workers at a time, 16 in all. Each serves 25 requests and ends in one of four ways.
MASTER = """
ENDS = [
    lambda: sys.exit(0),
    lambda: os._exit(0),
    lambda: os.kill(os.getpid(), signal.SIGTERM),
    lambda: os.kill(os.getpid(), signal.SIGKILL),
]

def start(number):
    pid = fork()
    if pid == 0:
        for request in range(25):
            trace()
        ENDS[number % 4]()
    return pid

workers = [start(number) for number in range(4)]
for number in range(4, 16):
    pid = os.waitpid(-1, 0)[0]
    workers.remove(pid)
    workers.append(start(number))
    if fork is os.fork:
        trace()
for pid in workers:
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("fork", FORKS)
def test_workers(programs, all_stored, fork):
    """Every request that any worker served is stored, and what the master did itself."""
    programs.run(FORKS[fork] + MASTER)
    programs.adopt()
    all_stored()
    assert len(programs.made()) == 16 * 25 + (13 if fork == "os.fork" else 0)


@pytest.mark.parametrize("fork", FORKS)
def test_master_killed(programs, all_stored, fork):
    """Workers outlive a master that was killed: what they record afterwards is stored as well."""
    programs.run(
        FORKS[fork]
        + """
read, write = os.pipe()
pid = fork()
if pid == 0:
    os.close(write)
    for number in range(20):
        trace()
    os.read(read, 1)  # the master is gone
    for number in range(20):
        trace()
    assert autotrace.flush(30)
    os.kill(os.getpid(), signal.SIGKILL)
os.close(read)
os.kill(os.getpid(), signal.SIGKILL)
""",
        -signal.SIGKILL,
    )
    programs.adopt()
    all_stored()
    assert len(programs.made()) >= 40


STARTS = {
    "fork": "fork",
    "spawn": "spawn",
    "forkserver": "forkserver",
}


@pytest.mark.parametrize("method", STARTS)
def test_multiprocessing(programs, all_stored, method):
    """Workers of `multiprocessing`, which end without running exit handlers, lose nothing, however they are started."""
    programs.run(
        f"""
import multiprocessing
import warnings
warnings.simplefilter("ignore")  # of forking in a process with threads

def work(number):
    return trace()

if __name__ == "__main__":
    trace()
    with multiprocessing.get_context({method!r}).Pool(3) as pool:
        assert len(set(pool.map(work, range(30)))) == 30
        # leaving terminates them
    trace()
"""
    )
    programs.adopt()
    all_stored()
    assert len(programs.made()) == 32
