"""`autotrace traces --filter` and `--sort`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command, Fill


@pytest.fixture
def filled(write: Fill) -> None:
    """Three traces: one failed, one is long, one spoke of refunds."""
    write("a", start=1, status="error", attributes={"input.value": "why"}, resource={"service.version": "1"})
    write("b", start=2, name="long", end=1_780_000_100 * 10**9, resource={"service.version": "2"})
    write("c", start=3, attributes={"input.value": "my refund order"}, resource={"service.version": "2"})


def ids(autotrace: Command, *arguments: str) -> str:
    """The first digits of the traces that are listed."""
    result = autotrace("traces", "--json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return "".join(trace["trace_id"][0] for trace in json.loads(result.stdout))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--filter", ""], "cba"),
        (["--filter", "status:error"], "a"),
        (["--filter", "NOT status:error"], "cb"),
        (["--filter", "duration>30s OR refund"], "cb"),
        (["--filter", "name:long"], "b"),
        (["--filter", "refund", "--release", "2"], "c"),
        (["--filter", "refund", "--release", "1"], ""),
        (["--filter", "NOT name:long", "--errors"], "a"),
        (["--filter", "NOT name:long", "--search", "ref* order"], "c"),
        (["--filter", "NOT name:long", "--search", "*"], ""),
        (["--filter", "NOT name:long", "--search", ""], ""),
        (["--filter", "user:nobody"], ""),
        (["--sort", "start"], "abc"),
        (["--sort", "-duration", "--limit", "1"], "b"),
        (["--since", "2030-01-01", "--sort", "start"], ""),
    ],
)
def test_which_and_how(autotrace: Command, filled: None, arguments: list[str], expected: str) -> None:
    """Filter, sorting and the other options together say which traces are listed, and how."""
    assert ids(autotrace, *arguments) == expected


def test_like_the_plain_list(autotrace: Command, filled: None) -> None:
    """A filter changes which traces are told of, not what is told."""
    assert autotrace("traces", "--filter", "", "--json").stdout == autotrace("traces", "--json").stdout
    assert autotrace("traces", "--filter", "").stdout == autotrace("traces").stdout


def test_what_comes_later(autotrace: Command, filled: None, write: Fill) -> None:
    """What was written since the last look is found too."""
    assert ids(autotrace, "--filter", "status:error") == "a"
    write("d", start=9, status="error")
    assert ids(autotrace, "--filter", "status:error") == "da"


def test_cannot_be_read(autotrace: Command, filled: None) -> None:
    """A filter or a sorting that cannot be read is told, on stderr."""
    result = autotrace("traces", "--filter", "status:error duration>abc")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == 'Error: filter, at 14: "duration>abc": give a time such as 500ms, 3s, 2m\n'
    assert "cannot be sorted" in autotrace("traces", "--sort", "colour").stderr


def test_nothing_fits(autotrace: Command, filled: None) -> None:
    """Where nothing fits, that is said."""
    assert autotrace("traces", "--filter", "user:nobody").stdout == "No trace fits.\n"


def test_no_store_yet(autotrace: Command, home: Path) -> None:
    """Without a store the next step is told, nothing is made, and a filter is read all the same."""
    result = autotrace("traces", "--filter", "")
    assert (result.exit_code, "import autotrace.auto" in result.stdout) == (0, True)
    assert autotrace("traces", "--filter", "nonsense:").exit_code == 1
    assert not home.exists()
