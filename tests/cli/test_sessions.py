"""`autotrace sessions`."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotrace.insights.people import SORTS

from .conftest import Command, Fill
from .test_stats import CALL, EVER, judge, told


def fill(write: Fill, home: Path) -> None:
    """Two sessions of two users."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": "how much?"}]}]
    write("a", attributes=CALL | {"session.id": "s1", "user.id": "ann", "gen_ai.input.messages": asked})
    write("b", attributes={"session.id": "s2", "user.id": "bob"}, start=5, status="error")
    write("c", attributes={"session.id": "s1", "user.id": "ann"}, start=9)
    write("d", start=20)
    judge(home, "a", True)


def test_json(autotrace: Command, write: Fill, home: Path) -> None:
    """An array, those seen last first."""
    fill(write, home)
    first, second = told(autotrace, "sessions")
    assert first.keys() == {
        *("session", "user", "traces", "failed", "tokens", "cost_usd", "unpriced", "up", "down", "first", "last"),
        "request",
    }
    assert (first["session"], first["user"], first["traces"], first["tokens"], first["up"]) == ("s1", "ann", 2, 1100, 1)
    assert first["cost_usd"] > 0
    assert (second["session"], second["failed"]) == ("s2", 1)


def test_by_user(autotrace: Command, write: Fill, home: Path) -> None:
    """The same of users."""
    fill(write, home)
    found = told(autotrace, "sessions", "--users")
    assert [(row["user"], row["traces"]) for row in found] == [("ann", 2), ("bob", 1)]
    assert "session" not in found[0]


@pytest.mark.parametrize("sort", SORTS)
def test_sorting(autotrace: Command, write: Fill, home: Path, sort: str) -> None:
    """Those with most of it first."""
    fill(write, home)
    rows = told(autotrace, "sessions", "--sort", sort)
    values = [row[{"cost": "cost_usd"}.get(sort, sort)] for row in rows]
    assert values == sorted(values, reverse=True)
    assert len(told(autotrace, "sessions", "--sort", sort, "--limit", "1")) == 1


def test_terminal(autotrace: Command, write: Fill, home: Path) -> None:
    """A line each."""
    fill(write, home)
    shown = autotrace("sessions", *EVER).stdout.splitlines()
    assert shown[0].split()[:4] == ["SESSION", "USER", "TRACES", "FAILED"]
    assert shown[1].split()[:4] == ["s1", "ann", "2", "0"]
    assert autotrace("sessions", "--users", *EVER).stdout.splitlines()[1].split()[:3] == ["ann", "2", "0"]


@pytest.mark.parametrize(("more", "kind"), [((), "session"), (("--users",), "user")])
def test_nobody_is_named(autotrace: Command, write: Fill, more: tuple[str, ...], kind: str) -> None:
    """The one next step."""
    write("a")
    assert f"autotrace.context({kind}=...)" in autotrace("sessions", *more, *EVER).stdout
    assert told(autotrace, "sessions", *more) == []


def test_costs_that_are_not_known(autotrace: Command, write: Fill) -> None:
    """Are no zeros, also where others cost nothing; what is known of some is told."""
    unknown = {"gen_ai.request.model": "my-own-model"}
    write("a", attributes=CALL | unknown | {"session.id": "none"})
    write("b", attributes=CALL | unknown | {"session.id": "free"}, start=1)
    write("c", attributes={"session.id": "free"}, start=2)
    write("d", attributes=CALL | unknown | {"session.id": "some"}, start=3)
    write("e", attributes=CALL | {"session.id": "some"}, start=4)
    write("f", attributes={"session.id": "nothing"}, start=5)
    found = {row["session"]: (row["cost_usd"], row["unpriced"]) for row in told(autotrace, "sessions")}
    assert (found["none"], found["free"], found["nothing"]) == ((None, 1), (None, 1), (0, 0))
    assert found["some"][0] > 0
    shown = autotrace("sessions", *EVER).stdout
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines()}
    assert " ? " in lines["free"]
    assert "$0" not in lines["free"]
    assert "$0 " in lines["nothing"]
    assert " + ? " in lines["some"]
    assert "3 of these traces are of unknown price" in shown
