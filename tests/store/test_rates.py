"""Costs of very many spans are those of the price list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.store import prices, rates
from autotrace.store.rates import Rates
from autotrace.store.spans import Span, Tokens

#: With prices by tier, by the hour, without one for the cache, unknown, and not sold by whom it says.
MODELS = [
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-5"),
    ("openai", "o3"),
    ("openai", "text-embedding-3-small"),
    ("openai", "gpt-oss-120b"),
    ("anthropic", "claude-sonnet-4-20250514"),
    ("anthropic", "claude-3-5-haiku-latest"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("google", "gemini-2.5-pro"),
    ("google", "gemini-2.5-flash"),
    ("deepseek", "deepseek-chat"),
    ("mistral", "mistral-large-latest"),
    ("x-ai", "grok-4"),
    ("groq", "llama-3.3-70b-versatile"),
    ("openai", "my-own-model"),
    ("nobody", "nothing"),
    ("", "gpt-4o"),
    ("openai", ""),
]
RATES = Rates()
COUNTS = st.one_of(st.none(), st.integers(-5, 300), st.integers(0, 2_000_000), st.sampled_from([128_000, 200_000]))


def span(provider: str, model: str, tokens: Tokens, **changed: Any) -> Span:
    """A call of a model."""
    row = (1, "a" * 32, "1" * 16, None, True, "chat", "chat", "ok", 1_780_000_000 * 10**9, None)
    called = (provider or None, model or None, None, None, *[None] * 11)
    return replace(Span.from_row((*row, *called)), tokens=tokens, **changed)


def same(found: float | None, expected: float | None) -> bool:
    """Whether two costs are one, to a billionth."""
    if found is None or expected is None:
        return found is expected
    return found == pytest.approx(expected, rel=1e-9, abs=1e-18)


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.builds(Tokens, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    st.integers(0, 200_000),
    st.sampled_from(["chat", "embeddings", "execute_tool", None]),
    st.sampled_from(["ok", "error"]),
)
def test_as_the_price_list(
    model: tuple[str, str], tokens: Tokens, hours: int, operation: str | None, status: str
) -> None:
    """Whatever the model, the hour and the usage, also one that contradicts itself."""
    call = span(*model, tokens, start_ns=hours * 3600 * 10**9 * 3, operation=operation, status=status)
    assert same(RATES.cost_usd(call), prices.cost_usd(call))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [1, 50_000, 99_999, 100_001, 128_001, 199_999, 200_000, 200_001, 272_001, 3_000_000])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_at_steps_of_the_price(model: tuple[str, str], size: int, share: float) -> None:
    """Where much costs more a token than little does."""
    call = span(*model, Tokens(size, 1000, int(size * share), 0))
    assert same(RATES.cost_usd(call), prices.cost_usd(call))


def test_the_sum_is_unknown_where_one_is() -> None:
    """As that of the price list."""
    known, unknown = (span("openai", model, Tokens(10, 10)) for model in ("gpt-4o", "my-own-model"))
    assert Rates().total_usd([known, unknown]) is None
    assert same(Rates().total_usd([known, known]), prices.total_usd([known, known]))
    assert Rates().total_usd([]) == 0


def test_the_list_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a model of one price, however many calls there are."""
    asked = 0
    real = prices.parts_usd

    def counting(*values: Any) -> Any:
        nonlocal asked
        asked += 1
        return real(*values)

    monkeypatch.setattr(prices, "parts_usd", counting)
    monkeypatch.setattr(prices, "cost_usd", None)
    known = Rates()
    for number in range(100):
        assert known.cost_usd(span("openai", "gpt-4o-mini", Tokens(1000 + number, 5))) is not None
    assert asked == len(rates._SIZES) * len(rates._MIXTURES)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of models that nobody has heard of do not fill it."""
    monkeypatch.setattr(rates, "_MOST", 5)
    known = Rates()
    for number in range(20):
        assert known.cost_usd(span("openai", f"model {number}", Tokens(1, 1))) is None
        assert len(known._known) <= 5
    assert same(
        known.cost_usd(span("openai", "gpt-4o", Tokens(9, 9))), prices.cost_usd(span("openai", "gpt-4o", Tokens(9, 9)))
    )
