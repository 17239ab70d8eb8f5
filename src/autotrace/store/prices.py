"""What a model span cost in USD, by the price list of genai-prices that is installed: no network is used.

Computed when a trace is read, never while a program runs. List prices of the standard service tier at the
time of the call. Unknown is None and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from .price_list import price_list
from .spans import Span, Tokens, moment

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, PriceCalculation

#: What may name a model and is not billed itself, unless it carries tokens.
UNBILLED = frozenset(
    {
        None,
        "count_tokens",
        "create_agent",
        "execute_tool",
        "fetch_response",
        "invoke_agent",
        "invoke_workflow",
        "moderation",
        "retrieval",
    }
)


def cost_usd(span: Span) -> float | None:
    """The cost of one span in USD: 0 for what nobody bills, None where the price or the usage is unknown."""
    return total_usd((span,))


def total_usd(spans: Iterable[Span]) -> float | None:
    """The cost of all spans in USD, or None if that of any is unknown."""
    sum_usd = Decimal(0)
    for span in spans:
        if not _is_billed(span):
            continue
        price = _price(span) if _has_usage(span) else None
        if price is None:
            return None
        sum_usd += price
    return float(sum_usd)


def _is_billed(span: Span) -> bool:
    if _has_usage(span):
        return True
    if span.operation in UNBILLED or not (span.model or span.provider):
        return False
    # A request that failed before the first chunk was refused; nobody bills that.
    return not (span.status == "error" and span.ttft_ns is None)


def _has_usage(span: Span) -> bool:
    return span.tokens.input is not None or span.tokens.output is not None


def parts_usd(provider: str, model: str, tokens: Tokens, start_ns: int) -> tuple[float, float, float] | None:
    """What the input, the output and both together cost in USD, or None where the price is not known.

    Args:
        provider: As the span names it.
        model: The model that answered.
        tokens: What was used.
        start_ns: When, in nanoseconds since 1970: prices change.
    """
    found = _calculation(provider, model, tokens, start_ns)
    if found is None:
        return None
    return float(found.input_price), float(found.output_price), float(found.total_price)


def varies(provider: str, model: str) -> bool:
    """Whether the list has several prices of a model, by the day or the hour."""
    found = _calculation(provider, model, Tokens(1, 0), 0)
    return found is not None and isinstance(found.model.prices, list)


def _price(span: Span) -> Decimal | None:
    if not span.provider or not span.model:
        return None
    found = _calculation(span.provider, span.model, span.tokens, span.start_ns)
    return None if found is None else found.total_price


def _calculation(provider: str, model: str, tokens: Tokens, start_ns: int) -> PriceCalculation | None:
    if provider == "openai" and "gpt-oss" in model.lower():
        return None  # Open weights behind somebody's compatible server: OpenAI itself does not sell them.
    prices = price_list()
    try:
        found: PriceCalculation = prices.calc_price(
            prices.Usage(
                input_tokens=tokens.input or 0,
                output_tokens=tokens.output or 0,
                cache_read_tokens=tokens.cache_read,
                cache_write_tokens=tokens.cache_write,
            ),
            model,
            provider_id=provider,
            genai_request_timestamp=moment(start_ns),
        )
    except (LookupError, ValueError, TypeError, ArithmeticError):
        # No such provider or model, or figures that contradict each other (more cached than sent).
        return None
    return found if _covers(found.model_price, tokens) else None


def _covers(price: ModelPrice, tokens: Tokens) -> bool:
    """Whether the list has a price for what was used: what has none would count as free."""
    has_input = getattr(price, "input_mtok", None) is not None
    has_output = getattr(price, "output_mtok", None) is not None
    return (has_input or not tokens.input) and (has_output or not tokens.output) and (has_input or has_output)
