"""Sessions and users, page by page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotrace.errors import FilterError
from autotrace.insights import ranges
from autotrace.insights.opening import opened
from autotrace.insights.people import SORTS, Kind, count, people
from autotrace.insights.scope import Scope
from tests.store.conftest import BEGAN, Store, chat, record

from .traffic import Asked, traffic, write

EVER = Scope(BEGAN, BEGAN + 3 * ranges.DAY_NS)
ASKED = [replace(each, session=each.session and f"s{each.number * 7 % 31}") for each in traffic(11, 160)]
KINDS: tuple[Kind, ...] = ("session", "user")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the sessions of three days."""
    home = tmp_path_factory.mktemp("busy")
    store = Store(home / "traces.db")
    write(store, ASKED)
    store.writer.close()
    return home


def grouped(kind: Kind, asked: list[Asked]) -> dict[str, list[Asked]]:
    """Traces by whose they are."""
    found: dict[str, list[Asked]] = {}
    for each in asked:
        if getattr(each, kind) is not None:
            found.setdefault(getattr(each, kind), []).append(each)
    return found


def pages(home: Path, scope: Scope, kind: Kind, sort: str, limit: int) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    found, after = [], None
    with opened(home) as insights:
        while True:
            page = people(insights, scope, kind, sort, after, limit)
            found.append(page.rows)
            after = page.next
            if after is None:
                return found


SCOPES = [EVER, replace(EVER, environment="production"), replace(EVER, release="1.0", filter="status:error")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_latest_first_tells_each_once(busy: Path, scope: Scope, kind: Kind, limit: int) -> None:
    """Whatever the size of a page; each with the sums of all of its traces in the selection."""
    chosen = [
        each
        for each in ASKED
        if scope.environment in (None, each.environment)
        and scope.release in (None, each.release)
        and (not scope.filter or (each.is_failed and each.seconds is not None))
    ]
    expected = grouped(kind, chosen)
    found = pages(busy, scope, kind, "-last", limit)
    rows = [row for page in found for row in page]
    order = sorted(expected, key=lambda name: -max(each.at for each in expected[name]))
    assert [row[kind] for row in rows] == order
    assert all(len(page) == limit for page in found[:-1])
    for row in rows:
        theirs = expected[row[kind]]
        assert row["traces"] == len(theirs)
        assert row["failed"] == sum(each.is_failed and each.seconds is not None for each in theirs)
        assert row["tokens"] == 1100 * sum(len(each.models) for each in theirs)
        assert row["down"] == sum(each.thumbs.count(False) for each in theirs)
        assert row["unpriced"] == sum("my-own-model" in each.models for each in theirs)
        assert row["last"] == ranges.iso(max(each.start_ns for each in theirs))
        assert row["first"] == ranges.iso(min(each.start_ns for each in theirs))
    with opened(busy) as insights:
        assert count(insights, scope, kind) == len(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", [sign + sort for sort in SORTS for sign in ("", "-")])
@pytest.mark.parametrize("limit", [2, 5])
def test_any_sorting(busy: Path, kind: Kind, sort: str, limit: int) -> None:
    """Each once, in order."""
    rows = [row for page in pages(busy, EVER, kind, sort, limit) for row in page]
    assert sorted(row[kind] for row in rows) == sorted(grouped(kind, ASKED))
    key = {"cost": "cost_usd"}.get(sort.removeprefix("-"), sort.removeprefix("-"))
    values = [row[key] or 0 for row in rows]
    assert values == sorted(values, reverse=sort.startswith("-"))


def test_a_session_tells_its_user_and_latest_question(store: Store) -> None:
    """As its latest trace does."""
    for number, (trace, user) in enumerate((("a", "ann"), ("b", "bob"))):
        who = {"session.id": "s1", "user.id": user}
        store.write(record(trace, "1", None, number, attributes=chat(f"question {trace}") | who))
    (row,) = pages(store.path.parent, EVER, "session", "-last", 5)[0]
    assert (row["user"], row["request"], row["traces"]) == ("bob", "question b", 2)


def test_an_unknown_cost(store: Store) -> None:
    """Of a user whose prices nobody knows the cost is not known; some that are known are summed up."""
    own = chat("hi", "yo", "my-own-model")
    store.write(
        record("a", "1", attributes=own | {"user.id": "ann"}),
        record("b", "1", attributes=own | {"user.id": "bob"}),
        record("c", "1", attributes=chat("hi", "yo") | {"user.id": "bob"}),
    )
    rows = {row["user"]: row for row in pages(store.path.parent, EVER, "user", "-last", 5)[0]}
    assert (rows["ann"]["cost_usd"], rows["ann"]["unpriced"]) == (None, 1)
    assert rows["bob"]["cost_usd"] > 0
    assert rows["bob"]["unpriced"] == 1


def test_what_comes_meanwhile_moves_nobody_twice(store: Store) -> None:
    """A session that goes on while somebody turns pages is not told again further down."""
    for number, trace in enumerate("abcdef"):
        store.write(record(trace, "1", None, number, attributes={"session.id": trace}))
    with opened(store.path.parent) as insights:
        first = people(insights, EVER, "session", limit=2)
    store.write(record("9", "1", None, 50, attributes={"session.id": "a"}))
    with opened(store.path.parent) as insights:
        second = people(insights, EVER, "session", after=first.next, limit=10)
    assert [row["session"] for row in first.rows] == ["f", "e"]
    assert [row["session"] for row in second.rows] == ["d", "c", "b"]


@pytest.mark.parametrize("sort", ["", "-", "name", "last; DROP TABLE traces", "--last", "\ud800"])
def test_unknown_sorting(store: Store, sort: str) -> None:
    """What cannot be sorted by is told, with what can."""
    store.write(record("a", "1"))
    with opened(store.path.parent) as insights, pytest.raises(FilterError, match="give one of last, first"):
        people(insights, EVER, "user", sort)


@pytest.mark.parametrize(
    "after", ["", "x", "l", "l-1", "o1.5", "l99999999999999999999", "o9999999999999999999", "l\u0661"]
)
def test_a_place_that_is_none(store: Store, after: str) -> None:
    """What no page begins with is told."""
    store.write(record("a", "1"))
    with opened(store.path.parent) as insights, pytest.raises(FilterError, match="go to its beginning"):
        people(insights, EVER, "user", after=after)
