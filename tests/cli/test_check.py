"""`autotrace check`: its exit status is what cron and continuous integration go by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command, Fill
from .test_stats import CALL, EVER, judge


@pytest.fixture
def filled(write: Fill, home: Path) -> None:
    """Four traces of a second, one of which failed; two calls of a model; a thumb up, and one down."""
    for number, trace in enumerate("abcd"):
        called = CALL | {"gen_ai.response.time_to_first_chunk": 0.2} if number < 2 else {}
        write(trace, attributes=called, start=number, status="error" if trace == "d" else "unset")
    judge(home, "a", True)
    judge(home, "b", False)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("option", "kept", "passed"),
    [
        ("--error-rate", "25%", "24.9%"),
        ("--error-rate", "0.25", "0.2"),
        ("--p50", "1200ms", "900ms"),
        ("--p95", "1.2s", "0.9s"),
        ("--p99", "1m", "100ms"),
        ("--ttft-p50", "300ms", "150ms"),
        ("--cost-per-trace", "0.01", "0.0000001"),
        ("--cost", "$1", "0.0000001"),
        ("--dislike-rate", "50%", "49%"),
    ],
)
def test_thresholds(autotrace: Command, option: str, kept: str, passed: str) -> None:
    """Status 0 where it is kept, 1 where it is passed."""
    result = autotrace("check", *EVER, option, kept)
    assert (result.exit_code, result.stdout[:6]) == (0, "ok    ")
    result = autotrace("check", *EVER, option, passed)
    assert (result.exit_code, result.stdout[:6]) == (1, "FAILED")


@pytest.mark.usefixtures("filled")
def test_one_of_several(autotrace: Command) -> None:
    """All of them are told, and one that is passed is enough."""
    result = autotrace("check", *EVER, "--error-rate", "50%", "--p95", "10ms", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["passed"], found["traces"]) == (False, 4)
    assert [(each["figure"], each["passed"]) for each in found["checks"]] == [
        ("error_rate", True),
        ("latency_p95_ms", False),
    ]
    assert (found["checks"][0]["value"], found["checks"][0]["limit"]) == (0.25, 0.5)


@pytest.mark.usefixtures("filled")
def test_a_selection(autotrace: Command) -> None:
    """Only what the options choose is judged."""
    assert autotrace("check", *EVER, "--error-rate", "0", "--filter", "status:ok").exit_code == 0
    assert autotrace("check", *EVER, "--error-rate", "0").exit_code == 1


def test_no_traces(autotrace: Command, write: Fill) -> None:
    """Tell nothing: that fails, and says so; where that is as it should be, --min-traces 0."""
    write("a")
    result = autotrace("check", "--since", "1m", "--error-rate", "5%")
    assert result.exit_code == 1
    assert "FAILED  0 traces, at least 1 are wanted" in result.stdout
    assert autotrace("check", "--since", "1m", "--error-rate", "5%", "--min-traces", "0").exit_code == 0
    assert autotrace("check", *EVER, "--error-rate", "5%", "--min-traces", "2").exit_code == 1
    assert autotrace("check", *EVER, "--error-rate", "5%").exit_code == 0


def test_no_store(autotrace: Command) -> None:
    """Fails too, with the next step."""
    result = autotrace("check", "--error-rate", "5%")
    assert result.exit_code == 1
    assert "No traces yet" in result.stdout
    result = autotrace("check", "--error-rate", "5%", "--json")
    assert (result.exit_code, json.loads(result.stdout)["passed"]) == (1, False)
    assert autotrace("check", "--error-rate", "5%", "--min-traces", "0").exit_code == 0


def test_a_cost_that_is_not_known_fails(autotrace: Command, write: Fill) -> None:
    """A threshold that cannot be checked must not pass in silence: it is said why, and what to do."""
    write("a", attributes=CALL | {"gen_ai.request.model": "my-own-model"})
    for option in ("--cost", "--cost-per-trace"):
        result = autotrace("check", *EVER, option, "5", "--json")
        assert result.exit_code == 1
        (found,) = json.loads(result.stdout)["checks"]
        assert (found["value"], found["known"], found["passed"]) == (None, False, False)
        assert "no trace here has a known price" in found["reason"]
        shown = autotrace("check", *EVER, option, "5").stdout
        assert shown.startswith("FAILED")
        assert "genai-prices" in shown


def test_a_cost_that_is_known_of_some(autotrace: Command, write: Fill) -> None:
    """It is checked by those, and said that there are more; the same where nothing was called at all."""
    write("a", attributes=CALL | {"gen_ai.request.model": "my-own-model"})
    write("b", attributes=CALL, start=1)
    result = autotrace("check", *EVER, "--cost", "5")
    assert (result.exit_code, result.stdout[:2]) == (0, "ok")
    assert "1 of 2 traces are of unknown price" in result.stdout


def test_no_call_costs_nothing(autotrace: Command, write: Fill) -> None:
    """Traces without calls of models are known to cost nothing."""
    write("a")
    result = autotrace("check", *EVER, "--cost", "0", "--cost-per-trace", "0", "--json")
    assert [each["value"] for each in json.loads(result.stdout)["checks"]] == [0, 0]


def test_what_nobody_said_passes_nothing(autotrace: Command, write: Fill) -> None:
    """Where nobody streamed or judged the value is null, the threshold is kept, and shown with a question mark."""
    write("a", attributes=CALL)
    result = autotrace("check", *EVER, "--ttft-p50", "1ms", "--dislike-rate", "0", "--json")
    assert result.exit_code == 0
    assert [(each["value"], each["known"]) for each in json.loads(result.stdout)["checks"]] == [(None, False)] * 2
    shown = autotrace("check", *EVER, "--ttft-p50", "1ms", "--dislike-rate", "0")
    assert [line[0] for line in shown.stdout.splitlines()] == ["?", "?"]
    assert "question mark" in " ".join(autotrace("check", "--help").stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--error-rate", "5"),
        ("--error-rate", "500%"),
        ("--error-rate", "-1%"),
        ("--error-rate", "nan"),
        ("--error-rate", ""),
        ("--p95", "fast"),
        ("--p95", "-1s"),
        ("--p95", "nan"),
        ("--cost", "a lot"),
        ("--cost", "1e9"),
        ("--cost", "\x1b[2J"),
        ("--min-traces", "-1"),
    ],
)
def test_no_threshold(autotrace: Command, arguments: tuple[str, ...]) -> None:
    """What cannot be read is a mistake of whoever calls it: status 2, and what would be right."""
    result = autotrace("check", *arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "\x1b" not in result.stderr
