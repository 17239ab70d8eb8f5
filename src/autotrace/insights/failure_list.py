"""Groups of failures in a selection: how often, since when, in which releases, whom they touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from . import ranges
from .failures import KINDS
from .parts import Memory, Part, Where, parts
from .scope import Scope
from .view import Insights

#: Groups that are told of, and examples of each; releases that are named.
_MOST, _EXAMPLES, _RELEASES = 100, 10, 12


def failures_of(insights: Insights, part: Part) -> dict[int, tuple[int, int]]:
    """By group, in how many traces of one bucket it occurred, and how often."""
    sql, values = part.sql("f.failure, count(*), sum(f.count)", "failures AS f", "f.failure")
    return {failure: (traces, count) for failure, traces, count in insights.rows(sql, values)}


def traces_of(insights: Insights, part: Part) -> int:
    """How many traces are in one bucket."""
    return int(insights.rows(*part.sql("count(*)"))[0][0])


def failure_list(
    insights: Insights, memory: Memory, scope: Scope, kind: str | None = None, limit: int = _MOST
) -> dict[str, Any]:
    """Groups of failures, those of most traces first.

    Args:
        insights: Who is asked.
        memory: What was summed up before.
        scope: Which traces.
        kind: One of `failures.KINDS`; None: all.
        limit: At most so many groups.

    Returns:
        `traces` (how many there are), `kinds` (traces and groups of each), `groups`.

    Raises:
        FilterError: The scope's filter cannot be read.
    """
    where = Where.of(insights, scope)
    found = parts(insights, memory, scope.start_ns, scope.end_ns, where, failures_of)
    traces = sum(count for _, count in parts(insights, memory, scope.start_ns, scope.end_ns, where, traces_of))
    totals: Counter[int] = Counter()
    counts: Counter[int] = Counter()
    for _, part in found:
        for failure, (touched, count) in part.items():
            totals[failure] += touched
            counts[failure] += count
    groups = _groups(insights, totals)
    kinds: dict[str, dict[str, Any]] = {
        each: {"label": label, "traces": 0, "groups": 0} for each, label in KINDS.items()
    }
    for failure, group in groups.items():
        kinds[group["kind"]]["traces"] += totals[failure]
        kinds[group["kind"]]["groups"] += 1
    chosen = [failure for failure, _ in totals.most_common() if kind in (None, groups.get(failure, {}).get("kind"))]
    chosen = [failure for failure in chosen if failure in groups][:limit]
    course = dict(found)
    starts = [start for start, _ in ranges.buckets(scope.start_ns, scope.end_ns)]
    touched_by = _touched(insights, scope, where, chosen)
    seen = _seen(insights, chosen)
    return {
        "traces": traces,
        "kinds": kinds,
        "groups": [
            {
                "id": failure,
                **groups[failure],
                "traces": totals[failure],
                "count": counts[failure],
                "rate": totals[failure] / traces if traces else None,
                "course": [course.get(start, {}).get(failure, (0, 0))[0] for start in starts],
                **seen[failure],
                **touched_by.get(failure, {"users": 0, "releases": []}),
            }
            for failure in chosen
        ],
        "groups_left": max(sum(kind in (None, group["kind"]) for group in groups.values()) - len(chosen), 0),
    }


def failure(insights: Insights, memory: Memory, scope: Scope, number: int) -> dict[str, Any] | None:
    """One group, with the latest traces that it is in; None where there is no such group.

    Raises:
        FilterError: The scope's filter cannot be read.
    """
    groups = _groups(insights, [number])
    if number not in groups:
        return None
    where = Where.of(insights, scope)
    found = dict(parts(insights, memory, scope.start_ns, scope.end_ns, where, failures_of))
    starts = [start for start, _ in ranges.buckets(scope.start_ns, scope.end_ns)]
    course = [found.get(start, {}).get(number, (0, 0))[0] for start in starts]
    return {
        "id": number,
        **groups[number],
        "traces": sum(course),
        "count": sum(part.get(number, (0, 0))[1] for part in found.values()),
        "course": course,
        "starts": [ranges.iso(start) for start in starts],
        **_seen(insights, [number])[number],
        **_touched(insights, scope, where, [number]).get(number, {"users": 0, "releases": []}),
        "examples": _examples(insights, scope, where, number),
    }


def _groups(insights: Insights, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
    wanted = list(numbers)
    found: dict[int, dict[str, Any]] = {}
    for begin in range(0, len(wanted), 500):
        some = wanted[begin : begin + 500]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT id, kind, type, place, message, model FROM failure_groups WHERE id IN ({marks})"  # noqa: S608
        for number, kind, type_, place, message, model in insights.rows(sql, some):
            if kind in KINDS:
                found[number] = {"kind": kind, "type": type_, "place": place, "message": message, "model": model}
    return found


def _seen(insights: Insights, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    """When each occurred first and last, in all that is in the store."""
    found = {}
    for number in numbers:
        ends = [f"(SELECT {end}(trace) FROM failures WHERE failure = ?)" for end in ("min", "max")]  # noqa: S608
        sql = f"SELECT {', '.join(ends)}"
        first, last = insights.rows(sql, (number, number))[0]
        found[number] = {"first_seen": ranges.iso(first or 0), "last_seen": ranges.iso(last or 0)}
    return found


def _touched(insights: Insights, scope: Scope, where: Where, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """How many users each touched, and in which releases it occurred."""
    if not numbers:
        return {}
    marks = ", ".join("?" * len(numbers))
    sql = f"""
        SELECT f.failure, count(DISTINCT t.user), group_concat(DISTINCT t.release)
        FROM failures AS f CROSS JOIN traces AS t ON t.id = f.trace
        WHERE f.failure IN ({marks}) AND f.trace >= ? AND f.trace < ? AND {where.sql} GROUP BY f.failure
    """  # noqa: S608
    rows = insights.rows(sql, (*numbers, scope.start_ns, scope.end_ns, *where.values))
    releases = {row[0]: [int(number) for number in (row[2] or "").split(",") if number] for row in rows}
    texts = insights.texts([number for each in releases.values() for number in each])
    return {
        row[0]: {
            "users": row[1],
            "releases": sorted(texts.get(number, "?") for number in releases[row[0]])[-_RELEASES:],
        }
        for row in rows
    }


def _examples(insights: Insights, scope: Scope, where: Where, number: int) -> list[dict[str, Any]]:
    sql = f"""
        SELECT t.trace_id, t.id, t.duration_ns, u.text, r.text, x.request, x.response, x.error
        FROM failures AS f CROSS JOIN traces AS t ON t.id = f.trace
        LEFT JOIN texts AS x ON x.trace = t.id
        LEFT JOIN names AS u ON u.id = t.user LEFT JOIN names AS r ON r.id = t.release
        WHERE f.failure = ? AND f.trace >= ? AND f.trace < ? AND {where.sql} ORDER BY f.trace DESC LIMIT {_EXAMPLES}
    """  # noqa: S608
    rows = insights.rows(sql, (number, scope.start_ns, scope.end_ns, *where.values))
    return [
        {
            "trace_id": trace_id,
            "start": ranges.iso(at),
            "duration_ms": None if duration is None else duration / 1e6,
            "user": user,
            "release": release,
            "request": request,
            "response": response,
            "error": error,
        }
        for trace_id, at, duration, user, release, request, response, error in rows
    ]
