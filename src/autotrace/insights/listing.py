# ruff: noqa: S608 (what is put into SQL is constant, or a number)
"""The list of traces: a page of it, and how many there are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotrace.errors import FilterError
from autotrace.store.spans import utc

from .conditions import Search, condition
from .lookups import Condition
from .schema import members
from .scope import Scope

MOST_ROWS = 500

_NAMES = ("name", "status", "user", "session")
#: What the list can be sorted by, and the SQL of it. Of names (`n` is the one), the id is kept in the token of a page.
_KEYS: Mapping[str, str] = {
    "start": "t.id",
    "duration": "t.duration_ns",
    "cost": "t.cost_usd",
    "tokens": "coalesce(t.input_tokens + t.output_tokens, t.input_tokens, t.output_tokens)",
    "ttft": "t.ttft_ns",
    **dict.fromkeys(_NAMES, "n.text"),
    # Thumbs down first, then up, then those of which nobody said anything.
    "feedback": "CASE WHEN t.down > 0 THEN 0 WHEN t.up > 0 THEN 1 END",
    "errors": "t.errors",
    "spans": "t.spans",
}
SORTS = tuple(_KEYS)

_TOKEN = re.compile(r"([np])\.([0-9]{1,18}|[0-8][0-9]{18})(?:\.(-?[0-9]{1,18}(?:\.[0-9]{1,25})?(?:e-?[0-9]{1,3})?))?")
_COLUMNS = (
    "t.id, t.trace_id, t.duration_ns, t.name, t.status, t.environment, t.service, t.release, t.session, t.user, "
    "t.models, t.tools, t.path, t.spans, t.errors, t.input_tokens, t.output_tokens, t.cost_usd, t.ttft_ns, t.up, "
    "t.down, t.retries, t.repeats, x.request, x.response, x.error, q.leader"
)
_ROWS = f"""
    SELECT {_COLUMNS} FROM traces t LEFT JOIN texts x ON x.trace = t.id LEFT JOIN questions q ON q.id = t.question
    WHERE t.id IN ({{ids}})
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What the list shows of a trace; None where it is not known.

    Attributes:
        start_ns: When it began, in ns since 1970.
        error: What went wrong, in any of its spans.
        up: Thumbs up. `down`: thumbs down.
        repeats: Calls that were made before with the same arguments.
        errors: Spans that failed.
        question: What stands for the questions that are like this one.
        path: The way it took through its tools.
    """

    trace_id: str
    name: str
    status: str
    start_ns: int
    duration_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    ttft_ms: float | None
    user: str | None
    session: str | None
    environment: str | None
    service: str | None
    release: str | None
    models: list[str]
    tools: list[str]
    request: str | None
    response: str | None
    error: str | None
    up: int
    down: int
    retries: int
    repeats: int
    spans: int
    errors: int
    question: str | None
    path: str | None

    def as_json(self) -> dict[str, Any]:
        """The row with `start` as ISO 8601 in place of `start_ns`."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"start" if name == "start_ns" else name: value for name, value in found.items()} | {
            "start": utc(self.start_ns)
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and what is given as `after` for the pages around it; None where there is none."""

    rows: list[Row]
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class _Order:
    """How a list is sorted. What is not known comes last, and of what is alike the newest first."""

    field: str
    is_descending: bool

    @classmethod
    def of(cls, sort: str) -> _Order:
        field = sort.removeprefix("-")
        if field not in _KEYS:
            raise FilterError(
                f'traces cannot be sorted by "{field[:60]}": give one of {", ".join(SORTS)}, or - and one'
            )
        return cls(field, sort.startswith("-"))

    @property
    def key(self) -> str:
        return _KEYS[self.field]

    def sql(self, is_backwards: bool) -> str:
        """Behind ORDER BY; backwards: from the end to the beginning."""
        words = ("DESC", "ASC") if self.is_descending != is_backwards else ("ASC", "DESC")
        if self.field == "start":
            return f"t.id {words[0]}"
        alike = ("DESC", "ASC") if is_backwards else ("ASC", "DESC")
        return f"key IS NULL {alike[0]}, key {words[0]}, t.id {alike[1]}"

    def beyond(self, place: _Place) -> Condition:
        """What holds of the rows after a place, or before it."""
        sign = ">" if self.is_descending == place.is_backwards else "<"
        if self.field == "start":
            return Condition(f"t.id {sign} ?", (place.id,))
        of_alike = ">" if place.is_backwards else "<"
        if place.value is None:
            same = f"{self.key} IS NULL AND t.id {of_alike} ?"
            return Condition(f"{self.key} IS NOT NULL OR {same}" if place.is_backwards else same, (place.id,))
        known = f"{self.key} {sign} ? OR ({self.key} = ? AND t.id {of_alike} ?)"
        unknown = "" if place.is_backwards else f" OR {self.key} IS NULL"
        return Condition(known + unknown, (place.value, place.value, place.id))


@dataclass(frozen=True, slots=True)
class _Place:
    """A row beyond which a page begins, or before which one ends (`is_backwards`)."""

    is_backwards: bool
    id: int
    value: int | float | str | None


def listing(
    connection: sqlite3.Connection,
    scope: Scope,
    sort: str = "-start",
    after: str | None = None,
    limit: int = 50,
    *,
    search: Search,
    notes: list[str] | None = None,
) -> Page:
    """A page of the list of traces.

    Args:
        connection: To insights.db.
        scope: Which traces.
        sort: One of `SORTS`; with `-` before it the largest or latest first.
        after: `next` or `previous` of another page of the same list; None: the first page.
        limit: At most so many rows, and `MOST_ROWS`.
        search: As in `condition`; `notes` too.

    Raises:
        FilterError: The filter, `sort` or `after` cannot be read.
    """
    order = _Order.of(sort)
    place = None if after is None else _place(connection, order, after)
    limit = min(max(limit, 1), MOST_ROWS)
    chosen = condition(connection, scope, search, notes)
    found = _found(connection, chosen, order, place, limit + 1)
    if place is not None and place.is_backwards and len(found) <= limit:  # the beginning: a whole page of it
        place = None
        found = _found(connection, chosen, order, None, limit + 1)
    has_more = len(found) > limit
    found = found[:limit]
    is_backwards = place is not None and place.is_backwards
    if is_backwards:
        found.reverse()
    following = found and (has_more or is_backwards)
    before = found and (has_more if is_backwards else place is not None)
    return Page(
        _rows(connection, [id_ for id_, _ in found]),
        _token("n", *found[-1]) if following else None,
        _token("p", *found[0]) if before else None,
    )


def check_sort(sort: str) -> None:
    """Does nothing where a list can be sorted so.

    Raises:
        FilterError: It cannot.
    """
    _Order.of(sort)


def count(connection: sqlite3.Connection, chosen: Condition) -> int:
    """How many traces there are of a condition."""
    return int(connection.execute(f"SELECT count(*) FROM traces t WHERE {chosen.sql}", chosen.params).fetchone()[0])


def _found(
    connection: sqlite3.Connection, chosen: Condition, order: _Order, place: _Place | None, limit: int
) -> list[tuple[int, Any]]:
    """Ids of traces, in order (backwards: from the place on), each with what the token of a page says of it."""
    told = f"t.{order.field}" if order.field in _NAMES else "NULL" if order.field == "start" else order.key
    where, params = chosen
    if place is not None:
        beyond = order.beyond(place)
        where, params = f"({where}) AND ({beyond.sql})", (*params, *beyond.params)
    is_backwards = place is not None and place.is_backwards
    key = "" if order.field == "start" else f", {order.key} AS key"
    names = f" LEFT JOIN names n ON n.id = t.{order.field}" if order.field in _NAMES else ""
    sql = f"SELECT t.id, {told}{key} FROM traces t{names} WHERE {where} ORDER BY {order.sql(is_backwards)} LIMIT ?"
    return [(row[0], row[1]) for row in connection.execute(sql, (*params, limit))]


def _token(direction: str, id_: int, value: int | float | None) -> str:
    told = "" if value is None else f".{value!r}".replace("+", "")  # which in an address would be a space
    return f"{direction}.{id_}{told}"


def _place(connection: sqlite3.Connection, order: _Order, token: str) -> _Place:
    match = _TOKEN.fullmatch(token)
    if match is None or (order.field == "start" and match[3]):
        raise FilterError("after: no page begins there; leave it out for the first one")
    value: int | float | str | None = None
    if match[3] is not None:
        value = int(match[3]) if match[3].lstrip("-").isdigit() else float(match[3])
    if value is not None and order.field in _NAMES:
        found = connection.execute("SELECT text FROM names WHERE id = ?", (value,)).fetchone()
        if found is None:
            raise FilterError("after: no page begins there any more; leave it out for the first one")
        value = found[0]
    return _Place(match[1] == "p", int(match[2]), value)


def _rows(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Row]:
    found = {row[0]: row for row in connection.execute(_ROWS.format(ids=", ".join(map(str, ids))))} if ids else {}
    names = _texts(connection, {name for row in found.values() for name in row[3:13] if name is not None})
    return [_row(found[id_], names) for id_ in ids if id_ in found]


def _texts(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, str]:
    numbers = ", ".join(map(str, ids))
    return dict(connection.execute(f"SELECT id, text FROM names WHERE id IN ({numbers})"))


def _row(row: tuple[Any, ...], names: Mapping[int, str]) -> Row:
    id_, trace_id, duration_ns, *named = row[:13]
    name, status, environment, service, release, session, user, models, tools, path = map(names.get, named)
    spans, errors, input_tokens, output_tokens, cost_usd, ttft_ns, up, down, retries, repeats = row[13:23]
    request, response, error, question = row[23:]
    return Row(
        trace_id=trace_id,
        name=name or "",
        status=status or "",
        start_ns=id_,
        duration_ms=None if duration_ns is None else duration_ns / 1e6,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost_usd,
        ttft_ms=None if ttft_ns is None else ttft_ns / 1e6,
        user=user,
        session=session,
        environment=environment,
        service=service,
        release=release,
        models=members(models or ""),
        tools=members(tools or ""),
        request=request,
        response=response,
        error=error,
        up=up,
        down=down,
        retries=retries,
        repeats=repeats,
        spans=spans,
        errors=errors,
        question=question,
        path=path,
    )
