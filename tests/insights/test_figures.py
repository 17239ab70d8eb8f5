"""Figures of a selection: they add up, they are right, and what has not changed is not asked again."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotrace.insights import ranges
from autotrace.insights.figures import Figures, figures_of, total
from autotrace.insights.opening import opened
from autotrace.insights.overview import changes, figures, overview
from autotrace.insights.parts import Memory, Part, Where
from autotrace.insights.scope import Scope
from tests.store.conftest import BEGAN, SECOND, Store, chat, feedback, record

from .traffic import Asked, traffic, write

ASKED = traffic(1, 250)
EVER = Scope(BEGAN, BEGAN + 3 * ranges.DAY_NS)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the traces of three days."""
    home = tmp_path_factory.mktemp("busy")
    store = Store(home / "traces.db")
    write(store, ASKED)
    store.writer.close()
    return home


def fits(scope: Scope, each: Asked) -> bool:
    """Whether a trace is in a scope."""
    named = {name: getattr(scope, name) for name in ("environment", "release", "user", "session")}
    return (
        scope.start_ns <= each.start_ns < scope.end_ns
        and all(value is None or getattr(each, name) == value for name, value in named.items())
        and (scope.model is None or scope.model in each.models)
        and (scope.filter != "feedback:down" or False in each.thumbs)
        and (scope.filter != "status:error" or (each.is_failed and each.seconds is not None))
    )


SCOPES = [
    EVER,
    replace(EVER, environment="production"),
    replace(EVER, release="1.0", user="ann"),
    replace(EVER, model="gpt-4o"),
    replace(EVER, session="s1"),
    replace(EVER, filter="feedback:down"),
    replace(EVER, filter="status:error", environment="development"),
    replace(EVER, user="nobody"),
    Scope(BEGAN + 1234 * SECOND, BEGAN + 100_000 * SECOND + 1),
    Scope(BEGAN, BEGAN + ranges.HOUR_NS, environment="production"),
    Scope(BEGAN - ranges.DAY_NS, BEGAN),
]


@pytest.mark.parametrize("scope", SCOPES)
def test_figures_are_what_was_written(busy: Path, scope: Scope) -> None:
    """Of any scope: counts, thumbs, tokens, calls by model and tool."""
    chosen = [each for each in ASKED if fits(scope, each)]
    with opened(busy) as insights:
        found = figures(insights, Memory(), scope)
        told = found.as_json()
        texts = insights.texts([*found.models, *found.tools])
    calls = Counter(model for each in chosen for model in each.models)
    tools = Counter(tool for each in chosen for tool, _ in each.tools)
    broken = Counter(tool for each in chosen for tool, is_failed in each.tools if is_failed)
    assert told["traces"] == len(chosen)
    assert told["failed"] == sum(each.is_failed and each.seconds is not None for each in chosen)
    assert told["liked"] == sum(True in each.thumbs for each in chosen)
    assert told["down"] == sum(each.thumbs.count(False) for each in chosen)
    assert told["input_tokens"] == 1000 * sum(len(each.models) for each in chosen)
    assert told["priced"] == sum("my-own-model" not in each.models for each in chosen)
    assert {texts[model]: one.calls for model, one in found.models.items()} == calls
    assert {texts[tool]: one.calls for tool, one in found.tools.items()} == tools
    assert {texts[tool]: one.errors for tool, one in found.tools.items() if one.errors} == broken
    assert sum(found.latency.values()) == sum(each.seconds is not None for each in chosen)


@pytest.mark.parametrize("scope", SCOPES)
def test_parts_add_up_to_the_whole(busy: Path, scope: Scope) -> None:
    """Bucket by bucket, the figures are those of one part that is as long as the range."""
    with opened(busy) as insights:
        found = figures(insights, Memory(), scope)
        whole = total([figures_of(insights, Part(scope.start_ns, scope.end_ns, Where.of(insights, scope)))])
    assert found.sums == pytest.approx(whole.sums)
    assert (found.latency, found.ttft, found.tools) == (whole.latency, whole.ttft, whole.tools)
    assert found.models.keys() == whole.models.keys()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_quantiles(busy: Path, share: float) -> None:
    """They are known to 9 % of the exact ones."""
    took = sorted(each.seconds * 1000 for each in ASKED if each.seconds is not None)
    exact = took[math.ceil(share * len(took)) - 1]
    with opened(busy) as insights:
        found = figures(insights, Memory(), EVER).latency_ms(share)
    assert found == pytest.approx(exact, rel=0.0906)


def test_the_course_is_the_whole(busy: Path) -> None:
    """The overview's buckets cover the range, also where nothing happened, and add up to its figures."""
    scope = Scope(BEGAN - ranges.DAY_NS, BEGAN + 2 * ranges.DAY_NS)
    with opened(busy) as insights:
        told = overview(insights, Memory(), scope)
    starts = [each["start"] for each in told["course"]]
    assert starts == [ranges.iso(start) for start, _ in ranges.buckets(scope.start_ns, scope.end_ns)]
    for name in ("traces", "failed", "liked", "disliked", "tokens"):
        assert sum(each[name] for each in told["course"]) == told["now"][name]
    assert told["course"][0]["traces"] == 0


def test_the_period_before(busy: Path) -> None:
    """Is as long, and ends where the range begins."""
    scope = Scope(BEGAN + ranges.DAY_NS, BEGAN + 2 * ranges.DAY_NS, environment="production")
    with opened(busy) as insights:
        told = overview(insights, Memory(), scope)
        assert told["before"] == figures(insights, Memory(), scope.before()).as_json()
    earlier = [each for each in ASKED if each.at < 86400 and each.environment == "production"]
    assert told["before"]["traces"] == len(earlier)


def test_changes() -> None:
    """As a share of what was; of what is not known, or was nothing, none."""
    now: dict[str, Any] = {"more": 3, "less": 1.0, "new": 5, "gone": None, "text": "x", "same": 2}
    before: dict[str, Any] = {"more": 2, "less": 2.0, "new": 0, "gone": 4, "text": "y", "same": 2}
    expected = {"more": 0.5, "less": -0.5, "new": None, "gone": None, "text": None, "same": 0}
    assert changes(now, before) == expected


def asked(home: Path, memory: Memory, scope: Scope = EVER) -> tuple[Figures, int]:
    """The figures, and how many buckets were asked for them."""
    count = 0

    def count_it(statement: str) -> None:
        nonlocal count
        count += "total(t.failed)" in statement

    with opened(home) as insights:
        insights.connection.set_trace_callback(count_it)
        return figures(insights, memory, scope), count


def test_what_has_not_changed_is_not_asked_again(store: Store) -> None:
    """A new trace is there at once, and only the hours that it belongs to are summed up again."""
    write(store, traffic(2, 40))
    memory = Memory()
    before, first = asked(store.path.parent, memory)
    assert first > 5
    assert asked(store.path.parent, memory)[1] == 0
    store.write(record("f", "1", start=2 * 86400 + 5, attributes=chat("hi", "yo")))
    after, second = asked(store.path.parent, memory)
    assert (after["traces"], second) == (before["traces"] + 1, 1)
    store.write(feedback("f", value=False))
    judged, third = asked(store.path.parent, memory)
    assert (judged["down"], third) == (before["down"] + 1, 1)
    assert asked(store.path.parent, memory)[1] == 0


def test_another_condition_is_asked_by_itself(store: Store) -> None:
    """What is remembered of one selection is not told of another."""
    write(store, traffic(3, 40))
    memory = Memory()
    whole, _ = asked(store.path.parent, memory)
    some, count = asked(store.path.parent, memory, replace(EVER, environment="production"))
    assert count > 0
    assert 0 < some["traces"] < whole["traces"]


def test_what_was_deleted_is_gone(store: Store) -> None:
    """Also from what is remembered."""
    store.write(record("a", "1"), record("b", "1", start=5))
    memory = Memory()
    assert asked(store.path.parent, memory)[0]["traces"] == 2
    store.writer.work(lambda connection: connection.execute("DELETE FROM spans WHERE trace_id = ?", ("a" * 32,)))
    assert asked(store.path.parent, memory)[0]["traces"] == 1


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest unused goes first."""
    monkeypatch.setattr("autotrace.insights.parts._MOST_BYTES", 1000)
    memory = Memory()
    for number in range(100):
        memory.put(("key", number), 1, "x" * 100)
        assert memory.get(("key", 0), 1) == ("x" * 100 if number < 9 else memory.get(("key", 0), 1))
    assert memory.get(("key", 99), 1) == "x" * 100
    assert memory.get(("key", 99), 2) is None
    assert memory.get(("key", 1), 1) is None


def test_a_cost_that_nobody_knows_is_not_nothing(store: Store) -> None:
    """Of traces whose price is not known the cost is not known; of no traces it is 0."""
    store.write(record("a", "1", attributes=chat("hi", "yo", "my-own-model")))
    with opened(store.path.parent) as insights:
        told = overview(insights, Memory(), EVER)
    assert (told["now"]["cost_usd"], told["now"]["cost_per_trace_usd"]) == (None, None)
    assert told["models"][0]["cost_usd"] is None
    assert told["before"]["cost_usd"] == 0


def test_comments(store: Store) -> None:
    """The latest come first, with what was asked; feedback without a word is none."""
    store.write(record("a", "1", attributes=chat("how?", "so")), record("b", "1", start=5))
    store.write(feedback("a", "1", False, 7, comment="wrong"), feedback("b", "2", True, 9, comment="fine"))
    store.write(feedback("b", "3", True, 11), feedback("b", "4", 0.5, 1, comment="half"))
    with opened(store.path.parent) as insights:
        told = overview(insights, Memory(), EVER)["comments"]
    assert [(each["comment"], each["value"], each["request"]) for each in told] == [
        ("fine", True, None),
        ("wrong", False, "how?"),
        ("half", 0.5, None),
    ]


def test_a_view_cannot_write(store: Store) -> None:
    """Whatever is asked of it."""
    store.write(record("a", "1"))
    with opened(store.path.parent) as insights, pytest.raises(Exception, match="readonly"):
        insights.rows("DELETE FROM traces")
