"""`autotrace failures`."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotrace.delivery.destinations import Record
from autotrace.store.writer import Writer

from .conftest import BEGAN, SECOND, Command, Fill
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
    assert found.keys() == {"traces", "counted", "note", "kinds", "groups", "groups_left"}
    assert (found["counted"], found["note"]) == (None, None)
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


def test_sampled(autotrace: Command, write: Fill, home: Path) -> None:
    """Where sampling keeps what failed, the rate of errors is of all traces, and it is said what is not kept."""
    fill(write)
    judge(home, "e", False)
    left_out(home, 995)
    found = told(autotrace, "failures")
    assert (found["traces"], found["counted"]["traces"]) == (5, 1000)
    rates = {group["kind"]: group["rate"] for group in found["groups"]}
    assert rates == {"error": pytest.approx(0.001), "disliked": pytest.approx(0.2)}
    assert [group["rate"] for group in found["groups"] if group["type"] == "LookupError"] == [pytest.approx(0.003)]
    shown = autotrace("failures", *EVER).stdout
    assert "Of 1,000 traces 5 are kept, and those are no fair sample: rates of errors are of all" in shown


def test_sampled_and_filtered(autotrace: Command, write: Fill, home: Path) -> None:
    """What nothing was counted by has the rate of what is kept, and a note."""
    fill(write)
    left_out(home, 995)
    found = told(autotrace, "failures", "--filter", "status:error")
    assert found["counted"] is None
    assert found["groups"][0]["rate"] == pytest.approx(0.75)
    assert found["note"].endswith("rates are of those that are kept.")


def left_out(home: Path, count: int) -> None:
    """Counts traces that are not kept."""
    body = {"parent_id": None, "root": True, "name": "x", "kind": "internal", "status": "unset", "message": None}
    body |= {"start": BEGAN, "end": BEGAN + SECOND, "scope": "autotrace", "scope_version": "1"}
    body |= {"attributes": {}, "events": [], "links": []}
    writer = Writer(home / "traces.db")
    writer.count([Record("E", f"{number + 1:032x}", "1" * 16, body) for number in range(count)], {})
    writer.close()
