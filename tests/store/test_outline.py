"""One trace read a piece at a time tells what reading all of it tells."""

from __future__ import annotations

from typing import Any

import pytest

from autotrace.delivery.destinations import Record
from autotrace.store import prices
from autotrace.store.outline import TraceReader
from autotrace.store.visible import visible


def make(store: Any, model: str, inputs: list[int]) -> None:
    """Stores a trace of one call for each number of input tokens."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "google" if "gemini" in model else "openai",
        "gen_ai.request.model": model,
        "gen_ai.usage.output_tokens": 10,
    }
    store.write(
        *(
            Record(
                "E",
                "a" * 32,
                f"{number + 1:016x}",
                {
                    "parent_id": None,
                    "root": number == 0,
                    "name": "call",
                    "kind": "client",
                    "start": 1_780_000_000 * 10**9 + number,
                    "end": 1_780_000_001 * 10**9,
                    "status": "unset",
                    "message": None,
                    "scope": "autotrace",
                    "scope_version": "1",
                    "attributes": {**attributes, "gen_ai.usage.input_tokens": count},
                    "events": [],
                    "links": [],
                },
            )
            for number, count in enumerate(inputs)
        )
    )


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("gpt-4o-mini", [5, 5, 7]),
        ("gpt-4o-mini", list(range(1200))),
        # From 200,000 tokens on each costs more: such bills cannot be joined.
        ("gemini-2.5-pro", [*range(1200), 300_000]),
    ],
)
def test_cost_is_the_sum_over_the_spans(store: Any, model: str, inputs: list[int]) -> None:
    """Whether spans cost the same or all differ, whether tokens cost the same or not."""
    make(store, model, inputs)
    with TraceReader(store.path) as reader:
        outline, trace = reader.outline("a" * 32), reader.trace("a" * 32)
    assert outline is not None
    assert trace is not None
    assert outline.cost_usd == pytest.approx(prices.total_usd(trace.spans))
    assert outline.tokens.input == trace.summary.input_tokens == sum(inputs)


def test_an_unknown_price_makes_the_sum_unknown(store: Any) -> None:
    """Unknown is never 0, however many there are."""
    make(store, "no-such-model", list(range(1200)))
    with TraceReader(store.path) as reader:
        outline = reader.outline("a" * 32)
    assert outline is not None
    assert outline.cost_usd is None


def test_there_is_no_outline_of_nothing(store: Any) -> None:
    """Unknown ids have none."""
    make(store, "gpt-4o-mini", [1])
    with TraceReader(store.path) as reader:
        assert reader.outline("b" * 32) is None


def test_what_could_act_is_made_visible() -> None:
    """Controls, marks of direction and surrogates become escapes; newlines, tabs and joiners stay."""
    assert visible("a\n\t\u200d\x1b\u202e\ud800\U000e0001") == "a\n\t\u200d\\x1b\\u202e\\ud800\\U000e0001"
