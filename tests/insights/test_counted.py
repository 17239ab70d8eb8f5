"""All traces, where some are not kept."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from autotrace.delivery.destinations import Record
from autotrace.insights import ranges
from autotrace.insights.opening import opened
from autotrace.insights.overview import overview
from autotrace.insights.parts import Memory
from autotrace.insights.scope import Scope
from tests.store.conftest import BEGAN, RESOURCE, SECOND, Store, record

HOUR = BEGAN // ranges.HOUR_NS * ranges.HOUR_NS
DAY = Scope(HOUR, HOUR + ranges.DAY_NS)


def some(count: int, first: int = 0, seconds: float = 1, **body: Any) -> list[Record]:
    """So many traces of one span."""
    return [
        replace(record("a", "1", None, number, seconds, **body), trace_id=f"{first + number + 1:032x}")
        for number in range(count)
    ]


def told(store: Store, scope: Scope = DAY) -> dict[str, Any] | None:
    """What the overview tells of all traces."""
    with opened(store.path.parent) as insights:
        found: dict[str, Any] | None = overview(insights, Memory(), scope)["counted"]
        return found


def test_all_that_were_counted(store: Store) -> None:
    """Where sampling leaves most out, the overview tells how many there were, and how many of them failed."""
    store.write(*some(30, status="error"))
    store.writer.count(some(270, 1000, 4), RESOURCE)
    found = told(store)
    assert found is not None
    assert (found["traces"], found["failed"], found["error_rate"]) == (300, 30, 0.1)
    assert found["latency_p50_ms"] == pytest.approx(4000, rel=0.3)


def test_only_then(store: Store) -> None:
    """Where all are kept, the traces tell more; nor is a little behind worth a word."""
    store.write(*some(100))
    assert told(store) is None
    store.writer.count(some(15, 1000), RESOURCE)
    assert told(store) is None


def test_only_of_what_was_counted(store: Store) -> None:
    """By environment, service and release; what else a scope asks for was not counted."""
    store.write(*some(1))
    store.writer.count(some(200, 1000), RESOURCE)
    store.writer.count(some(200, 2000), {**RESOURCE, "deployment.environment.name": "development"})
    found = [told(store, replace(DAY, environment=name)) for name in (None, "production", "nowhere")]
    assert [each and each["traces"] for each in found] == [401, 201, None]
    others: tuple[dict[str, Any], ...] = (
        {"user": "ann"},
        {"model": "x"},
        {"tag": "x"},
        {"session": "x"},
        {"filter": "status:ok"},
    )
    for narrowed in others:
        assert told(store, replace(DAY, **narrowed)) is None


def test_whole_hours_of_the_range_alone(store: Store) -> None:
    """What was counted later in its last hour is not in a range that ended before: all of it is kept."""
    first = HOUR + ranges.HOUR_NS
    at = (first - BEGAN) / SECOND
    store.write(*(replace(each, body=record("a", "1", None, at + 60 * n).body) for n, each in enumerate(some(60))))
    assert told(store, Scope(HOUR, first + 10 * ranges.MINUTE_NS)) is None
    assert told(store, Scope(first, first + ranges.HOUR_NS)) is None


def test_the_hour_that_goes_on(store: Store) -> None:
    """Of a range until now, what was counted in this hour is in it."""
    now = time.time_ns()
    late = [replace(each, body={**each.body, "start": now - 1000, "end": now}) for each in some(100)]
    store.write(replace(late[0], trace_id="f" * 32))
    store.writer.count(late, RESOURCE)
    found = told(store, Scope(now // ranges.HOUR_NS * ranges.HOUR_NS - ranges.DAY_NS, now + 1))
    assert found is not None
    assert found["traces"] == 101
