"""`autotrace stats`, and what it shares with the other commands that tell of many traces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotrace.cli.terminal import UNSAFE
from autotrace.delivery.destinations import WHOLE_TRACE, Record
from autotrace.store.writer import Writer

from .conftest import BEGAN, SECOND, Command, Fill
from .test_hostile import hostile_trace

EVER = ("--since", "2026-01-01", "--until", "2027-01-01")
CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
#: Commands that tell of many traces, each with what it needs.
COMMANDS = (("stats",), ("failures",), ("sessions",), ("sessions", "--users"), ("check", "--error-rate", "50%"))


def judge(home: Path, trace: str, value: bool, comment: str | None = None) -> None:
    """Gives a trace a thumb."""
    body = {
        "id": trace * 32,
        "type": "feedback",
        "name": "thumbs",
        "value": value,
        "comment": comment,
        "source_type": "human",
        "source": "ann",
        "time": BEGAN + 9 * SECOND,
        "metadata": {},
    }
    writer = Writer(home / "traces.db")
    writer.write([Record("F", trace * 32, WHOLE_TRACE, body)], {})
    writer.close()


def told(autotrace: Command, *arguments: str) -> Any:
    """The JSON that a command prints."""
    result = autotrace(*arguments, *EVER, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json(autotrace: Command, write: Fill, home: Path) -> None:
    """The figures of the overview, those of the period before, and the change."""
    write("a", attributes=CALL | {"user.id": "ann"})
    write("b", status="error", start=5)
    judge(home, "a", False, "wrong")
    found = told(autotrace, "stats")
    assert found.keys() == {"now", "before", "change", "course", "models", "tools", "comments", "counted"}
    now = found["now"]
    assert (now["traces"], now["failed"], now["error_rate"], now["input_tokens"]) == (2, 1, 0.5, 1000)
    assert (found["before"]["traces"], found["change"]["traces"], found["counted"]) == (0, None, None)
    assert [(model["model"], model["calls"]) for model in found["models"]] == [("gpt-4o-mini", 1)]
    assert [comment["comment"] for comment in found["comments"]] == ["wrong"]
    assert told(autotrace, "stats", "--user", "ann")["now"]["traces"] == 1
    assert told(autotrace, "stats", "--filter", "feedback:down")["now"]["traces"] == 1
    assert told(autotrace, "stats", "--environment", "nowhere")["now"]["traces"] == 0


def test_terminal(autotrace: Command, write: Fill, home: Path) -> None:
    """A line a figure, then models, tools and comments."""
    write("a", attributes=CALL)
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    write("a", "2", "1", tool)
    judge(home, "a", True, "thank you")
    shown = autotrace("stats", *EVER).stdout
    for text in ("Traces", "Latency p50 / p90 / p99", "1,000 / 100", "gpt-4o-mini", "search"):
        assert text in shown
    assert "Latest comments\nup: thank you" in shown


def test_the_change_stands_beside(autotrace: Command, write: Fill) -> None:
    """Against as long a time before."""
    for number, trace in enumerate("abc"):
        write(trace, start=number)
    write("d", start=-100)
    shown = autotrace("stats", "--since", "2026-05-28T20:26:40Z", "--until", "2026-05-28T20:36:40Z").stdout
    assert "+200 %" in shown


def test_a_cost_that_nobody_knows(autotrace: Command, write: Fill) -> None:
    """Is not shown as nothing."""
    write("a", attributes=CALL | {"gen_ai.request.model": "my-own-model"})
    shown = autotrace("stats", *EVER).stdout
    assert "1 traces of unknown price" in shown
    assert "$0" not in shown
    told_no_usage = {name: value for name, value in CALL.items() if "usage" not in name}
    write("b", attributes=told_no_usage, start=1)
    write("c", attributes=CALL, start=2)
    (line,) = (line for line in autotrace("stats", *EVER).stdout.splitlines() if line.startswith("gpt-4o-mini"))
    assert line.endswith(" + ?")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_store(autotrace: Command, home: Path, command: tuple[str, ...]) -> None:
    """The one next step; JSON stays JSON."""
    result = autotrace(*command)
    assert "No traces yet" in result.stdout
    assert "import autotrace.auto" in result.stdout
    assert result.exit_code == (1 if command[0] == "check" else 0)
    json.loads(autotrace(*command, "--json").stdout)
    assert not home.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_trace_in_the_range(autotrace: Command, write: Fill, command: tuple[str, ...]) -> None:
    """A store whose traces are all older is no reason to fail, but for a check."""
    write("a")
    for more in ((), ("--json",)):
        result = autotrace(*command, "--since", "1m", *more)
        assert result.exit_code == (1 if command[0] == "check" else 0)
        assert result.stdout


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("filter_", ["duration>", "(", "nothing:5", "cost>abc", "NOT", "status>\x1b[2J"])
def test_a_filter_that_cannot_be_read(autotrace: Command, write: Fill, command: tuple[str, ...], filter_: str) -> None:
    """What is wrong with it, in a line, with status 1 or 2; no traceback."""
    write("a")
    result = autotrace(*command, "--filter", filter_)
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert result.stderr.startswith(("Error: ", "Usage: "))
    assert "Traceback" not in result.stderr
    assert UNSAFE.findall(result.stderr) == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("1900-01-01", "1950-01-01"),
        ("0001-01-01T12:00Z", "9999-12-30"),
        ("1970-01-01", "2300-01-01"),
        ("2500-01-01", "2600-01-01"),
    ],
)
def test_any_time(autotrace: Command, write: Fill, command: tuple[str, ...], since: str, until: str) -> None:
    """However long ago or ahead, a range is a range."""
    write("a")
    for more in ((), ("--json",)):
        result = autotrace(*command, "--since", since, "--until", until, *more)
        assert result.exit_code in (0, 1)
        assert result.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_until_before_since(autotrace: Command, command: tuple[str, ...]) -> None:
    """Is told."""
    result = autotrace(*command, "--since", "1h", "--until", "2h")
    assert result.exit_code == 2
    assert "--until is before --since" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_hostile_text(
    autotrace: Command, write: Fill, home: Path, command: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """Nothing of what users, models and tools wrote acts on a terminal."""
    hostile_trace(write)
    judge(home, "a", False, "\x1b[2J[red]no[/red]\u202e")
    result = autotrace(*command, *EVER, *more)
    assert result.exit_code in (0, 1)
    assert UNSAFE.findall(result.stdout) == []
    if more:
        json.loads(result.stdout)


def test_traces_that_were_pruned_are_not_told_of(autotrace: Command, write: Fill) -> None:
    """Not even right after."""
    write("a")
    write("b", start=100)
    assert told(autotrace, "stats")["now"]["traces"] == 2
    assert autotrace("prune", "--older-than", "1d").exit_code == 0
    assert told(autotrace, "stats")["now"]["traces"] == 0


def test_json_is_documented(autotrace: Command, write: Fill, home: Path) -> None:
    """Every key that these commands print stands in docs/cli.md."""
    write("a", attributes=CALL | {"user.id": "ann", "session.id": "s1"}, status="error", message="no")
    write("a", "2", "1", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"})
    judge(home, "a", False, "wrong")
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    printed = [told(autotrace, *command) for command in COMMANDS[:4]]
    printed.append(json.loads(autotrace("check", *EVER, "--error-rate", "100%", "--json").stdout))
    found: set[str] = set()
    while printed:
        value = printed.pop()
        printed += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        found |= value.keys() if isinstance(value, dict) else set()
    assert len(found) > 50
    assert [key for key in sorted(found) if f"`{key}`" not in text] == []
