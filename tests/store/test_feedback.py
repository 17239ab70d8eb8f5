"""Feedback, and what is said of a trace after its spans have ended."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from autotrace.delivery.destinations import Record

from .conftest import Store, chat, feedback, record, update


def test_feedback_is_shown(store: Store) -> None:
    """A trace has its feedback, earliest first, with every field."""
    store.write(record(attributes=chat("hello?")))
    store.write(feedback(id_="2", time=9, value={"a": [1]}, type="expectation", metadata={"k": "v"}))
    given = feedback(id_="1", time=7, value=0.5, comment="so so", source_type="llm_judge", source="judge")
    store.write(Record("F", given.trace_id, "1" * 16, given.body))
    assert store.only()["feedback"] == [
        {
            "id": "1" * 32,
            "span_id": "1" * 16,
            "type": "feedback",
            "name": "thumbs",
            "value": 0.5,
            "comment": "so so",
            "source_type": "llm_judge",
            "source": "judge",
            "time": "2026-05-28T20:26:47.000000Z",
            "metadata": {},
        },
        {
            "id": "2" * 32,
            "span_id": None,
            "type": "expectation",
            "name": "thumbs",
            "value": {"a": [1]},
            "comment": None,
            "source_type": "human",
            "source": "ann",
            "time": "2026-05-28T20:26:49.000000Z",
            "metadata": {"k": "v"},
        },
    ]
    assert store.show("a")["feedback"] == store.only()["feedback"]


@pytest.mark.parametrize(
    ("value", "number"), [(True, 1.0), (False, 0.0), (3, 3.0), (0.25, 0.25), ("good", None), ([1], None), (None, None)]
)
def test_numbers_can_be_averaged(store: Store, value: Any, number: float | None) -> None:
    """What is a number, or true or false, has one in a column of its own."""
    store.write(feedback(value=value))
    assert store.query("SELECT number FROM feedback") == [(number,)]


@pytest.mark.parametrize("order", list(permutations((3, 5, 9))))
def test_the_latest_of_one_id_counts(store: Store, order: tuple[int, ...]) -> None:
    """Of feedback with one id the latest counts, in whichever order it comes, and however often."""
    store.write(record())
    for time in order * 2:
        store.write(feedback(time=time, value=time))
    assert [each["value"] for each in store.only()["feedback"]] == [9]


@pytest.mark.parametrize("damage", [{"id": 7}, {"time": "now"}, {"name": None}, {"metadata": 7}, {"time": 2**70}])
def test_damaged_feedback_is_counted(store: Store, damage: dict[str, Any]) -> None:
    """What is no feedback is left out and counted; what comes with it is stored."""
    whole = feedback()
    store.write(Record("F", whole.trace_id, whole.span_id, {**whole.body, **damage}), record(), feedback(id_="2"))
    assert [each["id"][0] for each in store.only()["feedback"]] == ["2"]
    assert store.writer.rejected == 1


def test_updates_before_the_trace(store: Store) -> None:
    """Name, session, user and tags that are said before the trace is there hold for it."""
    store.write(update(name="checkout", session="s2", user="u2", tags={"plan": "pro"}))
    assert store.traces() == []
    store.write(record(attributes={"session.id": "s1", "user.id": "u1", "autotrace.tags": '{"plan": "free", "x": 1}'}))
    found = store.only()
    assert [found[name] for name in ("name", "session", "user")] == ["checkout", "s2", "u2"]
    assert found["tags"] == {"plan": "pro", "x": 1}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_later_word_counts(store: Store, order: tuple[int, ...]) -> None:
    """Of several updates the later word counts, for each field and tag by itself; what is null says nothing."""
    said = [
        update(time=1, name="first", session="s", tags={"a": 1, "b": 1}),
        update(time=2, tags={"b": 2}),
        update(time=3, name="third", tags={"c": 3}),
    ]
    store.write(record())
    for number in order * 2:
        store.write(said[number])
    found = store.only()
    assert (found["name"], found["session"], found["tags"]) == ("third", "s", {"a": 1, "b": 2, "c": 3})
    assert store.query("SELECT count(*) FROM updates") == [(3,)]


def test_traces_of_a_session_that_was_said_later(store: Store) -> None:
    """A trace belongs to the session that was said of it last."""
    store.write(record("a", attributes={"session.id": "one"}), record("b", start=1, attributes={"session.id": "one"}))
    store.write(update("b", session="two", time=2), update("b", session="three", time=3), update("b", time=4))
    found = {name: [trace["trace_id"][0] for trace in store.traces(session=name)] for name in ("one", "two", "three")}
    assert found == {"one": ["a"], "two": [], "three": ["b"]}


def test_damaged_update_is_counted(store: Store) -> None:
    """What is no update is left out and counted."""
    broken = update()
    store.write(Record("U", broken.trace_id, broken.span_id, {"tags": {}}), record())
    assert store.only()["tags"] == {}
    assert store.writer.rejected == 1


def test_entries_are_what_was_journalled(store: Store) -> None:
    """A trace is given back as the records that it came as, by process."""
    spans = [
        record("a", "1", name="named", status="ok", attributes=chat("q", "a", **{"autotrace.trace.name": "other"})),
        record("a", "2", parent="1", start=1, status="error", message="no", events=[{"name": "e", "time": 1}]),
        record("a", "3", kind="I", start=2),
        record("a", "4", kind="S", start=3, links=[{"trace_id": "f" * 32, "span_id": "e" * 16, "attributes": {}}]),
    ]
    said = [update(tags={"a": [1, None]}), feedback(value=[1])]
    store.write(*said, *spans[:2])
    store.writer.write(spans[2:], {"service.name": "other"})
    from autotrace.store.reader import Reader

    with Reader(store.path) as reader:
        first, second = reader.records("a" * 32)
        assert reader.records("b" * 32) == []
    assert first.resource == {"service.name": "shop", "deployment.environment.name": "production"}
    assert [Record(*entry) for entry in first.entries] == [*spans[:2], *said]
    assert second.resource == {"service.name": "other"}
    assert [Record(*entry) for entry in second.entries] == spans[2:]
