"""Processes that are killed: what had ended is stored, once, however and whenever it happened."""

from __future__ import annotations

import signal

import pytest

#: A parent that keeps eight workers at work and kills one after another, 50 in all, at moments that a seed chooses.
#: The workers are forked, so that many a moment lies in their first milliseconds: before the first span, while the
#: segment is made, while the drainer starts.
LOAD = """
trace()  # imports what there is to import
autotrace.flush()
chance = random.Random(20261124)

def worker():
    text = "x" * 1000
    while True:
        trace(text)
        time.sleep(0.001)

def start():
    pid = os.fork()
    if pid == 0:
        worker()
    return pid

workers = [start() for _ in range(8)]
for killed in range(50):
    time.sleep(chance.uniform(0, 0.2))
    victim = chance.randrange(8)
    os.kill(workers[victim], signal.SIGKILL)
    os.waitpid(workers[victim], 0)
    workers[victim] = start()
for pid in workers:
    os.kill(pid, signal.SIGKILL)
for pid in workers:
    os.waitpid(pid, 0)
"""


def test_sigkill_at_fifty_moments(programs, all_stored):
    """Of a load of eight processes, killed at 50 moments, everything that had ended is stored, exactly once."""
    programs.run(LOAD)
    programs.adopt()
    all_stored()
    assert len(programs.made()) > 50


ENDS = {
    "os._exit": ("os._exit(0)", 0),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGABRT": ("import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()", -signal.SIGABRT),
    "uncaught": ("sys.stderr.close(); raise RuntimeError", 1),
}


@pytest.mark.parametrize("end", ENDS)
def test_ends(programs, all_stored, end):
    """However a process ends right after a trace, the trace is stored."""
    code, status = ENDS[end]
    programs.run(f"for _ in range(100):\n    trace()\n{code}", status)
    programs.adopt()
    all_stored()
    assert len(programs.made()) == 100


def test_out_of_memory(programs, all_stored):
    """A process that has no memory left goes on, and what had ended when it is killed is stored."""
    programs.run(
        """
import resource
trace()
autotrace.flush()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000, used + 20_000_000))
hoard, refused = [], 0
for number in range(2000):
    try:
        hoard.append(bytearray(100_000))
    except MemoryError:
        refused += 1
    trace("x" * 1000)
assert refused > 1000
os.kill(os.getpid(), signal.SIGKILL)
""",
        -signal.SIGKILL,
    )
    programs.adopt()
    all_stored()
    assert len(programs.made()) == 2001
