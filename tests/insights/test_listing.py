"""The list of traces, page by page."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.errors import FilterError
from autotrace.insights.conditions import condition
from autotrace.insights.listing import SORTS, Page, count, listing

from .population import EVER, Made, filled, searching

FULL = Made(
    5,
    status="error",
    name="POST /ask",
    environment="production",
    service="shop",
    release="1.2",
    session="s1",
    user="ann",
    models=frozenset({"gpt-4o", "gpt-4o-mini"}),
    tools=frozenset({"search"}),
    path="search > answer",
    question="how",
    duration_ns=1_500_000_000,
    ttft_ns=250_000_000,
    input_tokens=10,
    output_tokens=3,
    cost_usd=0.01,
    spans=4,
    errors=1,
    up=1,
    down=2,
    retries=1,
    repeats=1,
    error="ValueError: no",
    request="how do I",
)


def page(traces: list[Made], sort: str = "-start", after: str | None = None, limit: int = 3, text: str = "") -> Page:
    """A page of the list of these traces."""
    with closing(filled(traces)) as connection:
        scope = replace(EVER, filter=text)
        return listing(connection, scope, sort, after, limit, search=searching(traces))


def ids(found: Page) -> list[str]:
    """Which traces a page shows."""
    return [row.trace_id for row in found.rows]


def test_row() -> None:
    """A row tells all that the list shows."""
    assert page([FULL]).rows[0].as_json() == {
        "trace_id": FULL.trace_id,
        "name": "POST /ask",
        "status": "error",
        "start": "2026-05-28T20:26:40.000000Z",
        "duration_ms": 1500.0,
        "input_tokens": 10,
        "output_tokens": 3,
        "cost_usd": 0.01,
        "ttft_ms": 250.0,
        "user": "ann",
        "session": "s1",
        "environment": "production",
        "service": "shop",
        "release": "1.2",
        "models": ["gpt-4o", "gpt-4o-mini"],
        "tools": ["search"],
        "request": "how do I",
        "response": None,
        "error": "ValueError: no",
        "up": 1,
        "down": 2,
        "retries": 1,
        "repeats": 1,
        "spans": 4,
        "errors": 1,
        "question": "how",
        "path": "search > answer",
    }


def test_of_what_is_not_known() -> None:
    """What is not known is null, and no sets are empty lists."""
    row = page([Made()]).rows[0].as_json()
    assert (row["duration_ms"], row["user"], row["cost_usd"], row["models"], row["tools"]) == (None, None, None, [], [])


def test_nothing() -> None:
    """Of no traces there is one page without rows."""
    assert page([]) == Page([], None, None)
    assert page([Made()], text="user:ann") == Page([], None, None)


def test_newest_first() -> None:
    """Without another sorting the newest traces come first, and pages lead on and back."""
    traces = [Made(start) for start in range(7)]
    first = page(traces)
    assert (ids(first), first.previous) == ([trace.trace_id for trace in traces[:3:-1]], None)
    second = page(traces, after=first.next)
    assert ids(second) == [trace.trace_id for trace in traces[3:0:-1]]
    last = page(traces, after=second.next)
    assert (ids(last), last.next) == ([traces[0].trace_id], None)
    assert page(traces, after=last.previous) == second
    assert page(traces, after=second.previous) == first


def test_back_to_a_page_that_has_grown() -> None:
    """Back at the beginning, the first page is whole, with what came meanwhile."""
    traces = [Made(start) for start in range(5)]
    second = page(traces[:4], after=page(traces[:4]).next)
    assert ids(page(traces[1:4], after=f"p.{traces[2].id}")) == [
        trace.trace_id for trace in (traces[3], traces[2], traces[1])
    ]
    assert ids(page(traces, after=second.previous)) == [traces[number].trace_id for number in (3, 2, 1)]


def test_disliked_first() -> None:
    """Sorted by feedback, those come first that somebody disliked, and last those of which nobody said anything."""
    traces = [Made(0), Made(1, up=1), Made(2, up=1, down=1)]
    assert ids(page(traces, "feedback")) == [traces[number].trace_id for number in (2, 1, 0)]
    assert ids(page(traces, "-feedback")) == [traces[number].trace_id for number in (1, 2, 0)]


@pytest.mark.parametrize("sort", ["", "-", "--start", "id", "start; DROP TABLE traces", "\ud800"])
def test_unknown_sorting(sort: str) -> None:
    """What cannot be sorted by is told, with what can."""
    with pytest.raises(FilterError, match="give one of start, duration"):
        page([FULL], sort)


@pytest.mark.parametrize("sort", ["-start", "cost", "name"])
@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "n",
        "n.",
        "n.1.",
        "q.1",
        "n.-1",
        "n.1.x",
        "n.9999999999999999999",
        "n.1.nan",
        "n.1.1e999x",
        "n.١",
        "\ud800",
    ],
)
def test_token_that_is_none(sort: str, token: str) -> None:
    """What no page begins with is told."""
    with pytest.raises(FilterError, match="leave it out for the first"):
        page([FULL], sort, token)


@pytest.mark.parametrize("token", ["n.1.7", "p.1.7", "n.1.1e999", "p.1.1.5", "n.0"])
@pytest.mark.parametrize("sort", SORTS)
def test_token_of_elsewhere(sort: str, token: str) -> None:
    """A token that was made up leads somewhere, or is told."""
    with suppress(FilterError):
        assert len(page([FULL], sort, token).rows) <= 1


def test_limits() -> None:
    """A page has at least one row, and not all of a million."""
    traces = [Made(start) for start in range(510)]
    assert len(page(traces, limit=-1).rows) == 1
    assert len(page(traces, limit=10**30).rows) == 500


def test_count() -> None:
    """It is told how many traces there are."""
    traces = [Made(start, user="ann" if start % 2 else None) for start in range(7)]
    with closing(filled(traces)) as connection:
        assert count(connection, condition(connection, replace(EVER, filter="user:ann"), searching(traces))) == 3


def value(trace: Made, sort: str) -> Any:
    """What a trace is sorted by."""
    if sort == "feedback":
        return 0 if trace.down else 1 if trace.up else None
    if sort == "tokens":
        known = [tokens for tokens in (trace.input_tokens, trace.output_tokens) if tokens is not None]
        return sum(known) if known else None
    columns = {"duration": "duration_ns", "cost": "cost_usd", "ttft": "ttft_ns"}
    return getattr(trace, columns.get(sort, sort))


def ordered(traces: list[Made], sort: str) -> list[str]:
    """The traces as they should be listed."""
    field = sort.removeprefix("-")
    newest_first = sorted(traces, key=lambda trace: -trace.start)
    known = [trace for trace in newest_first if value(trace, field) is not None]
    known = sorted(known, key=lambda trace: value(trace, field), reverse=sort.startswith("-"))
    if sort.startswith("-"):  # of what is alike the newest comes first here too
        known = sorted(
            sorted(known, key=lambda trace: -trace.start), key=lambda trace: value(trace, field), reverse=True
        )
    return [trace.trace_id for trace in (*known, *(trace for trace in newest_first if value(trace, field) is None))]


unknown = st.one_of(st.none(), st.integers(0, 2))
names = st.sampled_from(["a", "B", "é"])
populations = st.lists(
    st.builds(
        Made,
        start=st.integers(0, 500),
        status=names,
        name=names,
        user=st.one_of(st.none(), names),
        session=st.one_of(st.none(), names),
        duration_ns=unknown,
        ttft_ns=unknown,
        input_tokens=unknown,
        output_tokens=unknown,
        cost_usd=st.one_of(st.none(), st.sampled_from([0.0, 1e-7, 0.1 + 0.2, 1e20])),
        errors=st.integers(0, 2),
        spans=st.integers(0, 2),
        up=st.integers(0, 1),
        down=st.integers(0, 1),
    ),
    max_size=9,
    unique_by=lambda trace: trace.start,
)


@settings(max_examples=150, deadline=None)
@given(populations, st.sampled_from(SORTS), st.sampled_from(["", "-"]), st.integers(1, 4))
def test_pages_hold_each_trace_once(traces: list[Made], sort: str, sign: str, limit: int) -> None:
    """By any sorting, the pages together are the whole list in order, forwards and backwards."""
    expected = ordered(traces, sign + sort)
    with closing(filled(traces)) as connection:

        def at(after: str | None) -> Page:
            return listing(connection, EVER, sign + sort, after, limit, search=searching(traces))

        pages = [at(None)]
        while (after := pages[-1].next) is not None:
            pages.append(at(after))
        assert [trace_id for each in pages for trace_id in ids(each)] == expected
        assert all(len(each.rows) == limit for each in pages[:-1])
        for number in range(len(pages) - 1, 0, -1):
            before = pages[number].previous
            assert before is not None
            assert ids(at(before)) == ids(pages[number - 1])
        assert pages[0].previous is None
