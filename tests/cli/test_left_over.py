"""What processes that are gone have left is delivered before a command reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..delivery.faults.receiver import Receiver
from .conftest import Command

#: Ends at once, in the midst of a trace, before anything could be delivered.
KILLED = """
import os, signal, autotrace
with autotrace.span("outer"):
    with autotrace.span("inner"):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(home: Path) -> None:
    """A program that was killed."""
    subprocess.run([sys.executable, "-c", KILLED], timeout=60)


@pytest.mark.usefixtures("killed")
def test_killed_program_is_shown(autotrace: Command, home: Path) -> None:
    """The root of a program that was killed shows as interrupted, with the spans that had ended."""
    assert list((home / "journal").glob("*.journal"))
    (found,) = json.loads(autotrace("traces", "--json").stdout)
    assert (found["name"], found["status"], found["duration_ms"]) == ("outer", "interrupted", None)
    shown = json.loads(autotrace("traces", "show", found["trace_id"], "--json").stdout)
    assert [(span["name"], span["status"]) for span in shown["spans"]] == [
        ("outer", "interrupted"),
        ("inner", "ok"),
    ]
    assert not list((home / "journal").glob("*.journal"))


def test_other_destinations_keep_their_spans(autotrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes elsewhere too stays in the journal for that, when a command has taken it to the store."""
    monkeypatch.setenv("AUTOTRACE_DESTINATION", "store,otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    subprocess.run([sys.executable, "-c", KILLED], timeout=60)
    before = [path.read_bytes() for path in (home / "journal").glob("*.journal")]
    monkeypatch.setenv("AUTOTRACE_DESTINATION", "store")
    (found,) = json.loads(autotrace("traces", "--json").stdout)
    assert found["status"] == "interrupted"
    assert [path.read_bytes() for path in (home / "journal").glob("*.journal")] == before
    drained = autotrace("drain", "--json")
    assert drained.exit_code == 1
    assert "2 records wait for the destination otlp" in drained.stderr
    (state,) = json.loads(autotrace("doctor", "--json").stdout)["destinations"]
    assert (state["name"], state["queued_records"]) == ("store", 0)


def test_who_comes_last_takes_it_away(autotrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one destination has got from one command and the other from another is done with."""
    monkeypatch.setenv("AUTOTRACE_DESTINATION", "store,otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    subprocess.run([sys.executable, "-c", KILLED], timeout=60)
    monkeypatch.setenv("AUTOTRACE_DESTINATION", "store")
    assert autotrace("drain").exit_code == 1
    (segment,) = (home / "journal").glob("*.journal")
    receiver = Receiver()
    receiver.up()
    try:
        monkeypatch.setenv("AUTOTRACE_DESTINATION", "otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        assert autotrace("drain").exit_code == 0
    finally:
        receiver.close()
    assert receiver.taken.total() == 2
    assert not segment.exists()


@pytest.mark.usefixtures("killed")
def test_drain(autotrace: Command, home: Path) -> None:
    """`autotrace drain` delivers what a killed program has left, once, and says how much."""
    assert autotrace("drain").stdout == "store: 3 records delivered, 0 left\n"
    assert not list((home / "journal").glob("*.journal"))
    (found,) = json.loads(autotrace("drain", "--json").stdout)
    assert found == {
        "destination": "store",
        "delivered": 0,
        "left": 0,
        "dropped": 0,
        "rejected": 0,
        "last_error": None,
    }


def test_drain_where_nothing_can_be_delivered(autotrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that takes nothing is tried until the time is over; what is left is told, the exit status is 1."""
    monkeypatch.setenv("AUTOTRACE_DESTINATION", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    subprocess.run([sys.executable, "-c", KILLED], timeout=60)
    drained = autotrace("drain", "--timeout", "1s")
    assert drained.exit_code == 1
    assert "otlp: 0 records delivered" in drained.stdout
    assert "autotrace: destination otlp" in drained.stderr
    assert list((home / "journal").glob("*.journal"))
    assert autotrace("drain", "--timeout", "soon").exit_code == 2


@pytest.mark.usefixtures("killed")
def test_delivery_that_fails(autotrace: Command, home: Path) -> None:
    """A failure to deliver is a warning on stderr; what can be read is shown."""
    (home / "traces.db").touch()
    (home / "traces.db-wal").mkdir()  # nobody can write this store
    (home / "traces.db-shm").mkdir()
    result = autotrace("traces", "--json")
    assert "autotrace: " in result.stderr
    assert "Traceback" not in result.stderr
    assert list((home / "journal").glob("*.journal"))
