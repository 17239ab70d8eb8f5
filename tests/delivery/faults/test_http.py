"""A destination behind HTTP whose server does all that servers do: what was made arrives, or is counted.

Counts are of different spans. A span may come twice only where its first request got no whole answer.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto", reason="the receiver reads OTLP")

from autotrace import config
from autotrace.delivery import outlets
from autotrace.delivery.destinations import Destination, otlp

from . import receiver as receiving
from .conftest import SPANS
from .receiver import Fault, Receiver

TRACES = 100
BUSY = Fault("status", 429, (("Retry-After", "1"),))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that listens."""
    found = Receiver()
    found.up()
    yield found
    found.close()


#: Makes the destination under test for an address, with a timeout in seconds.
Factory = Callable[[str, float], Destination]


def make_otlp(endpoint: str, timeout_s: float) -> Destination:
    """OTLP over HTTP, as the settings make it."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout_s)}
    return otlp.make(config.load(environ=variables))


@pytest.fixture(params=[make_otlp], ids=["otlp"])
def factory(request) -> Factory:
    """The destinations that are tested."""
    return request.param


@pytest.fixture
def quick(monkeypatch) -> None:
    """Failures are followed by short pauses; those that the server asks for are kept."""
    monkeypatch.setattr(outlets, "BACKOFF_S", 0.01)
    monkeypatch.setattr(outlets, "LONGEST_BACKOFF_S", 0.05)


@pytest.fixture
def line(make_line, factory, receiver, quick):
    """A line to the receiver."""
    return make_line([factory(receiver.endpoint, 0.3)])


def make(line, count: int = TRACES, text: str = "x" * 1000) -> set[str]:
    """Makes traces of two spans each; answers their ids."""
    made = set()
    for _ in range(count):
        with line.tracer.start_as_current_span("work", attributes={"text": text}) as span:
            line.tracer.start_span("step").end()
        made.add(f"{span.get_span_context().trace_id:032x}")
    return made


def whole(made: set[str]) -> dict[str, int]:
    return dict.fromkeys(made, SPANS)


FAULTS = {
    "500": [Fault("status", 500)] * 3,
    "502": [Fault("status", 502)] * 3,
    "503": [Fault("status", 503)] * 3,
    "429": [Fault("status", 429)] * 3,
    "429 with Retry-After": [BUSY],
    "503 with Retry-After": [Fault("status", 503, BUSY.headers)],
    "401": [Fault("status", 401)] * 2,
    "404": [Fault("status", 404)] * 2,
    "garbage": [Fault("garbage")] * 3,
    "cut": [Fault("cut")] * 3,
    "half an answer": [Fault("half")] * 2,
    "silence": [Fault("silence")] * 2,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_and_then_good_again(line, receiver, fault, until):
    """What meets a fault arrives afterwards: all of it, and once, but where there was only half an answer."""
    receiver.faults.extend(FAULTS[fault])
    made = make(line)
    until(lambda: line.drainer.flush(10))
    made |= make(line, 10)
    assert line.drainer.close(30)
    assert receiver.traces() == whole(made)
    assert not receiver.faults
    if fault != "half an answer":
        assert set(receiver.taken.values()) == {1}
    if "Retry-After" in fault:
        assert receiver.asked[1] - receiver.asked[0] >= 1.0


def test_faults_of_all_kinds_in_any_order(line, receiver, until):
    """A server that fails in one way after another gets all in the end."""
    chance = random.Random(20261124)
    kinds = [fault for faults in FAULTS.values() for fault in faults[:1] if not fault.headers]
    receiver.faults.extend(chance.choice(kinds) for _ in range(30))
    made = set()
    while receiver.faults:
        made |= make(line, 20)
        line.drainer.flush(0.2)
    until(lambda: line.drainer.flush(10))
    assert line.drainer.close(30)
    assert receiver.traces() == whole(made)


def test_too_large(line, receiver):
    """A server that takes only small requests gets the spans in small requests; each comes once."""
    receiver.rule = lambda ids, size: Fault("status", 413) if size > 10_000 else None
    made = make(line)
    assert line.drainer.flush(60)
    assert receiver.traces() == whole(made)
    assert set(receiver.taken.values()) == {1}
    assert line.drainer.outlets[0].rejected == 0


def test_one_span_too_large(line, receiver):
    """A span that no request is small enough for is counted as refused; the others arrive."""
    receiver.rule = lambda ids, size: Fault("status", 413) if size > 10_000 else None
    made = make(line, 50)
    [large] = make(line, 1, "x" * 20_000)
    made |= make(line, 50)
    assert line.drainer.flush(60)
    assert receiver.traces() == {**whole(made), large: 1}
    assert line.drainer.outlets[0].rejected == 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_poison(line, receiver, status):
    """Of a hundred traces one that the server refuses for good: the others arrive, once; its spans are counted."""
    made = list(make(line))
    poison = made[37]
    receiver.rule = lambda ids, size: Fault("status", status) if any(one[0] == poison for one in ids) else None
    assert line.drainer.flush(60)
    assert receiver.traces() == whole(set(made) - {poison})
    assert set(receiver.taken.values()) == {1}
    assert line.drainer.outlets[0].rejected == SPANS
    assert line.drainer.close(30)
    assert not list(line.journal.folder.glob("*.journal"))


def test_partial_success(line, receiver):
    """Spans that the server refuses in an answer of 200 are counted, and nothing is sent again."""
    made = list(make(line))
    receiver.rejects = lambda ids: ids[0] in made[:7]
    assert line.drainer.flush(60)
    assert receiver.traces() == whole(set(made[7:]))
    assert set(receiver.taken.values()) == {1}
    assert line.drainer.outlets[0].rejected == 7 * SPANS


def test_slow_destination_holds_up_no_other(make_line, factory, receiver, collecting, quick, until):
    """While one destination gets no answer at all, another gets everything; the first gets it later."""
    receiver.rule = lambda ids, size: None if collecting_has_all else Fault("silence")
    collecting_has_all = False
    line = make_line([factory(receiver.endpoint, 0.3), collecting])
    made = make(line)
    until(lambda: len(collecting.named("E")) == TRACES * SPANS)
    assert receiver.taken == Counter()
    collecting_has_all = True
    until(lambda: line.drainer.flush(10))
    assert receiver.traces() == whole(made)
    assert len(collecting.named("E")) == TRACES * SPANS


@pytest.mark.skipif("AUTOTRACE_SLOW_TESTS" not in os.environ, reason="takes a minute: set AUTOTRACE_SLOW_TESTS")
def test_nothing_for_thirty_seconds(make_line, factory, receiver, until):
    """A server that says nothing for 30 s, with the settings as they are, costs nothing but time."""
    receiver.faults.extend([Fault("silence")] * 3)
    line = make_line([factory(receiver.endpoint, 10.0)])
    made = make(line)
    until(lambda: line.drainer.flush(60), 120)
    assert receiver.traces() == whole(made)
    assert receiver.asked[3] - receiver.asked[0] >= 30.0


class Server:
    """A receiver in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._record = folder / "taken"
        self._record.touch()
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, on the port that it had."""
        command = [sys.executable, receiving.__file__, str(self._record), str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """Kills it."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def taken(self) -> Counter[str]:
        """How many different spans of each trace it has taken."""
        lines = {
            line for line in self._record.read_text().split("\n") if re.fullmatch("[0-9a-f]{32} [0-9a-f]{16}", line)
        }
        return Counter(line.split()[0] for line in lines)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that has not been started."""
    found = Server(tmp_path)
    yield found
    if found._process is not None:
        found.kill()


def test_killed_and_started_ten_times(make_line, factory, server, quick, until):
    """A server that is killed and started again ten times while spans come gets all of them."""
    server.start()
    line = make_line([factory(server.endpoint, 5.0)])
    made = set()
    for _ in range(10):
        made |= make(line, 20)
        before = sum(server.taken().values())
        until(lambda before=before: sum(server.taken().values()) > before)
        made |= make(line, 20)
        server.kill()
        made |= make(line, 20)
        until(lambda: line.drainer.outlets[0].failures)
        server.start()
    until(lambda: line.drainer.flush(10))
    assert line.drainer.close(30)
    assert server.taken() == whole(made)


#: Programs whose destination is the receiver.
def sending(programs, receiver: Receiver) -> None:
    programs.environment |= {
        "AUTOTRACE_DESTINATION": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }


DOWN = {
    "refuses": lambda receiver: receiver.down(),
    "says nothing": lambda receiver: setattr(receiver, "rule", lambda ids, size: Fault("silence")),
}
WORK = f"for _ in range({TRACES}):\n    trace()\n"


def come_up(receiver: Receiver) -> None:
    receiver.rule = lambda ids, size: None
    receiver.go_on()
    if receiver._server is None:
        receiver.up()


@pytest.mark.parametrize("down", DOWN)
def test_down_throughout_and_then_another_process(programs, receiver, down):
    """What a process made while the server was down is delivered by the next process, once."""
    sending(programs, receiver)
    DOWN[down](receiver)
    programs.run(WORK)
    programs.run(WORK)
    assert receiver.taken == Counter()
    come_up(receiver)
    programs.run("trace()\nassert autotrace.flush(60)")
    programs.run("trace()\nassert autotrace.flush(60)")  # has found what it looked for: nothing
    assert receiver.traces() == whole(programs.made())
    assert set(receiver.taken.values()) == {1}
    assert len(programs.made()) == 2 * TRACES + 2
    assert programs.segments() == []


@pytest.mark.parametrize("down", DOWN)
def test_down_throughout_and_then_drain(programs, receiver, down):
    """`autotrace drain` delivers what processes have left, once; while the server is down it says so and leaves it."""
    sending(programs, receiver)
    DOWN[down](receiver)
    programs.run(WORK)
    programs.run(f"{WORK}os.kill(os.getpid(), signal.SIGKILL)", -9)
    command = [sys.executable, "-m", "autotrace", "drain"]
    vain = [*command, "--timeout", "0.5"]
    options = {"env": programs.environment, "cwd": programs.folder, "capture_output": True, "text": True, "timeout": 60}
    assert subprocess.run(vain, **options).returncode != 0
    assert receiver.taken == Counter()
    come_up(receiver)
    done = subprocess.run(command, **options)
    assert done.returncode == 0, done.stderr
    assert receiver.traces() == whole(programs.made())
    assert set(receiver.taken.values()) == {1}
    assert len(programs.made()) == 2 * TRACES
    assert programs.segments() == []


def test_down_and_up_under_a_running_program(programs, receiver):
    """A program that outlives the server's absence delivers all by itself."""
    sending(programs, receiver)
    receiver.down()
    process = programs.start(
        f"{WORK}assert not autotrace.flush(0.5)\nprint(1, flush=True)\nsys.stdin.readline()\n{WORK}"
    )
    assert process.stdout.readline() == "1\n"
    come_up(receiver)
    _, err = process.communicate("go on\n", timeout=60)
    assert process.returncode == 0, err
    programs.run("trace()\nautotrace.flush(60)")
    assert receiver.traces() == whole(programs.made())
    assert set(receiver.taken.values()) == {1}
