"""Costs of very many spans: what a model's tokens cost each, asked of the price list once an hour of their time.

The price list takes 60 microseconds to price a call. Most prices are so much a token, whatever the number; where the
list agrees with that, for few tokens and for many, it is asked no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from . import prices
from .spans import Span, Tokens

_HOUR_NS = 3600 * 10**9
#: What is asked for: few tokens, as many as no price has a step below, and so many that any step is passed; alone and
#: together: input, output, of the input read from the cache and written to it.
_SIZES = (1_000, 12_500, 3_000_000)
_MIXTURES = ((4, 0, 0, 0), (0, 4, 0, 0), (4, 0, 1, 0), (4, 0, 0, 1), (8, 3, 2, 1))
#: Input up to which what is asked for in the middle size tells the price.
_MODEST = 100_000
_MOST = 20_000


class _Rate(NamedTuple):
    """USD for a token of input that neither came from the cache nor went there, of output, and of those two.

    It holds up to `most` tokens of input.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float
    most: float

    def cost(self, tokens: Tokens) -> float:
        """What so many tokens cost."""
        read, written = tokens.cache_read or 0, tokens.cache_write or 0
        fresh = (tokens.input or 0) - read - written
        return (
            fresh * self.input
            + (tokens.output or 0) * self.output
            + read * self.cache_read
            + written * self.cache_write
        )


class Rates:
    """Costs of spans, with a memory. For one thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], _Rate | None] = {}
        self._varies: dict[tuple[str, str], bool] = {}

    def cost_usd(self, span: Span) -> float | None:
        """As `prices.cost_usd`."""
        if not span.provider or not span.model or not _is_plain(span.tokens):
            return prices.cost_usd(span)
        rate = self._rate(span.provider, span.model, span.start_ns // _HOUR_NS)
        if rate is None or (span.tokens.input or 0) > rate.most:
            return prices.cost_usd(span)
        return rate.cost(span.tokens)

    def total_usd(self, spans: Iterable[Span]) -> float | None:
        """As `prices.total_usd`."""
        total = 0.0
        for span in spans:
            cost = self.cost_usd(span)
            if cost is None:
                return None
            total += cost
        return total

    def _rate(self, provider: str, model: str, hour: int) -> _Rate | None:
        if len(self._known) >= _MOST:
            self._known.clear()
            self._varies.clear()
        if (provider, model) not in self._varies:
            self._varies[provider, model] = prices.varies(provider, model)
        key = (provider, model, hour if self._varies[provider, model] else 0)
        if key not in self._known:
            self._known[key] = _rate(*key)
        return self._known[key]


def _is_plain(tokens: Tokens) -> bool:
    """Whether input and output are told, and agree with what is told of the cache."""
    if tokens.input is None or tokens.output is None:
        return False
    read, written = tokens.cache_read or 0, tokens.cache_write or 0
    return min(tokens.input, tokens.output, read, written) >= 0 and read + written <= tokens.input


def _rate(provider: str, model: str, hour: int) -> _Rate | None:
    """What each token costs, or None where that is not known, or differs with their number."""
    samples = [tuple(size * share for share in mixture) for size in _SIZES for mixture in _MIXTURES]
    found = [_asked(provider, model, hour, Tokens(*sample)) for sample in samples]
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        return None
    fresh, output, read, written = known[:4]
    input_ = fresh / 4000
    rate = _Rate(input_, output / 4000, read / 1000 - 3 * input_, written / 1000 - 3 * input_, math.inf)
    fits = [
        abs(rate.cost(Tokens(*sample)) - value) <= 1e-9 * max(abs(value), 1e-6)
        for sample, value in zip(samples, known, strict=True)
    ]
    if not all(fits[: 2 * len(_MIXTURES)]):
        return None
    return rate if all(fits) else rate._replace(most=_MODEST)


def _asked(provider: str, model: str, hour: int, tokens: Tokens) -> float | None:
    found = prices.parts_usd(provider, model, tokens, hour * _HOUR_NS)
    return None if found is None else found[2]
