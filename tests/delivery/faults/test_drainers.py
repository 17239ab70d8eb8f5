"""Several that deliver the same journal at once: nothing is lost, and nothing is delivered twice."""

from __future__ import annotations

import re
import threading
from collections import Counter

from autotrace.delivery.drain import Drainer

from .conftest import UNDELIVERED

#: A process that makes traces and dies.
KILLED = f"{UNDELIVERED}for _ in range(60):\n    trace('x' * 1000)\nos.kill(os.getpid(), signal.SIGKILL)"
#: A process that delivers what others have left to a file, as the destination that they wanted. Each waits for the line
#: that says go, so that all begin at once.
DRAINER = """
from pathlib import Path
from autotrace.delivery.destinations.sqlite import StoreDestination
from autotrace.delivery.drain import Drainer

class File:
    name = "store"
    store = StoreDestination(Path(os.environ["AUTOTRACE_HOME"]) / "traces.db")

    def deliver(self, records, resource):
        self.store.deliver(records, resource)
        lines = [f"{one.trace_id} {one.span_id}\\n" for one in records if one.kind == "E"]
        file = os.open("delivered", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, "".join(lines).encode())
        os.close(file)

    def close(self):
        self.store.close()

drainer = Drainer(Path(os.environ["AUTOTRACE_HOME"]) / "journal", [File()], interval_s=0.01)
print("ready", flush=True)
sys.stdin.readline()
assert drainer.adopt(60)
assert drainer.close(30)
"""


def delivered(programs) -> Counter[str]:
    """How often each span was delivered."""
    text = (programs.folder / "delivered").read_text()
    return Counter(re.findall("^[0-9a-f]{32} [0-9a-f]{16}$", text, re.MULTILINE))


def test_processes(programs, all_stored):
    """Four processes that deliver what ten others have left deliver every span, and each once."""
    for process in [programs.start(KILLED) for _ in range(10)]:
        assert process.wait(60) == -9
    drainers = [programs.start(DRAINER) for _ in range(4)]
    for drainer in drainers:
        assert drainer.stdout.readline() == "ready\n"
    for drainer in drainers:
        drainer.stdin.write("go\n")
        drainer.stdin.flush()
    for drainer in drainers:
        _, err = drainer.communicate(timeout=100)
        assert drainer.returncode == 0, err
        assert err == ""
    all_stored()
    found = delivered(programs)
    assert set(found.values()) == {1}
    assert len(found) == 10 * 60 * 2


def test_drainers_killed(programs, all_stored):
    """Drainers that are killed in the midst of a delivery lose nothing: the next one delivers what they had not."""
    for process in [programs.start(KILLED) for _ in range(10)]:
        assert process.wait(60) == -9
    slow = DRAINER.replace(
        "def deliver(self, records, resource):", "def deliver(self, records, resource):\n        dying()"
    )
    # Each dies before, in the midst of or after one delivery of its own.
    dying = """
def dying():
    if os.path.getsize("kills") < 4:
        with open("kills", "a") as file:
            file.write("x")
        threading.Timer(random.uniform(0, 0.02), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        time.sleep(random.choice([0, 60]))
"""
    (programs.folder / "kills").touch()
    statuses = []
    while len(statuses) < 20 and 0 not in statuses:
        process = programs.start(dying + slow)
        _, err = process.communicate("go\n", timeout=100)
        assert process.returncode in (0, -9), err
        statuses.append(process.returncode)
    assert statuses.count(-9) >= 1
    all_stored()


def test_threads(programs, make_collecting):
    """Several drainers in one process deliver what others have left once."""
    for process in [programs.start(KILLED) for _ in range(6)]:
        assert process.wait(60) == -9
    destinations = [make_collecting("store") for _ in range(4)]
    drainers = [Drainer(programs.home / "journal", [destination]) for destination in destinations]
    threads = [threading.Thread(target=drainer.adopt, args=(60,)) for drainer in drainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for drainer in drainers:
        assert drainer.close(30)
    found = Counter((one.trace_id, one.span_id) for each in destinations for one in each.records if one.kind == "E")
    assert set(found.values()) == {1}
    assert len(found) == 6 * 60 * 2
    assert programs.segments() == []


def test_writers_and_drainers(programs, all_stored):
    """Processes that come and go, each of which delivers what the ones before it left, lose nothing together."""
    ends = ["sys.exit()", "os._exit(0)", "os.kill(os.getpid(), signal.SIGTERM)", "os.kill(os.getpid(), signal.SIGKILL)"]
    work = "for _ in range(20):\n    trace()\n    time.sleep(random.uniform(0, 0.02))\n"
    running = [programs.start(work + ends[number % 4]) for number in range(12)]
    for process in running:
        assert process.wait(60) in (0, -15, -9)
    programs.adopt()
    all_stored()
