"""What is kept of one trace."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.insights.facts import Facts, facts
from autotrace.insights.opening import opened
from autotrace.insights.overview import overview
from autotrace.insights.parts import Memory
from autotrace.insights.schema import members
from autotrace.insights.scope import Scope
from autotrace.insights.source import Source
from autotrace.store.feedback import Said
from autotrace.store.spans import Payload, Span
from tests.store.conftest import BEGAN, SECOND, Store, chat, feedback, record, update


def of(store: Store, trace: str = "a") -> Facts:
    """The facts of a trace, as the follower works them out."""
    with Source(store.path) as source:
        (found,) = source.found([trace * 32])
    return facts(found.spans, found.payloads, found.said, found.feedback)


def span(number: int = 1, **changed: Any) -> Span:
    """A span as the store gives it: a call of a model that took a second."""
    row = (number, "a" * 32, f"{number:016x}", None, number == 1, "ask", "chat", "ok", BEGAN, BEGAN + SECOND)
    called = ("openai", "gpt-4o-mini", None, None, *[None] * 11)
    return replace(Span.from_row((*row, *called)), **changed)


@pytest.mark.parametrize(
    ("body", "status", "failed"),
    [
        ({}, "ok", 0),
        ({"status": "error"}, "error", 1),
        ({"kind": "I", "seconds": None}, "interrupted", 1),
        ({"kind": "S"}, "running", 0),
        ({"attributes": {"autotrace.outcome": "closed"}}, "closed", 0),
    ],
)
def test_status(store: Store, body: dict[str, Any], status: str, failed: int) -> None:
    """A trace is as its root is; an error and an interrupted run have failed, and nothing else has."""
    store.write(record("a", "1", **body))
    found = of(store)
    assert (found.names["status"], found.values["failed"]) == (status, failed)


def test_an_error_inside_is_counted_and_fails_nothing(store: Store) -> None:
    """What the program caught is an error of the trace; the trace did not fail, and the error is told."""
    failing = {"error.type": "ValueError"}
    store.write(record("a", "1"), record("a", "2", "1", status="error", message="no", attributes=failing))
    found = of(store)
    assert (found.values["failed"], found.values["errors"]) == (0, 1)
    assert found.texts[2] == "ValueError: no"
    assert members(found.names["error_types"] or "") == ["ValueError"]


def test_times(store: Store) -> None:
    """The duration is the root's; the first token is that of the first call of a model that tells of one."""
    told = {"gen_ai.response.time_to_first_chunk": 0.25}
    store.write(
        record("a", "1", seconds=3),
        record("a", "2", "1", 0, attributes=chat("hi", "yo")),
        record("a", "3", "1", 1, attributes=chat("hi", "yo") | told),
    )
    found = of(store)
    assert (found.start_ns, found.values["duration_ns"], found.values["ttft_ns"]) == (BEGAN, 3 * SECOND, SECOND // 4)


def test_what_has_not_ended_has_no_duration(store: Store) -> None:
    """And is in no bucket."""
    store.write(record("a", "1", kind="S"))
    assert (of(store).values["duration_ns"], of(store).values["latency"]) == (None, None)


def test_an_end_before_the_beginning_is_no_negative_duration() -> None:
    """Clocks are set back."""
    found = facts([span(end_ns=BEGAN - 5)], {}, Said(), [])
    assert (found.values["duration_ns"], found.values["latency"]) == (0, 0)


def test_tokens_and_costs(store: Store) -> None:
    """They are sums over the trace, and by model."""
    store.write(
        record("a", "1"),
        record("a", "2", "1", attributes=chat("hi", "yo") | {"gen_ai.usage.cache_read.input_tokens": 500}),
        record("a", "3", "1", attributes=chat("hi", "yo", "gpt-4o"), status="error"),
        record("a", "4", "1", attributes=chat("hi", "yo", "gpt-4o")),
    )
    found = of(store)
    figures = ("model_calls", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
    assert [found.values[name] for name in figures] == [3, 3000, 300, 500, None]
    assert (found.usage["gpt-4o"].calls, found.usage["gpt-4o"].errors) == (2, 1)
    costs = [usage.cost_usd or 0 for usage in found.usage.values()]
    assert len(costs) == 2
    assert min(costs) > 0
    assert found.values["cost_usd"] == pytest.approx(sum(costs))


def test_an_unknown_price_is_never_nothing(store: Store) -> None:
    """Where the price of one call is not known, that of its model and of the trace is not either."""
    store.write(
        record("a", "1"),
        record("a", "2", "1", attributes=chat("hi", "yo", "my-own-model")),
        record("a", "3", "1", attributes=chat("hi", "yo")),
    )
    found = of(store)
    assert found.values["cost_usd"] is None
    assert found.usage["my-own-model"].cost_usd is None
    assert (found.usage["gpt-4o-mini"].cost_usd or 0) > 0


def test_nothing_to_bill_costs_nothing(store: Store) -> None:
    """A trace without calls of models cost 0, and tells no tokens."""
    store.write(record("a", "1"))
    assert (of(store).values["cost_usd"], of(store).values["input_tokens"]) == (0, None)


def test_tool_calls(store: Store) -> None:
    """They are counted by tool and bucket of latency, with those that failed."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    unnamed = {"gen_ai.operation.name": "execute_tool"}
    store.write(
        record("a", "1"),
        record("a", "2", "1", seconds=1, attributes=tool),
        record("a", "3", "1", seconds=1, attributes=tool, status="error"),
        record("a", "4", "1", seconds=9, attributes=tool),
        record("a", "5", "1", attributes=unnamed, name="execute_tool fetch"),
    )
    found = of(store)
    calls = {(tool, each) for (tool, _), each in found.tool_calls.items()}
    assert calls == {("search", (2, 1, 2 * SECOND)), ("search", (1, 0, 9 * SECOND)), ("fetch", (1, 0, SECOND))}
    assert members(found.names["tools"] or "") == ["fetch", "search"]
    assert (found.values["tool_calls"], found.values["model_calls"]) == (4, 0)


def test_sets_are_sorted_and_without_the_mark_between_them() -> None:
    """A name cannot pretend to be two."""
    spans = [span(1, model="b"), span(2, model="a\x1fz"), span(3, model="b")]
    assert members(facts(spans, {}, Said(), []).names["models"] or "") == ["a z", "b"]


def test_tags_and_feedback(store: Store) -> None:
    """Tags said later are there; a value that is no text is JSON; thumbs count, other feedback does not."""
    store.write(record("a", "1"), update("a", tags={"plan": "pro", "seats": 3, "who": ["x"]}))
    store.write(feedback("a", "1", True), feedback("a", "2", False), feedback("a", "3", 0.5))
    found = of(store)
    assert sorted(found.tags) == ["plan=pro", "seats=3", 'who=["x"]']
    assert json.loads(found.texts[3] or "") == {"plan": "pro", "seats": 3, "who": ["x"]}
    assert (found.values["up"], found.values["down"], len(found.feedback)) == (1, 1, 3)


def test_many_tags_and_long_ones_are_cut() -> None:
    """Half a hundred tags are kept, each as long as a name; a text of all of them only where it is short."""
    said = Said(tags={f"key{number}": "x" * 1000 for number in range(200)})
    found = facts([span()], {}, said, [])
    assert len(found.tags) == 50
    assert max(map(len, found.tags)) <= 300
    assert found.texts[3] is None


def test_texts_are_cut(store: Store) -> None:
    """Of a question, an answer and an error the beginning is kept."""
    said = chat("q" * 10_000, "a" * 10_000)
    store.write(record("a", "1", attributes=said, status="error", message="m" * 10_000))
    assert [len(text or "") for text in of(store).texts[:3]] == [500, 500, 300]


def test_a_very_long_trace(store: Store) -> None:
    """Three thousand spans are all in the figures, also those whose content is not read."""
    records = [record("a", "1", seconds=9)]
    for number in range(3000):
        each = record("a", "2", "1", 0, 0.001, attributes=chat("hi", "yo"))
        records.append(replace(each, span_id=f"{number + 1:016x}"))
    store.write(*records)
    values = of(store).values
    assert (values["spans"], values["model_calls"], values["input_tokens"]) == (3001, 3000, 3_000_000)
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT spans, input_tokens FROM traces") == [(3001, 3_000_000)]


@pytest.mark.parametrize("deep", [200, 900, 1020])
@pytest.mark.parametrize("place", ["name", "type", "content", "role", "arguments", "id"])
def test_what_is_nested_deeply_harms_nothing(store: Store, place: str, deep: int) -> None:
    """Lists in lists in lists where a text belongs are no reason to fail."""
    nested = "[" * deep + "]" * deep
    role = nested if place == "role" else '"assistant"'
    part = {"type": '"tool_call"', "name": '"x"', place: nested}
    text = f'[{{"role": {role}, "parts": [{{{", ".join(f"{json.dumps(key)}: {part[key]}" for key in part)}}}]}}]'
    store.write(record("a", "1", attributes={**chat("hi"), "gen_ai.output.messages": text}))
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT spans FROM traces") == [(1,)]


@pytest.mark.parametrize("place", ["name", "type", "content", "role", "arguments"])
def test_half_characters_harm_nothing(store: Store, place: str) -> None:
    """A lone surrogate, which JSON can tell and UTF-8 cannot, does not keep a trace from being there."""
    part = {"type": "tool_call", "name": "x", "arguments": "{}", place: "\ud800"}
    messages = json.dumps([{"role": "\ud800" if place == "role" else "assistant", "parts": [part]}])
    store.write(record("a", "1", attributes={**chat("hi"), "gen_ai.output.messages": messages}))
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT spans FROM traces") == [(1,)]


def test_absurd_figures_harm_nothing(store: Store) -> None:
    """More tokens than there are, and a clock of 1970, keep no other trace from being told of."""
    told = chat("hi", "yo") | {"gen_ai.usage.input_tokens": 2**62, "gen_ai.usage.output_tokens": -(2**62)}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    for trace in "abcd":
        calls = [record(trace, str(number), "1", attributes=told) for number in range(2, 6)]
        tools = [record(trace, str(number), "1", -1_700_000_000, 2e9, attributes=tool) for number in range(6, 10)]
        store.write(record(trace, "1"), *calls, *tools)
    with opened(store.path.parent) as insights:
        now = overview(insights, Memory(), Scope(0, 2**63 - 1))["now"]
    assert (now["traces"], now["model_calls"], now["tool_calls"], now["output_tokens"]) == (4, 16, 16, 0)
    assert now["input_tokens"] > 2**40


KEYS = st.sampled_from(
    [
        *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "input.value"),
        *("output.value", "gen_ai.response.finish_reasons", "gen_ai.tool.name", "gen_ai.tool.call.arguments"),
        *("autotrace.tags", "autotrace.trace.name", "error.type"),
    ]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
WORDS = st.sampled_from(["role", "parts", "type", "content", "name", "arguments", "text", "tool_call", "assistant"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(WORDS, st.text(max_size=4)), inner, max_size=4)
    ),
    max_leaves=12,
)
ATTRIBUTES = st.dictionaries(
    st.one_of(KEYS, st.text(max_size=10)), st.one_of(VALUES, VALUES.map(json.dumps)), max_size=6
)
EVENTS = st.lists(
    st.dictionaries(st.sampled_from(["name", "attributes", "time"]), st.one_of(VALUES, st.just("retry")), max_size=3),
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(
    ATTRIBUTES, EVENTS, st.sampled_from(["chat", "execute_tool", "retrieval", None]), st.sampled_from(["ok", "error"])
)
def test_whatever_a_program_recorded(
    attributes: dict[str, Any], events: list[dict[str, Any]], operation: str | None, status: str
) -> None:
    """Attributes of any shape make facts, all of which UTF-8 can tell."""
    content = Payload(attributes=attributes, events=tuple(events))
    found = facts([span(operation=operation, status=status)], {1: content}, Said(), [])
    texts = [*found.names.values(), *found.texts, *found.tags, *found.usage, *(tool for tool, _ in found.tool_calls)]
    for text in texts:
        (text or "").encode()
