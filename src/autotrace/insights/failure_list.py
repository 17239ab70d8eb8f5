"""Groups of failures in a selection: how often, since when, in which releases, whom they touched."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from . import ranges
from .counted import counted, is_more
from .failures import KINDS
from .parts import Memory, Part, Where, parts
from .scope import Scope
from .view import Insights

#: Groups that are told of, and examples of each; releases that are named.
_MOST, _EXAMPLES, _RELEASES = 100, 10, 12
#: Kinds of which sampling keeps every trace.
_ALWAYS_KEPT = frozenset({"error", "timeout", "tool", "interrupted"})


#: Of a group: in how many traces it occurred, how often, of which users and releases.
Occurred = tuple[int, int, set[int], set[int]]


def failures_of(insights: Insights, part: Part) -> dict[int, Occurred]:
    """What occurred in one bucket, by group."""
    sql, values = part.sql("f.failure, f.count, t.user, t.release", "failures AS f")
    found: dict[int, Occurred] = {}
    for failure, count, user, release in insights.rows(sql, values):
        traces, before, users, releases = found.get(failure, (0, 0, set(), set()))
        if user is not None:
            users.add(user)
        if release is not None:
            releases.add(release)
        found[failure] = (traces + 1, before + count, users, releases)
    return found


def kinds_of(insights: Insights, part: Part) -> dict[str, int]:
    """In how many traces of one bucket each kind occurred."""
    sql, values = part.sql("g.kind, count(DISTINCT f.trace)", "failures AS f", "g.kind")
    sql = sql.replace(" WHERE ", " JOIN failure_groups AS g ON g.id = f.failure WHERE ", 1)
    return dict(insights.rows(sql, values))


def kept_of(insights: Insights, part: Part) -> tuple[int, int]:
    """How many traces are in one bucket, and how many of them failed."""
    traces, failed = insights.rows(*part.sql("count(*), total(t.failed)"))[0]
    return int(traces), int(failed)


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
        `traces` (how many there are), `kinds` (traces and groups of each), `groups`; `counted` (all traces, kept or
        not; None where that are no more, or not known), `note` (where not all are kept: what the rates are of).

    Raises:
        FilterError: The scope's filter cannot be read.
    """
    where = Where.of(insights, scope)
    found = parts(insights, memory, scope.start_ns, scope.end_ns, where, failures_of)
    basis = _basis(insights, memory, scope, where)
    totals: Counter[int] = Counter()
    counts: Counter[int] = Counter()
    users: dict[int, set[int]] = defaultdict(set)
    releases: dict[int, set[int]] = defaultdict(set)
    for _, part in found:
        for failure, (touched, count, by, in_releases) in part.items():
            totals[failure] += touched
            counts[failure] += count
            users[failure] |= by
            releases[failure] |= in_releases
    groups = _groups(insights, totals)
    chosen = [failure for failure, _ in totals.most_common() if kind in (None, groups.get(failure, {}).get("kind"))]
    chosen = [failure for failure in chosen if failure in groups][:limit]
    starts = [start for start, _ in ranges.buckets(scope.start_ns, scope.end_ns)]
    texts = insights.texts([number for failure in chosen for number in releases[failure]])
    seen = _seen(insights, chosen)
    return {
        "traces": basis.traces,
        "counted": basis.counted,
        "note": basis.note,
        "kinds": _kinds(groups.values(), parts(insights, memory, scope.start_ns, scope.end_ns, where, kinds_of)),
        "groups": [
            {
                "id": failure,
                **groups[failure],
                "traces": totals[failure],
                "count": counts[failure],
                "rate": basis.rate(groups[failure]["kind"], totals[failure]),
                "course": _course(found, failure, starts),
                **seen[failure],
                "users": len(users[failure]),
                "releases": sorted(texts.get(number, "?") for number in releases[failure])[-_RELEASES:],
            }
            for failure in chosen
        ],
        "groups_left": max(sum(kind in (None, group["kind"]) for group in groups.values()) - len(chosen), 0),
    }


def _kinds(groups: Iterable[dict[str, Any]], found: Sequence[tuple[int, dict[str, int]]]) -> dict[str, dict[str, Any]]:
    """Of each kind how many groups there are, and in how many traces it occurred."""
    kinds: dict[str, dict[str, Any]] = {
        each: {"label": label, "traces": 0, "groups": 0} for each, label in KINDS.items()
    }
    for group in groups:
        kinds[group["kind"]]["groups"] += 1
    for _, part in found:
        for each, count in part.items():
            if each in kinds:
                kinds[each]["traces"] += count
    return kinds


class _Basis(NamedTuple):
    """What rates are of, and `counted` and `note` as `failure_list` tells them.

    Attributes:
        traces: Those that are kept.
        errors: For kinds that sampling always keeps: of all, where that can be told.
    """

    traces: int
    errors: int
    counted: dict[str, Any] | None = None
    note: str | None = None

    def rate(self, kind: str, touched: int) -> float | None:
        """In what share of the traces something of this kind occurred."""
        of = self.errors if kind in _ALWAYS_KEPT else self.traces
        return min(touched / of, 1.0) if of else None


def _basis(insights: Insights, memory: Memory, scope: Scope, where: Where) -> _Basis:
    traces, failed = _kept(insights, memory, scope, where)
    # By nothing else was counted; but that not all is kept can be said.
    bare = replace(scope, model=None, user=None, session=None, tag=None, filter="")
    kept = traces if bare == scope else _kept(insights, memory, bare, Where.of(insights, bare))[0]
    all_ = counted(insights, memory, bare, kept)
    if all_ is None:
        return _Basis(traces, traces)
    note = f"Of {all_['traces']:,} traces {kept:,} are kept, and those are no fair sample: "
    if bare != scope:
        return _Basis(traces, traces, None, f"{note}rates are of those that are kept.")
    if is_more(all_["failed"], failed):  # pruned: not even all that failed are there
        return _Basis(traces, traces, all_, f"{note}rates are of those that are kept.")
    return _Basis(traces, all_["traces"], all_, f"{note}rates of errors are of all, others of those that are kept.")


def _kept(insights: Insights, memory: Memory, scope: Scope, where: Where) -> tuple[int, int]:
    found = [kept for _, kept in parts(insights, memory, scope.start_ns, scope.end_ns, where, kept_of)]
    return sum(traces for traces, _ in found), sum(failed for _, failed in found)


def failure(insights: Insights, memory: Memory, scope: Scope, number: int) -> dict[str, Any] | None:
    """One group, with the latest traces that it is in; None where there is no such group.

    Raises:
        FilterError: The scope's filter cannot be read.
    """
    groups = _groups(insights, [number])
    if number not in groups:
        return None
    where = Where.of(insights, scope)
    found = parts(insights, memory, scope.start_ns, scope.end_ns, where, failures_of)
    starts = [start for start, _ in ranges.buckets(scope.start_ns, scope.end_ns)]
    course = _course(found, number, starts)
    occurred = [part[number] for _, part in found if number in part]
    texts = insights.texts([release for each in occurred for release in each[3]])
    return {
        "id": number,
        **groups[number],
        "traces": sum(course),
        "count": sum(each[1] for each in occurred),
        "course": course,
        "starts": [ranges.iso(start) for start in starts],
        **_seen(insights, [number])[number],
        "users": len({user for each in occurred for user in each[2]}),
        "releases": sorted(texts.values())[-_RELEASES:],
        "examples": _examples(insights, scope, where, number),
    }


def _course(found: Sequence[tuple[int, dict[int, Occurred]]], number: int, starts: Sequence[int]) -> list[int]:
    """In how many traces of each bucket a group occurred."""
    traces: Counter[int] = Counter()
    for start, part in found:
        if number in part:
            traces[start] += part[number][0]
    return [traces[start] for start in starts]


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
