"""`autotrace failures`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command, Fill
from .test_stats import CALL, EVER, judge, told


def fill(write: Fill) -> None:
    """Traces that fail alike, one that fails otherwise, and one that does not."""
    for number, trace in enumerate("abc"):
        failing = {"status": "error", "message": f"order {number} is gone"}
        write(trace, attributes={"error.type": "LookupError", "user.id": trace}, start=number, **failing)
    write("d", attributes=CALL | {"error.type": "RateLimitError"}, status="error", message="slow down", start=5)
    write("e", start=6)


def test_json(autotrace: Command, write: Fill) -> None:
    """Groups of what is alike, those of most traces first."""
    fill(write)
    found = told(autotrace, "failures")
    assert found.keys() == {"traces", "kinds", "groups", "groups_left"}
    first, second = found["groups"]
    assert (first["type"], first["message"], first["traces"], first["users"]) == (
        "LookupError",
        "order <n> is gone",
        3,
        3,
    )
    assert first["rate"] == pytest.approx(0.6)
    assert (first["first_seen"], first["last_seen"]) == ("2026-05-28T20:26:40Z", "2026-05-28T20:26:42Z")
    assert (second["kind"], second["place"], second["model"]) == ("error", "chat", "gpt-4o-mini")


def test_terminal(autotrace: Command, write: Fill) -> None:
    """A line a group; what is left out is told."""
    fill(write)
    shown = autotrace("failures", *EVER).stdout
    assert "LookupError: order <n> is gone" in shown
    assert "60 %" in shown
    assert "chat gpt-4o-mini" in shown
    shown = autotrace("failures", *EVER, "--limit", "1").stdout
    assert "RateLimitError" not in shown
    assert "1 rarer groups are not shown" in shown


def test_kind(autotrace: Command, write: Fill, home: Path) -> None:
    """Only what was disliked."""
    fill(write)
    judge(home, "e", False)
    assert [group["kind"] for group in told(autotrace, "failures", "--kind", "disliked")["groups"]] == ["disliked"]
    assert autotrace("failures", "--kind", "nonsense").exit_code == 2


def test_nothing_failed(autotrace: Command, write: Fill) -> None:
    """Is told, with the number of traces that did not."""
    write("a")
    assert autotrace("failures", *EVER).stdout == "Nothing failed in 1 traces.\n"
