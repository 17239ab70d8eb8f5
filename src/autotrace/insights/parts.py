"""Sums over traces, bucket by bucket of time, remembered until something in a bucket changes."""

from __future__ import annotations

import marshal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, TypeVar

from . import ranges
from .conditions import condition
from .schema import SLOT_NS
from .scope import Scope
from .view import Insights

T = TypeVar("T")

#: Bytes that are remembered.
_MOST_BYTES = 24 * 1024 * 1024
#: Conditions that are remembered; each may have a temporary table.
_CONDITIONS = 8
#: An hour is hot that has changed in one of the last so many steps of the follower, and began at most so long ago: what
#: was there before is taken in once, and then stays as it is.
_HOT_STEPS, _HOT_HOURS = 40, 2
#: How the condition of a scope begins, where it has more to say than its range.
_WITHIN = "(t.id >= ? AND t.id < ?)"


class Where(NamedTuple):
    """A condition of SQL on rows of `traces AS t`, without the range of time, and its parameters."""

    sql: str = "1"
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, insights: Insights, scope: Scope) -> Where:
        """The condition of a scope.

        Raises:
            FilterError: Its filter cannot be read.
        """
        # What words are in is asked of the whole store, and several parts of a page have the same scope.
        key, version = scope, insights.version()
        known = insights.conditions.get(key)
        if known is not None and known[0] == version:
            insights.notes += [note for note in known[2] if note not in insights.notes]
            return cls(*known[1])
        notes: list[str] = []
        found = condition(insights.connection, scope, insights.search, notes)
        insights.notes += [note for note in notes if note not in insights.notes]
        rest = found.sql.removeprefix(_WITHIN)
        where = cls() if rest == found.sql else cls(rest.removeprefix(" AND "), tuple(found.params[2:]))
        while len(insights.conditions) >= _CONDITIONS:
            insights.conditions.pop(next(iter(insights.conditions)))
        insights.conditions[key] = (version, where, notes)
        return where

    @property
    def is_all(self) -> bool:
        """Whether it is true of every trace."""
        return self.sql == "1"


class Part(NamedTuple):
    """A bucket of time, by the names that its sums are asked with."""

    start_ns: int
    end_ns: int
    where: Where

    def sql(self, columns: str, beside: str = "", group: str = "") -> tuple[str, tuple[Any, ...]]:
        """A query on the bucket's traces `t`, and its parameters.

        Args:
            columns: What is selected.
            beside: A table whose rows belong to traces by `trace`, with an alias: `usage AS u`.
            group: What it is grouped by.
        """
        alias = beside.rpartition(" ")[2]
        if not beside:
            tables, key = "traces AS t", "t.id"
        elif self.where.is_all and "t." not in columns:
            tables, key = beside, f"{alias}.trace"
        else:
            tables, key = f"traces AS t CROSS JOIN {beside} ON {alias}.trace = t.id", "t.id"
        grouped = f" GROUP BY {group}" if group else ""
        sql = f"SELECT {columns} FROM {tables} WHERE {key} >= ? AND {key} < ? AND {self.where.sql}{grouped}"  # noqa: S608
        return sql, (self.start_ns, self.end_ns, *self.where.values)


class Memory:
    """What was summed up before, by question, condition and bucket; shared by threads. Packed: it is read seldom."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Any, ...], tuple[int, bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[Any, ...], version: int) -> Any:
        """What is known as of this version; None if nothing is."""
        with self._lock:
            found = self._known.get(key)
            if found is None or found[0] != version:
                return None
            self._known.move_to_end(key)
        return marshal.loads(found[1])  # noqa: S302 (what was put in here)

    def put(self, key: tuple[Any, ...], version: int, value: Any) -> None:
        """Remembers it in place of older versions: tuples, lists, dicts, sets, texts and figures."""
        content = marshal.dumps(value)
        with self._lock:
            self._bytes += len(content) - len(self._known.pop(key, (0, b""))[1])
            self._known[key] = (version, content)
            while self._bytes > _MOST_BYTES:
                self._bytes -= len(self._known.popitem(last=False)[1][1])


def parts(
    insights: Insights, memory: Memory, start_ns: int, end_ns: int, where: Where, ask: Callable[[Insights, Part], T]
) -> list[tuple[int, T]]:
    """What `ask` answers for each bucket that anything is in, with its beginning. The answers must not be changed.

    A bucket in which much is written has several answers, for parts of it.

    Args:
        insights: Who is asked.
        memory: What was answered before.
        start_ns: Where the range begins, in ns since 1970.
        end_ns: Where it ends.
        where: Which traces.
        ask: Sums up one bucket; it is told apart from others by its name.
    """
    name = f"{ask.__module__}.{ask.__qualname__}"
    hours = _versions(insights, "hours", ranges.HOUR_NS, start_ns, end_ns)
    since, latest = insights.version() - _HOT_STEPS, time.time_ns() // ranges.HOUR_NS - _HOT_HOURS
    hot = {hour for hour, version in hours.items() if version > since and hour >= latest}
    identity = insights.meta("identity")
    found = []
    for start, end in ranges.buckets(start_ns, end_ns):
        for begin, until, version in _pieces(insights, start, end, hours, hot):
            key = (identity, name, where, begin, until)
            answer = memory.get(key, version)
            if answer is None:
                answer = ask(insights, Part(begin, until, where))
                memory.put(key, version, answer)
            found.append((start, answer))
    return found


def by_bucket(found: Iterable[tuple[int, T]]) -> dict[int, list[T]]:
    """The answers of each bucket, by its beginning."""
    sorted_: dict[int, list[T]] = {}
    for start, answer in found:
        sorted_.setdefault(start, []).append(answer)
    return sorted_


def _pieces(
    insights: Insights, start_ns: int, end_ns: int, hours: Mapping[int, int], hot: AbstractSet[int]
) -> Iterator[tuple[int, int, int]]:
    """A bucket as what is asked at once: from when, until when, as of which version.

    All of it, where nothing has changed lately; else hours, and those that have changed lately as slots.
    """
    covered = range(start_ns // ranges.HOUR_NS, (end_ns - 1) // ranges.HOUR_NS + 1)
    known = [hour for hour in covered if hour in hours] if len(covered) < len(hours) else _within(covered, hours)
    if not known:
        return  # there has been nothing
    if hot.isdisjoint(known):
        yield start_ns, end_ns, max(hours[hour] for hour in known)
        return
    for hour in known:
        begin, until = max(hour * ranges.HOUR_NS, start_ns), min((hour + 1) * ranges.HOUR_NS, end_ns)
        if hour not in hot:
            yield begin, until, hours[hour]
            continue
        for slot, version in _versions(insights, "slots", SLOT_NS, begin, until).items():
            yield max(slot * SLOT_NS, begin), min((slot + 1) * SLOT_NS, until), version


def _within(covered: range, hours: Mapping[int, int]) -> list[int]:
    return sorted(hour for hour in hours if hour in covered)


def _versions(insights: Insights, table: str, width_ns: int, start_ns: int, end_ns: int) -> dict[int, int]:
    """At which version each hour, or slot, of a range has changed last; those that nothing is in are missing."""
    column = table.removesuffix("s")
    sql = f"SELECT {column}, version FROM {table} WHERE {column} BETWEEN ? AND ? ORDER BY {column}"  # noqa: S608
    return dict(insights.rows(sql, (start_ns // width_ns, (end_ns - 1) // width_ns)))
