"""The overview: how the agent is doing, in one glance."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from autotrace.insights.failure_list import failure_list
from autotrace.insights.overview import overview

from .. import figures
from ..drawing import Bucket, columns, lines
from ..query import Query
from .overview_tiles import FAILED, judged, shares, tiles
from .page import Asked, Page

#: Failures that are shown; models and tools, unless all are asked for.
_FAILURES, _ROWS = 6, 12
_JUDGED = "(feedback:up OR feedback:down)"


def data(asked: Asked) -> dict[str, Any]:
    """What the overview shows."""
    found = overview(asked.insights, asked.site.memory, asked.query.scope)
    found["failures"] = failure_list(asked.insights, asked.site.memory, asked.query.scope, limit=_FAILURES)["groups"]
    return found


def context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """The tiles and drawings of the overview."""
    shown = {name: len(found[name]) if asked.query.other.get("all") == name else _ROWS for name in ("models", "tools")}
    charts = _charts(asked.query, shares(found["course"]))
    return {"tiles": tiles(asked.query, found), "charts": charts, "shown": shown, "judged": judged}


def _charts(query: Query, course: list[dict[str, Any]]) -> list[dict[str, Any]]:
    traces = _buckets(query, course, {"failed": FAILED, "succeeded": ""}, "{traces:,} traces, {failed:,} failed")
    latency = [
        Bucket(
            tuple(each[f"latency_p{share}_ms"] for share in (99, 90, 50)),
            f"{_when(each)}: "
            + ", ".join(f"p{share} {figures.duration(each[f'latency_p{share}_ms'])}" for share in (50, 90, 99)),
            query.within(each["start"], each["end"], sort="-duration"),
        )
        for each in course
    ]
    cost = _buckets(query, course, {"cost_usd": ""}, "${cost_usd:.4g}, {tokens:,} tokens", sort="-cost")
    verdicts = {"disliked": "feedback:down", "liked": "feedback:up"}
    thumbs = _buckets(query, course, verdicts, "{liked:,} thumbs up, {disliked:,} down", term=_JUDGED)
    longest = max((each["latency_p99_ms"] or 0 for each in course), default=0) or None
    tops = {name: max((each[name] for each in course), default=0) for name in ("traces", "cost_usd")}
    most_judged = max((each["liked"] + each["disliked"] for each in course), default=0)
    drawn = columns(traces, ("bad", "plain"), "Traces over time, and how many failed")
    return [
        _chart("Traces", drawn, figures.count(tops["traces"]), ("plain", "succeeded"), ("bad", "failed")),
        _chart(
            "Latency",
            lines(latency, ("p99", "p90", "p50"), "Latency over time"),
            figures.duration(longest),
            ("p50", "median"),
            ("p90", "p90"),
            ("p99", "p99"),
        ),
        _chart(
            "Cost", columns(cost, ("plain",), "Cost over time"), figures.usd(tops["cost_usd"] or None), ("plain", "USD")
        ),
        _chart(
            "Thumbs",
            columns(thumbs, ("bad", "good"), "Thumbs over time"),
            figures.count(most_judged),
            ("good", "up"),
            ("bad", "down"),
        ),
    ]


def _buckets(
    query: Query, course: list[dict[str, Any]], terms: dict[str, str], title: str, term: str = "", **changes: str
) -> list[Bucket]:
    """A bucket for each of the course.

    Args:
        query: Where addresses lead from.
        course: Figures by time.
        terms: The series, with the filter that leads to the traces of each; empty: that of the bucket.
        title: What is told of a bucket.
        term: The filter that leads to the traces of a bucket; empty: none.
        changes: Of the addresses.
    """
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = []
    for each in course:
        own = {**changes, "range": None, "from": each["start"], "to": each["end"]}
        leading = tuple(
            (query.narrowed(one, **own) if one else "", f"{_when(each)}: {each[name]:,} {name}")
            for name, one in terms.items()
        )
        told.append(
            Bucket(
                tuple(each[name] for name in terms),
                f"{_when(each)}: {title.format(**each)}",
                query.narrowed(term, **own) if term else query.url("/traces", **own),
                leading,
                is_open=each["end"] > now,
            )
        )
    return told


def _when(each: dict[str, Any]) -> str:
    return f"{figures.moment(each['start'])} – {figures.moment(each['end'])} UTC"


def _chart(title: str, drawing: Any, top: str, *legend: tuple[str, str]) -> dict[str, Any]:
    return {"title": title, "drawing": drawing, "top": top, "legend": legend}


PAGE = Page("overview", "Overview", "/overview", "overview", data, context)
