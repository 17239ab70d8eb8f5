"""What a model call cost, as MLflow writes it: by the same price list as everywhere in autotrace.

MLflow's server would look a price up while it takes the span, over the network where it does not know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from autotrace.store.prices import parts_usd
from autotrace.store.spans import Tokens

_HOUR_NS = 3_600_000_000_000


def cost(provider: str, model: str, tokens: Tokens, start_ns: int) -> Mapping[str, float] | None:
    """Input, output and total in USD; None where the price is not known."""
    return _cost(provider, model, tokens, start_ns // _HOUR_NS)


@lru_cache(maxsize=1024)
def _cost(provider: str, model: str, tokens: Tokens, hour: int) -> Mapping[str, float] | None:
    found = parts_usd(provider, model, tokens, hour * _HOUR_NS)
    if found is None:
        return None
    return {"input_cost": found[0], "output_cost": found[1], "total_cost": found[2]}
