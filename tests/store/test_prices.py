"""What a trace cost: known, or unknown, and never 0 for unknown."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from autotrace.store.prices import cost_usd, total_usd
from autotrace.store.spans import Span, Tokens

from ..conftest import Interpreter

CHAT = Span(
    id=1,
    trace_id="a" * 32,
    span_id="1" * 16,
    parent_id=None,
    root=True,
    name="chat",
    operation="chat",
    status="ok",
    start_ns=1_780_000_000 * 10**9,
    end_ns=1_780_000_001 * 10**9,
    provider="openai",
    model="gpt-4o-mini-2024-07-18",
    framework="openai",
    error_type=None,
    tokens=Tokens(1_000_000, 100_000),
    ttft_ns=None,
    session=None,
    user=None,
    environment=None,
    service=None,
    release=None,
)


@pytest.mark.parametrize(
    ("tokens", "usd"),
    [
        (Tokens(1_000_000, 100_000), 0.15 + 0.06),
        (Tokens(1_000_000, 100_000, cache_read=500_000), 0.075 + 0.0375 + 0.06),
        (Tokens(1_000_000, 100_000, cache_read=0, cache_write=0), 0.15 + 0.06),
        (Tokens(1_000_000, 100_000, reasoning=50_000), 0.15 + 0.06),
        (Tokens(1_000_000, None), 0.15),
        (Tokens(0, 0), 0),
    ],
)
def test_list_price(tokens: Tokens, usd: float) -> None:
    """Input includes what the cache gave, at the cache's price; output includes reasoning."""
    assert cost_usd(replace(CHAT, tokens=tokens)) == pytest.approx(usd)


def test_cache_writes() -> None:
    """What was written to the cache has its own price, where the provider takes one."""
    tokens = Tokens(100_000, 0, cache_write=100_000)
    assert cost_usd(replace(CHAT, provider="anthropic", model="claude-3-5-haiku-20241022", tokens=tokens)) == 0.1


@pytest.mark.parametrize(
    "unknown",
    [
        {"model": "llama3.2"},
        {"model": None},
        {"provider": "ollama"},
        {"provider": None},
        {"model": "gpt-oss-20b"},
        {"model": "whisper-1"},
        {"tokens": Tokens(10, 5, cache_read=20)},
        {"tokens": Tokens()},
        {"tokens": Tokens(-5, 3)},
        {"tokens": Tokens(), "status": "closed"},
        {"tokens": Tokens(), "status": "error", "ttft_ns": 10},
        {"model": "\ud800\x00", "provider": "openai"},
    ],
)
def test_unknown(unknown: dict[str, object]) -> None:
    """No price, no provider, no usage, or figures that contradict each other: unknown."""
    span = replace(CHAT, **unknown)  # type: ignore[arg-type]
    assert cost_usd(span) is None
    assert total_usd([CHAT, span]) is None


@pytest.mark.parametrize(
    "free",
    [
        {"operation": "execute_tool", "model": None},
        {"operation": "invoke_agent"},
        {"operation": "fetch_response"},
        {"operation": "moderation", "model": "omni-moderation-latest"},
        {"operation": None, "model": None, "provider": None},
        {"status": "error"},
    ],
)
def test_not_billed(free: dict[str, object]) -> None:
    """What nobody bills costs nothing: tools, agents, repeated replies, refused requests."""
    span = replace(CHAT, tokens=Tokens(), **free)  # type: ignore[arg-type]
    assert cost_usd(span) == 0
    assert total_usd([CHAT, span]) == cost_usd(CHAT)


def test_no_network() -> None:
    """Prices come from what is installed: no connection, no thread."""
    program = """
import sys, threading
def refuse(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"network: {event}")
sys.addaudithook(refuse)
from genai_prices import Usage, calc_price
from autotrace.store import prices
from autotrace.store.spans import Span, Tokens
row = (1, "a", "b", None, 1, "n", "chat", "ok", 1, 2, "openai", "gpt-4o", None, None, 5, 5, *[None] * 9)
assert prices.cost_usd(Span.from_row(row)) > 0
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_loaded_only_when_needed() -> None:
    """The price list is not imported before a span has a price."""
    program = "import sys, autotrace.store.reader; assert 'genai_prices' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_no_http_client_is_imported(python: Interpreter) -> None:
    """Nor is the network asked: where the program traced has no HTTP client it gets none, whole or half imported.

    What genai-prices has for fetching is there for whoever asks for it.
    """
    found = python.json(
        """
        import json, sys
        from autotrace.store.prices import parts_usd
        from autotrace.store.spans import Tokens

        cost = parts_usd("openai", "gpt-4o-mini", Tokens(1000, 100), 1_760_000_000_000_000_000)
        clients = [name for name in ("httpx", "httpx2", "requests", "urllib3", "aiohttp") if name in sys.modules]
        import genai_prices
        try:
            genai_prices.nothing
        except AttributeError as error:
            told = str(error)
        from genai_prices import *
        import genai_prices.update_prices as fetching
        is_same = UpdatePrices is fetching.UpdatePrices is genai_prices.UpdatePrices
        print(json.dumps([cost is not None, clients, told, is_same, UpdatePrices.__name__]))
        """
    )
    assert found == [True, [], "module 'genai_prices' has no attribute 'nothing'", True, "UpdatePrices"]


def test_a_program_that_has_the_price_list(python: Interpreter) -> None:
    """It keeps the one that it has imported."""
    found = python.json(
        """
        import json, genai_prices
        before = dict(vars(genai_prices))
        from autotrace.store.price_list import price_list
        print(json.dumps([price_list() is genai_prices, dict(vars(genai_prices)) == before]))
        """
    )
    assert found == [True, True]
