"""What processes that are gone have left is delivered before a command reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.usefixtures("killed")
def test_other_destinations_keep_their_spans(autotrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spans do not go to the store, a command takes nothing out of the journal."""
    before = [path.read_bytes() for path in (home / "journal").glob("*.journal")]
    monkeypatch.setenv("AUTOTRACE_DESTINATION", "console")
    assert json.loads(autotrace("traces", "--json").stdout) == []
    assert [path.read_bytes() for path in (home / "journal").glob("*.journal")] == before


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
