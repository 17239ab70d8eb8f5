"""How an agent is doing: the figures of a selection, their course, and how they have changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from . import ranges
from .buckets import quantile_ms
from .counted import counted
from .figures import Figures, ModelFigures, Packed, ToolFigures, figures_of, total
from .parts import Memory, Where, by_bucket, parts
from .scope import Scope
from .view import Insights

#: Comments that are shown.
_COMMENTS = 8
#: A period before with fewer traces than this part of the present ones is too small to compare with.
_COMPARABLE = 0.02
#: What has passed of a range is told to the minute, so that the same is asked for a while.
_ROUND_NS = 60 * 10**9


def figures(insights: Insights, memory: Memory, scope: Scope) -> Figures:
    """The figures of a selection.

    Raises:
        FilterError: Its filter cannot be read.
    """
    where = Where.of(insights, scope)
    return total(part for _, part in parts(insights, memory, scope.start_ns, scope.end_ns, where, figures_of))


def overview(insights: Insights, memory: Memory, scope: Scope) -> dict[str, Any]:
    """What the overview shows: the figures of now and of the period before, their course, models, tools, comments.

    Raises:
        FilterError: The scope's filter cannot be read.
    """
    where = Where.of(insights, scope)
    found = parts(insights, memory, scope.start_ns, scope.end_ns, where, figures_of)
    whole = total(part for _, part in found)
    earlier = period_before(scope)
    before = total(part for _, part in parts(insights, memory, earlier.start_ns, earlier.end_ns, where, figures_of))
    is_comparable = before["traces"] > _COMPARABLE * whole["traces"]
    now, then = whole.as_json(), before.as_json()
    return {
        "now": now,
        "before": then,
        "change": changes(now, then if is_comparable else {}),
        "course": course(found, scope),
        "models": _models(insights, whole, before if is_comparable else Figures()),
        "tools": _tools(insights, whole, before if is_comparable else Figures()),
        "comments": comments(insights, scope, where),
        # Of all traces, where some are not kept.
        "counted": counted(insights, memory, scope, int(whole["traces"])),
    }


def period_before(scope: Scope) -> Scope:
    """The period before, as long as what has passed of this one: the last bucket of a range goes on into the future."""
    now = time.time_ns() // _ROUND_NS * _ROUND_NS
    found = scope.before()
    return found if not scope.start_ns < now < scope.end_ns else found.between(found.start_ns, now - scope.length_ns)


def course(found: Sequence[tuple[int, Packed]], scope: Scope) -> list[dict[str, Any]]:
    """The figures of every bucket of a range, also of those that nothing is in."""
    known = by_bucket(found)
    told = []
    for start, end in ranges.buckets(scope.start_ns, scope.end_ns):
        part = total(known.get(start, ()))
        told.append(
            {
                "start": ranges.iso(start),
                "end": ranges.iso(end),
                **{name: int(part[name]) for name in ("traces", "failed", "liked", "disliked")},
                "tokens": int(part.tokens),
                "cost_usd": part["cost_usd"],
                **{f"latency_p{share}_ms": part.latency_ms(share / 100) for share in (50, 90, 99)},
                "ttft_p50_ms": part.ttft_ms(0.5),
            }
        )
    return told


def _models(insights: Insights, now: Figures, before: Figures) -> list[dict[str, Any]]:
    texts = insights.texts(list(now.models))
    ordered = sorted(now.models.items(), key=lambda item: (-item[1].cost_usd, -item[1].calls))
    return [
        {"model": texts.get(model, "?"), **_changed(model_figures(one), model_figures(before.models.get(model)))}
        for model, one in ordered
    ]


def model_figures(one: ModelFigures | None) -> dict[str, Any]:
    """What is told of the calls of a model; nothing where there were none."""
    if one is None:
        return {}
    return {
        **{name: getattr(one, name) for name in one.__slots__ if name not in ("priced", "cost_usd")},
        # Of traces whose cost is not known, nothing is in the sum.
        "cost_usd": one.cost_usd if one.cost_usd or one.priced == one.traces else None,
        "unpriced_traces": one.traces - one.priced,
        "error_rate": one.errors / one.calls if one.calls else None,
    }


def _tools(insights: Insights, now: Figures, before: Figures) -> list[dict[str, Any]]:
    texts = insights.texts(list(now.tools))
    return [
        {"tool": texts.get(tool, "?"), **_changed(tool_figures(one), tool_figures(before.tools.get(tool)))}
        for tool, one in sorted(now.tools.items(), key=lambda item: -item[1].calls)
    ]


def tool_figures(one: ToolFigures | None) -> dict[str, Any]:
    """What is told of the calls of a tool; nothing where there were none."""
    if one is None:
        return {}
    return {
        "calls": one.calls,
        "errors": one.errors,
        "success_rate": 1 - one.errors / one.calls if one.calls else None,
        **{f"latency_p{share}_ms": quantile_ms(one.latency, share / 100) for share in (50, 90)},
    }


def _changed(now: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Figures, with how each has changed."""
    return {**now, "change": changes(now, before)}


def comments(insights: Insights, scope: Scope, where: Where) -> list[dict[str, Any]]:
    """The latest comments on traces of a selection."""
    sql = f"""
        SELECT t.trace_id, f.time_ns, f.value, f.comment, f.source, x.request FROM feedback AS f
        CROSS JOIN traces AS t ON t.id = f.trace LEFT JOIN texts AS x ON x.trace = t.id
        WHERE f.comment <> '' AND t.id >= ? AND t.id < ? AND {where.sql} ORDER BY f.time_ns DESC LIMIT {_COMMENTS}
    """  # noqa: S608
    rows = insights.rows(sql, (scope.start_ns, scope.end_ns, *where.values))
    return [
        {
            "trace_id": trace_id,
            "time": ranges.iso(at),
            "value": value_of(value),
            "comment": comment,
            "user": source,
            "request": request,
        }
        for trace_id, at, value, comment, source, request in rows
    ]


def value_of(text: str) -> Any:
    """What somebody gave, as it is kept: a thumb is true or false; figures and words as they are."""
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, float | None]:
    """How figures have changed, as a share of what they were; None where that is not known or was nothing."""
    found: dict[str, float | None] = {}
    for name, value in now.items():
        earlier = before.get(name)
        is_known = isinstance(value, int | float) and isinstance(earlier, int | float) and earlier
        found[name] = (value - earlier) / earlier if is_known else None
    return found
