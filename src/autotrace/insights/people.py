"""Sessions and users: what each did in a selection, when last, at what cost, and how it went."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from autotrace.errors import FilterError

from . import ranges
from .conditions import condition
from .lookups import NEVER, Condition
from .scope import Scope
from .view import Insights

Kind = Literal["session", "user"]

_TOKENS = "total(coalesce(t.input_tokens, 0) + coalesce(t.output_tokens, 0))"
#: What is told of each, and the SQL of it.
_SUMS = {
    "traces": "count(*)",
    "failed": "total(t.failed)",
    "tokens": _TOKENS,
    "cost": "total(t.cost_usd)",
    "unpriced": "count(*) - count(t.cost_usd)",
    "up": "total(t.up)",
    "down": "total(t.down)",
    "first": "min(t.id)",
    "last": "max(t.id)",
}
#: What a list can be sorted by.
SORTS = ("last", "first", "traces", "failed", "tokens", "cost", "up", "down")
#: Columns that the indexes hold (schema.py).
_COVERED = frozenset({"id", "failed", "input_tokens", "output_tokens", "cost_usd", "up", "down"}) | {
    "environment",
    "service",
    "release",
    "models",
}
_COLUMN = re.compile(r"\bt\.([a-z_]+)")
_PLACE = re.compile(r"([lo])([0-9]{1,19})")


class People(NamedTuple):
    """Some sessions or users, and what is given as `after` for the next ones; None where there are none."""

    rows: list[dict[str, Any]]
    next: str | None


def people(
    insights: Insights, scope: Scope, kind: Kind, sort: str = "-last", after: str | None = None, limit: int = 50
) -> People:
    """Sessions or users of a selection, with the figures of their traces in it.

    Args:
        insights: Who is asked.
        scope: Which traces.
        kind: Whose.
        sort: One of `SORTS`, with `-` before it the highest first.
        after: `next` of the page before; None: the first page.
        limit: At most so many.

    Raises:
        FilterError: The filter, `sort` or `after` cannot be read.
    """
    key = sort.removeprefix("-")
    if key not in SORTS:
        raise FilterError(f'a list cannot be sorted by "{key[:60]}": give one of {", ".join(SORTS)}, or - and one')
    found = condition(insights.connection, scope, insights.search, insights.notes)
    place = _place(after)
    if sort == "-last":
        ids, following = _latest(insights, found, kind, place[1] if place and place[0] == "l" else None, limit)
        sums = _sums(insights, found, kind, ids)
        return People(_rows(insights, kind, [(id_, *sums[id_]) for id_ in ids if id_ in sums]), following)
    skipped = place[1] if place and place[0] == "o" else 0
    order = f"{_SUMS[key]} {'DESC' if sort.startswith('-') else 'ASC'}, max(t.id) DESC"
    sql = f"""
        SELECT t.{kind}, {", ".join(_SUMS.values())} FROM traces AS t {_index(found, kind)}
        WHERE {found.sql} AND t.{kind} IS NOT NULL
        GROUP BY t.{kind} ORDER BY {order} LIMIT ? OFFSET ?
    """  # noqa: S608 (constants, and what `condition` made)
    rows = insights.rows(sql, (*found.params, limit + 1, skipped))
    return People(_rows(insights, kind, rows[:limit]), f"o{skipped + limit}" if len(rows) > limit else None)


def count(insights: Insights, scope: Scope, kind: Kind) -> int:
    """How many sessions or users there are in a selection.

    Raises:
        FilterError: The filter cannot be read.
    """
    found = condition(insights.connection, scope, insights.search, insights.notes)
    sql = f"""
        SELECT count(DISTINCT t.{kind}) FROM traces AS t {_index(found, kind)}
        WHERE {found.sql} AND t.{kind} IS NOT NULL
    """  # noqa: S608
    return int(insights.rows(sql, found.params)[0][0])


def _index(found: Condition, kind: Kind) -> str:
    """The index of sessions or users where it knows all that is asked for; else it is quicker to read the traces."""
    asked = set(_COLUMN.findall(found.sql))
    # Where nothing can be found SQLite uses no index, and would fail at being told to.
    is_never = f"({NEVER.sql})" in found.sql
    return f"INDEXED BY traces_{kind}s" if asked <= {*_COVERED, kind} and not is_never else ""


def _place(after: str | None) -> tuple[str, int] | None:
    if after is None:
        return None
    found = _PLACE.fullmatch(after)
    if found is None or int(found[2]) >= 2**62:
        raise FilterError(f'"{after[:60]}" is no place in this list: go to its beginning')
    return found[1], int(found[2])


def _latest(
    insights: Insights, found: Condition, kind: Kind, before: int | None, limit: int
) -> tuple[list[int], str | None]:
    """Those whose latest trace is the latest: traces are walked backwards until there are enough of them."""
    place = "" if before is None else " AND t.id < ?"
    sql = f"SELECT t.id, t.{kind} FROM traces AS t WHERE {found.sql} AND t.{kind} IS NOT NULL{place} ORDER BY t.id DESC"  # noqa: S608
    # Who has a trace after that place was on a page before.
    later = (
        f"SELECT 1 FROM traces AS t INDEXED BY traces_{kind}s WHERE t.{kind} = ? AND t.id >= ? AND {found.sql} LIMIT 1"  # noqa: S608
    )
    ids: dict[int, int] = {}
    passed: set[int] = set()
    cursor = insights.connection.execute(sql, (*found.params, *(() if before is None else (before,))))
    try:
        for trace, who in cursor:
            if who in ids or who in passed:
                continue
            if before is not None and insights.rows(later, (who, before, *found.params)):
                passed.add(who)
                continue
            if len(ids) == limit:
                return list(ids), f"l{min(ids.values())}"
            ids[who] = trace
    finally:
        cursor.close()
    return list(ids), None


def _sums(insights: Insights, found: Condition, kind: Kind, ids: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    sums: dict[int, tuple[Any, ...]] = {}
    sql = f"""
        SELECT t.{kind}, {", ".join(_SUMS.values())} FROM traces AS t INDEXED BY traces_{kind}s
        WHERE t.{kind} = ? AND {found.sql} GROUP BY t.{kind}
    """  # noqa: S608
    for id_ in ids:
        for row in insights.rows(sql, (id_, *found.params)):
            sums[row[0]] = row[1:]
    return sums


def _rows(insights: Insights, kind: Kind, rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    found = [dict(zip(("id", *_SUMS), row, strict=True)) for row in rows]
    latest = {trace: told for trace, *told in _told(insights, [row["last"] for row in found])}
    texts = insights.texts([row["id"] for row in found] + [told[0] for told in latest.values() if told[0]])
    return [
        {
            kind: texts.get(row["id"], "?"),
            **({"user": texts.get(latest[row["last"]][0])} if kind == "session" else {}),
            **{name: int(row[name]) for name in ("traces", "failed", "tokens", "up", "down")},
            # Where all that have a price cost nothing (refused calls, traces without any), nothing is known.
            "cost_usd": row["cost"] if row["cost"] or not row["unpriced"] else None,
            "unpriced": row["unpriced"],
            "first": ranges.iso(row["first"]),
            "last": ranges.iso(row["last"]),
            "request": latest[row["last"]][1],
        }
        for row in found
    ]


def _told(insights: Insights, traces: Sequence[int]) -> list[tuple[Any, ...]]:
    """Of traces: whose they are, and what was asked."""
    marks = ", ".join("?" * len(traces))
    sql = f"""
        SELECT t.id, t.user, x.request FROM traces AS t LEFT JOIN texts AS x ON x.trace = t.id WHERE t.id IN ({marks})
    """  # noqa: S608
    return insights.rows(sql, traces) if traces else []
