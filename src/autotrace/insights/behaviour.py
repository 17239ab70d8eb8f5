"""What users ask and how agents go about it: groups of questions that are alike, and paths through tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from . import ranges
from .grouping import NOTHING
from .parts import Memory, Part, Where, parts
from .scope import Scope
from .view import Insights

#: Groups and paths that are told of; traces with repeated calls.
_MOST, _REPEATING = 60, 15
_SUMS = (
    "count(*), total(t.failed), total(t.up > 0), total(t.down > 0), total(t.cost_usd), total(t.repeats > 0), "
    "total(t.duration_ns), count(t.cost_usd), count(t.duration_ns)"
)
_NAMES = ("traces", "failed", "liked", "disliked", "cost_usd", "repeating", "duration_ns", "priced", "ended")

Sums = dict[int | None, tuple[float, ...]]


def questions_of(insights: Insights, part: Part) -> Sums:
    """The sums of one bucket by group of questions."""
    return {row[0]: row[1:] for row in insights.rows(*part.sql(f"t.question, {_SUMS}", group="t.question"))}


def paths_of(insights: Insights, part: Part) -> Sums:
    """The sums of one bucket by path."""
    return {row[0]: row[1:] for row in insights.rows(*part.sql(f"t.path, {_SUMS}", group="t.path"))}


def behaviour(insights: Insights, memory: Memory, scope: Scope, limit: int = _MOST) -> dict[str, Any]:
    """What was asked, by groups that are alike, and the paths that were taken; the most frequent first.

    Returns:
        `traces`, `questions`, `ungrouped` (traces that tell no question), `paths`, `repeating` (traces that call the
        same tool with the same arguments again and again, the worst first), `groups_questions` (False where the library
        that finds groups is not installed).

    Raises:
        FilterError: The scope's filter cannot be read.
    """
    where = Where.of(insights, scope)
    by_question = parts(insights, memory, scope.start_ns, scope.end_ns, where, questions_of)
    by_path = parts(insights, memory, scope.start_ns, scope.end_ns, where, paths_of)
    questions, paths = (_counts(sums for _, sums in found) for found in (by_question, by_path))
    traces = sum(paths.values())
    ungrouped = sum(questions.pop(none, 0) for none in (None, 0))
    some, ways = _most(questions, limit), _most(paths, limit)
    leaders = _leaders(insights, some)
    texts = insights.texts([path for path in ways if path is not None])
    return {
        "traces": int(traces),
        "ungrouped": int(ungrouped),
        "questions": [
            {
                "id": number,
                "question": leaders.get(number or 0, "?"),
                **_told(by_question, number, scope),
            }
            for number in some
        ],
        "questions_left": len(questions) - len(some),
        "paths": [{"path": texts.get(path or 0, "?"), **_told(by_path, path, scope)} for path in ways],
        "paths_left": len(paths) - len(ways),
        "repeating": _repeating(insights, scope, where),
        "groups_questions": insights.meta("grouping") != NOTHING,
    }


def _counts(parts: Iterable[Sums]) -> dict[int | None, float]:
    """Traces by group: all else is summed up for those alone that are shown."""
    found: dict[int | None, float] = {}
    for part in parts:
        for number, sums in part.items():
            found[number] = found.get(number, 0) + sums[0]
    return found


def _most(counts: dict[int | None, float], limit: int) -> list[int | None]:
    return sorted(counts, key=lambda number: (-counts[number], number or 0))[:limit]


def _told(course: Sequence[tuple[int, Sums]], number: int | None, scope: Scope) -> dict[str, Any]:
    sums = zip(*(part[number] for _, part in course if number in part), strict=True)
    told = dict(zip(_NAMES, map(sum, sums), strict=True))
    traces, judged = told["traces"], told["liked"] + told["disliked"]
    known: dict[int, float] = {}
    for start, part in course:
        if number in part:
            known[start] = known.get(start, 0) + part[number][0]
    counts = [int(known.get(start, 0)) for start, _ in ranges.buckets(scope.start_ns, scope.end_ns)]
    return {
        **{name: int(told[name]) for name in ("traces", "failed", "liked", "disliked", "repeating")},
        # Of those whose price is known.
        "cost_usd": told["cost_usd"] if told["priced"] else None,
        "cost_per_trace_usd": told["cost_usd"] / told["priced"] if told["priced"] else None,
        "error_rate": told["failed"] / traces if traces else None,
        # Of those that were judged: most users say nothing.
        "dislike_rate": told["disliked"] / judged if judged else None,
        "duration_ms": told["duration_ns"] / told["ended"] / 1e6 if told["ended"] else None,
        "course": counts,
        "trend": _trend(counts),
    }


def _trend(counts: Sequence[int]) -> float | None:
    """How much more, or less, the later half of a range has than the earlier, as a share; None for few."""
    half = len(counts) // 2
    earlier, later = sum(counts[:half]), sum(counts[-half:]) if half else 0
    return (later - earlier) / earlier if earlier >= 5 else None


def _leaders(insights: Insights, numbers: Sequence[int | None]) -> dict[int, str]:
    marks = ", ".join("?" * len(numbers))
    return dict(insights.rows(f"SELECT id, leader FROM questions WHERE id IN ({marks})", numbers)) if numbers else {}  # noqa: S608


def _repeating(insights: Insights, scope: Scope, where: Where) -> list[dict[str, Any]]:
    sql = f"""
        SELECT t.trace_id, t.id, t.repeats, t.tool_calls, t.cost_usd, t.failed, p.text, x.request
        FROM traces AS t LEFT JOIN names AS p ON p.id = t.path LEFT JOIN texts AS x ON x.trace = t.id
        WHERE t.repeats > 0 AND t.id >= ? AND t.id < ? AND {where.sql}
        ORDER BY t.repeats DESC, t.id DESC LIMIT {_REPEATING}
    """  # noqa: S608
    rows = insights.rows(sql, (scope.start_ns, scope.end_ns, *where.values))
    return [
        {
            "trace_id": trace_id,
            "start": ranges.iso(at),
            "repeats": repeats,
            "tool_calls": calls,
            "cost_usd": cost,
            "failed": bool(failed),
            "path": path,
            "request": request,
        }
        for trace_id, at, repeats, calls, cost, failed, path, request in rows
    ]
