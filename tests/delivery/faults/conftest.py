"""What the tests of faults share: programs that tell which traces they made, and what became of those."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autotrace.delivery.destinations.sqlite import StoreDestination
from autotrace.delivery.drain import Drainer

#: What a program begins with. A trace has two spans; it is reported when both have ended, and not before: the report
#: outlives the process as the journal's lines do.
PRELUDE = """
import os, random, signal, sys, threading, time
import autotrace

report = os.open(os.environ["REPORT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def trace(text="what was asked", name="work"):
    with autotrace.span(name, input=text):
        with autotrace.span("step"):
            pass
        trace_id = autotrace.current_trace_id()
    os.write(report, f"{trace_id}\\n".encode())
    return trace_id
"""
SPANS = 2
#: What a program begins with that delivers nothing: all that it makes stays in the journal.
UNDELIVERED = """
from autotrace.delivery.drain import Drainer
Drainer.wake = lambda self: None
"""


class Programs:
    """Starts programs that share a home.

    Attributes:
        environment: What is set for them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.report = folder / "made"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOTRACE", "OTEL", "MLFLOW"))}
        self.environment = {
            **inherited,
            "AUTOTRACE_HOME": str(self.home),
            "REPORT": str(self.report),
            "PYTHONHASHSEED": "0",
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, code: str, first: str = "", **environment: str) -> subprocess.Popen[str]:
        """Starts a program: `first`, PRELUDE, then `code`, in a file, for `multiprocessing` wants to import it."""
        program = self.folder / f"program{len(self._started)}.py"
        program.write_text(first + PRELUDE + code)
        process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environment, **environment},
        )
        self._started.append(process)
        return process

    def run(self, code: str, status: int = 0, first: str = "", **environment: str) -> tuple[str, str]:
        """Runs a program to its end, which has that status; answers what it wrote to its two outputs."""
        process = self.start(code, first, **environment)
        out, err = process.communicate(timeout=100)
        assert process.returncode == status, err
        return out, err

    def made(self) -> set[str]:
        """The ids of the traces that were made, by any program. No two are alike."""
        ids = self.report.read_text().split() if self.report.exists() else []
        assert len(set(ids)) == len(ids), "ids repeat"
        return set(ids)

    def adopt(self) -> Drainer:
        """Delivers what programs that are gone have left into the store."""
        destination = StoreDestination(self.home / "traces.db")
        drainer = Drainer(self.home / "journal", [destination])
        try:
            assert drainer.adopt()
        finally:
            drainer.close(5)
            destination.close()
        return drainer

    def stored(self) -> Counter[str]:
        """How many ended spans of each trace are in the store."""
        connection = sqlite3.connect(self.home / "traces.db")
        try:
            return Counter(
                row[0]
                for row in connection.execute(
                    "SELECT spans.trace_id FROM spans JOIN payloads USING (id)"
                    " WHERE status NOT IN ('running', 'interrupted')"
                )
            )
        finally:
            connection.close()

    def segments(self) -> list[Path]:
        """The journal's segments."""
        return sorted((self.home / "journal").glob("*.journal"))

    def kill(self) -> None:
        """Ends what still runs."""
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs in a folder of their own."""
    found = Programs(tmp_path)
    yield found
    found.kill()


@pytest.fixture
def all_stored(programs: Programs) -> Callable[[], None]:
    """Asserts that every trace that was made is in the store, whole, and nothing is left in the journal."""

    def check() -> None:
        made, stored = programs.made(), programs.stored()
        assert made
        assert {trace_id for trace_id in made if stored[trace_id] != SPANS} == set()
        assert programs.segments() == []

    return check
