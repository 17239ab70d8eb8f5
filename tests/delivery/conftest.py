"""What the tests of the delivery share: a home, real spans, and processes that can be killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from autotrace.delivery.destinations import Destination, Record
from autotrace.delivery.destinations.sqlite import StoreDestination
from autotrace.delivery.drain import Drainer
from autotrace.delivery.journal import Journal
from autotrace.delivery.processor import JournalProcessor
from autotrace.delivery.segments import Segment, segment_names

#: What a child process begins with; `home` is its first argument.
PRELUDE = """
import os, signal, sys, threading, time
from pathlib import Path
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from autotrace.delivery.destinations.sqlite import StoreDestination
from autotrace.delivery.drain import Drainer
from autotrace.delivery.journal import Journal
from autotrace.delivery.processor import JournalProcessor

home = Path(sys.argv[1])
resource = Resource({"service.name": "child", "process.pid": os.getpid()})
journal = Journal(home, resource.attributes)
drainer = Drainer(journal.folder, [StoreDestination(home / "traces.db")])

class Ids:  # `random`, that OpenTelemetry uses, repeats itself after a fork without hooks
    def generate_trace_id(self):
        return int.from_bytes(os.urandom(16), "big")
    def generate_span_id(self):
        return int.from_bytes(os.urandom(8), "big")
    def is_trace_id_random(self):
        return True

def tracer(wake):
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=Ids())
    provider.add_span_processor(JournalProcessor(journal, wake))
    return provider.get_tracer("autotrace")
"""


class Line:
    """A home with a journal, a drainer, and a tracer whose spans go there."""

    def __init__(self, home: Path, destinations: list[Destination] | None = None, **journal: Any) -> None:
        resource = Resource({"service.name": "test", "deployment.environment.name": "here"})
        self.home = home
        self.store = home / "traces.db"
        self.journal = Journal(home, resource.attributes, **journal)
        if destinations is None:
            destinations = [StoreDestination(self.store)]
        self.drainer = Drainer(self.journal.folder, destinations)
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.processor = JournalProcessor(self.journal, self.drainer.wake)
        self.provider.add_span_processor(self.processor)

    @property
    def tracer(self) -> Tracer:
        return self.provider.get_tracer("autotrace.plugins.test", "1.2")


class Collecting:
    """A destination that keeps what it gets; it fails while `error` is set."""

    def __init__(self, name: str = "collecting") -> None:
        self.name = name
        self.records: list[Record] = []
        self.resources: list[Any] = []
        self.error: Exception | None = None
        self.attempts = 0

    def deliver(self, records: Any, resource: Any) -> None:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.records += records
        self.resources += [resource] * len(records)

    def close(self) -> None:
        pass

    def where(self, record: Record) -> Any:
        """The resource that a record came with."""
        return self.resources[self.records.index(record)]

    def named(self, kind: str) -> list[str]:
        return [record.body["name"] for record in self.records if record.kind == kind]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".autotrace"


@pytest.fixture
def make_line(home: Path) -> Iterator[Callable[..., Line]]:
    """Makes lines in the home, and closes them at the end."""
    made: list[Line] = []

    def make(destinations: list[Destination] | None = None, **journal: Any) -> Line:
        made.append(Line(home, destinations, **journal))
        return made[-1]

    yield make
    for line in made:
        line.drainer.close(5)


@pytest.fixture
def line(make_line: Callable[..., Line]) -> Line:
    return make_line()


@pytest.fixture
def collecting() -> Collecting:
    return Collecting()


@pytest.fixture
def make_collecting() -> type[Collecting]:
    return Collecting


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition; fails when it does not come true within a minute."""

    def wait(condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def spawn(home: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a Python process that runs PRELUDE and then the given code."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(spawn: Callable[[str], subprocess.Popen[str]]) -> Callable[[str], str]:
    """Runs a process to its end; answers its output."""

    def to_end(code: str) -> str:
        process = spawn(code)
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        assert err == ""
        return out

    return to_end


@pytest.fixture
def spans(home: Path) -> Callable[[], dict[str, str]]:
    """The status of every stored span, by name."""

    def read() -> dict[str, str]:
        if not (home / "traces.db").exists():
            return {}
        connection = sqlite3.connect(home / "traces.db")
        try:
            return dict(connection.execute("SELECT name, status FROM spans ORDER BY id").fetchall())
        except sqlite3.OperationalError:  # the tables are not there yet
            return {}
        finally:
            connection.close()

    return read


@pytest.fixture
def adopt(home: Path) -> Callable[[], bool]:
    """Delivers what other processes left into the store."""

    def work() -> bool:
        destination = StoreDestination(home / "traces.db")
        try:
            return Drainer(home / "journal", [destination]).adopt()
        finally:
            destination.close()

    return work


@pytest.fixture
def journalled(home: Path) -> Callable[[], list[Record]]:
    """Every record in the journal's segments, segment by segment."""

    def read() -> list[Record]:
        found: list[Record] = []
        for name in segment_names(home / "journal"):
            with Segment(home / "journal", name) as segment:
                offset, size = segment.body_start, segment.size()
                while batch := segment.batch(offset, size, final=True):
                    found += batch.records
                    offset = batch.end
        return found

    return read
