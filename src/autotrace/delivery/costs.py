"""What one span cost, for sampling."""

from __future__ import annotations

from .destinations import Record


def cost_usd(record: Record) -> float | None:
    """The cost of a model call in USD, by the price list; None where that is not known."""
    from autotrace.store.prices import parts_usd
    from autotrace.store.spans import Tokens

    get = record.body["attributes"].get
    provider, model = get("gen_ai.provider.name"), get("gen_ai.response.model") or get("gen_ai.request.model")
    counts = [get(f"gen_ai.usage.{name}") for name in _USAGE]
    if not isinstance(provider, str) or not isinstance(model, str) or not any(type(count) is int for count in counts):
        return None
    tokens = Tokens(*(count if type(count) is int else None for count in counts))
    found = parts_usd(provider, model, tokens, record.body["start"])
    return None if found is None else found[2]


_USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read.input_tokens",
    "cache_write.input_tokens",
    "reasoning.output_tokens",
)
