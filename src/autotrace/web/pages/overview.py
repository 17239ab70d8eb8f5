"""The overview: how the agent is doing, in one glance."""

from __future__ import annotations

from typing import Any

from autotrace.insights.failure_list import failure_list
from autotrace.insights.overview import changes, overview

from .. import figures
from ..drawing import Bucket, columns, lines, spark
from ..query import Query
from .page import Asked, Page

#: Failures that are shown.
_FAILURES = 6
#: Periods before with fewer traces than this part of the present ones are too small to compare with.
_COMPARABLE = 0.02


def data(asked: Asked) -> dict[str, Any]:
    """What the overview shows."""
    found = overview(asked.insights, asked.site.memory, asked.query.scope)
    now, before = found["now"], found["before"]
    is_comparable = before["traces"] > max(_COMPARABLE * now["traces"], 0)
    found["change"] = changes(now, before) if is_comparable else dict.fromkeys(now)
    found["failures"] = failure_list(asked.insights, asked.site.memory, asked.query.scope, limit=_FAILURES)["groups"]
    return found


def context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """The tiles and drawings of the overview."""
    return {"tiles": _tiles(asked.query, found), "charts": _charts(asked.query, found["course"])}


def _tiles(query: Query, found: dict[str, Any]) -> list[dict[str, Any]]:
    now, course = found["now"], found["course"]
    for bucket in course:
        bucket["error_rate"] = bucket["failed"] / bucket["traces"] if bucket["traces"] else None
        judged = bucket["liked"] + bucket["disliked"]
        bucket["liked_share"] = bucket["liked"] / judged if judged else None
    unpriced, judged = now["traces"] - now["priced"], now["liked"] + now["disliked"]
    latency = " / ".join(figures.duration(now[f"latency_p{share}_ms"]) for share in (90, 99))
    tokens = {name: figures.count(now[f"{name}_tokens"]) for name in ("input", "output", "cache_read", "reasoning")}
    cost_note = f"{figures.usd(now['cost_per_trace_usd'])} a trace"
    if unpriced:
        cost_note += f"; {unpriced:,} traces of unknown price"
    failed = query.narrowed("(status:error OR status:interrupted)")
    rows: tuple[tuple[str, str, str, str, str, str], ...] = (
        ("traces", "Traces", figures.count(now["traces"]), query.url("/traces"), "", ""),
        ("error_rate", "Error rate", figures.share(now["error_rate"]), failed, "less", f"{now['failed']:,} failed"),
        (
            "latency_p50_ms",
            "Latency, median",
            figures.duration(now["latency_p50_ms"]),
            query.url("/traces", sort="-duration"),
            "less",
            f"p90 / p99: {latency}",
        ),
        (
            "ttft_p50_ms",
            "Time to first token",
            figures.duration(now["ttft_p50_ms"]),
            query.url("/traces", sort="-ttft"),
            "less",
            f"p90 / p99: {figures.duration(now['ttft_p90_ms'])} / {figures.duration(now['ttft_p99_ms'])}",
        ),
        (
            "tokens",
            "Tokens",
            figures.count(now["tokens"]),
            query.url("/traces", sort="-tokens"),
            "",
            "{input} in ({cache_read} cached), {output} out ({reasoning} reasoning)".format(**tokens),
        ),
        ("cost_usd", "Cost", figures.usd(now["cost_usd"]), query.url("/traces", sort="-cost"), "", cost_note),
        (
            "liked_share",
            "Thumbs up",
            figures.share(now["liked"] / judged if judged else None),
            query.narrowed("(feedback:up OR feedback:down)"),
            "more",
            f"{now['liked']:,} up, {now['disliked']:,} down",
        ),
    )
    return [_tile(found, *row) for row in rows]


def _tile(found: dict[str, Any], key: str, label: str, value: str, url: str, better: str, note: str) -> dict[str, Any]:
    change = found["change"].get(key)
    is_judged = change is not None and better and abs(change) >= 0.005
    return {
        "label": label,
        "value": value,
        "url": url,
        "note": note,
        "change": figures.change(change) if change is not None else "",
        "good": ((change < 0) == (better == "less")) if is_judged else None,
        "spark": spark([bucket[key] for bucket in found["course"]], f"{label} over time"),
    }


def _charts(query: Query, course: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for each in course:
        each["succeeded"] = each["traces"] - each["failed"]
    traces = _buckets(query, course, ("failed", "succeeded"), "{traces:,} traces, {failed:,} failed")
    latency = [
        Bucket(
            tuple(each[f"latency_p{share}_ms"] for share in (99, 90, 50)),
            f"{_when(each)}: "
            + ", ".join(f"p{share} {figures.duration(each[f'latency_p{share}_ms'])}" for share in (50, 90, 99)),
            query.within(each["start"], each["end"], sort="-duration"),
        )
        for each in course
    ]
    cost = _buckets(query, course, ("cost_usd",), "${cost_usd:.4g}, {tokens:,} tokens")
    thumbs = _buckets(query, course, ("disliked", "liked"), "{liked:,} thumbs up, {disliked:,} down")
    longest = max((each["latency_p99_ms"] or 0 for each in course), default=0) or None
    tops = {name: max((each[name] for each in course), default=0) for name in ("traces", "cost_usd")}
    judged = max((each["liked"] + each["disliked"] for each in course), default=0)
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
        _chart("Cost", columns(cost, ("plain",), "Cost over time"), figures.usd(tops["cost_usd"]), ("plain", "USD")),
        _chart(
            "Thumbs",
            columns(thumbs, ("bad", "good"), "Thumbs over time"),
            figures.count(judged),
            ("good", "up"),
            ("bad", "down"),
        ),
    ]


def _buckets(query: Query, course: list[dict[str, Any]], names: tuple[str, ...], title: str) -> list[Bucket]:
    return [
        Bucket(
            tuple(each[name] for name in names),
            f"{_when(each)}: {title.format(**each)}",
            query.within(each["start"], each["end"]),
        )
        for each in course
    ]


def _when(each: dict[str, Any]) -> str:
    return f"{figures.moment(each['start'])} – {figures.moment(each['end'])} UTC"


def _chart(title: str, drawing: Any, top: str, *legend: tuple[str, str]) -> dict[str, Any]:
    return {"title": title, "drawing": drawing, "top": top, "legend": legend}


PAGE = Page("overview", "Overview", "/overview", "overview", data, context)
