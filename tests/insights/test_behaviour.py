"""What users ask, and how agents go about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotrace.insights import ranges
from autotrace.insights.behaviour import behaviour
from autotrace.insights.opening import opened
from autotrace.insights.parts import Memory
from autotrace.insights.scope import Scope
from tests.store.conftest import BEGAN, Store, chat, feedback, record

from .traffic import traffic, write

DAY = Scope(BEGAN // ranges.DAY_NS * ranges.DAY_NS, BEGAN // ranges.DAY_NS * ranges.DAY_NS + 2 * ranges.DAY_NS)
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": "{}"}


def told(store: Store, scope: Scope = DAY, limit: int = 60) -> dict[str, Any]:
    """What the page tells."""
    with opened(store.path.parent) as insights:
        return behaviour(insights, Memory(), scope, limit)


def ask(store: Store, number: int, question: str, start: float, model: str = "gpt-4o", **body: Any) -> str:
    """Writes a trace that asks something; its id."""
    trace_id = f"{number + 1:032x}"
    store.write(
        replace(record("a", "1", None, start, attributes=chat(question, "so", model), **body), trace_id=trace_id)
    )
    return trace_id


def judge(store: Store, trace_id: str, value: bool) -> None:
    """Gives a trace a thumb."""
    store.write(
        replace(feedback("a", value=value), trace_id=trace_id, body={**feedback().body, "id": trace_id, "value": value})
    )


def test_groups_of_questions(store: Store) -> None:
    """Alike are one group, the most frequent first: how many, what they cost, how they went, how they were liked."""
    pytest.importorskip("rapidfuzz")
    for number in range(4):
        trace_id = ask(
            store, number, f"Where is my order {number + 1000}?", number, status="error" if number == 0 else "ok"
        )
        if number < 3:
            judge(store, trace_id, number == 0)
    ask(store, 10, "Cancel the subscription", 5)
    store.write(record("f", "1"))
    found = told(store)
    assert (found["traces"], found["ungrouped"], found["questions_left"]) == (6, 1, 0)
    first, second = found["questions"]
    assert first["question"].startswith("Where is my order")
    names = ("traces", "failed", "liked", "disliked", "error_rate")
    assert [first[name] for name in names] == [4, 1, 1, 2, 0.25]
    assert first["dislike_rate"] == pytest.approx(2 / 3)
    assert second["dislike_rate"] is None
    assert sum(first["course"]) == 4
    assert len(first["course"]) == len(list(ranges.buckets(DAY.start_ns, DAY.end_ns)))
    assert found["groups_questions"]
    assert told(store, limit=1)["questions_left"] == 1


def test_costs_and_durations_are_of_those_that_have_them(store: Store) -> None:
    """An unknown price and a run that has not ended do not make the mean smaller; of none nothing is known."""
    ask(store, 0, "how much?", 0, seconds=4)
    ask(store, 1, "how much?", 1, "my-own-model")
    store.write(record("a", "1", start=3, kind="S"))
    (path,) = told(store)["paths"]
    assert path["traces"] == 3
    assert path["duration_ms"] == 2500
    # Two of them cost something that is known: a call, and nothing at all.
    assert path["cost_per_trace_usd"] == pytest.approx(path["cost_usd"] / 2)
    only = told(store, replace(DAY, model="my-own-model"))["paths"][0]
    assert (only["cost_usd"], only["cost_per_trace_usd"]) == (None, None)


@pytest.mark.parametrize(("earlier", "later", "trend"), [(10, 15, 0.5), (10, 5, -0.5), (4, 40, None), (5, 0, -1)])
def test_trend(store: Store, earlier: int, later: int, trend: float | None) -> None:
    """The later half of the range against the earlier one; few in the earlier say nothing."""
    scope = Scope(BEGAN // ranges.DAY_NS * ranges.DAY_NS - ranges.DAY_NS, DAY.end_ns - ranges.DAY_NS)
    for number in range(earlier):
        ask(store, number, "how?", -86400 + number)
    for number in range(later):
        ask(store, 1000 + number, "how?", number)
    (path,) = told(store, scope)["paths"]
    assert path["trend"] == trend


def test_paths_and_how_they_end(store: Store) -> None:
    """With loops pointed out, and the traces that call the same again and again, the worst first."""
    for trace, calls in (("a", 4), ("b", 2), ("c", 1)):
        store.write(record(trace, "1", attributes={"user.id": trace}, status="error" if trace == "a" else "ok"))
        for number in range(calls):
            tool = TOOL | {"gen_ai.tool.name": "search"}
            store.write(record(trace, str(number + 2), "1", number, attributes=tool))
    found = told(store)
    paths = {each["path"]: each for each in found["paths"]}
    assert paths.keys() == {"search ×4", "search ×2", "search"}
    assert (paths["search ×4"]["error_rate"], paths["search ×4"]["repeating"]) == (1, 1)
    assert (paths["search"]["error_rate"], paths["search"]["repeating"]) == (0, 0)
    assert [(each["trace_id"][0], each["repeats"], each["failed"]) for each in found["repeating"]] == [
        ("a", 3, True),
        ("b", 1, False),
    ]


def test_sums_are_those_of_the_whole(store: Store) -> None:
    """Every trace of a selection is on one path."""
    asked = traffic(4, 120)
    write(store, asked)
    scope = Scope(BEGAN, BEGAN + 3 * ranges.DAY_NS, environment="production")
    found = told(store, scope)
    chosen = [each for each in asked if each.environment == "production"]
    assert found["traces"] == len(chosen) == sum(path["traces"] for path in found["paths"])
    assert sum(path["failed"] for path in found["paths"]) == sum(
        each.is_failed and each.seconds is not None for each in chosen
    )
    assert told(store, scope, limit=2)["paths_left"] == len(found["paths"]) - 2


def test_nothing(store: Store) -> None:
    """Of no traces nothing is told."""
    store.write(record("a", "1"))
    found = told(store, replace(DAY, user="nobody"))
    assert (found["traces"], found["questions"], found["paths"], found["repeating"]) == (0, [], [], [])
