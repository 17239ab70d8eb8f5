"""What a trace with a great many spans used and cost: spans that cost the same are priced once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from . import prices
from .spans import Span, Tokens

#: All that a price depends on, for one trace id.
QUERY = """
    SELECT provider, model, operation, framework, status, ttft_ns IS NULL, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, sum(reasoning_tokens), min(start_ns), count(*)
    FROM spans WHERE trace_id = ? GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""
#: Different bills that are priced one by one, at a tenth of a millisecond each.
_PRICED = 1000
#: Tokens by which it is told whether each costs the same, however many there are.
_FEW, _MANY = 1000, 1_000_000


class Bill(NamedTuple):
    """Spans that cost the same; a row of `QUERY`. Tokens are those of each, `reasoning` is the sum over all."""

    provider: str | None
    model: str | None
    operation: str | None
    framework: str | None
    status: str
    no_chunk: bool
    input: int | None
    output: int | None
    cache_read: int | None
    cache_write: int | None
    reasoning: int | None
    start_ns: int
    spans: int

    def span(self) -> Span:
        """A span that costs what each of them costs."""
        return Span(
            id=0,
            trace_id="",
            span_id="",
            parent_id=None,
            root=False,
            name="",
            operation=self.operation,
            status=self.status,
            start_ns=self.start_ns,
            end_ns=None,
            provider=self.provider,
            model=self.model,
            framework=None,
            error_type=None,
            tokens=Tokens(self.input, self.output, self.cache_read, self.cache_write),
            ttft_ns=None if self.no_chunk else 0,
            session=None,
            user=None,
            environment=None,
            service=None,
            release=None,
        )


def tokens(bills: Sequence[Bill]) -> Tokens:
    """The sums over all; None where nothing is known."""

    def total(name: str) -> int | None:
        known = [count * bill.spans for bill in bills if (count := getattr(bill, name)) is not None]
        return sum(known) if known else None

    reasoning = [bill.reasoning for bill in bills if bill.reasoning is not None]
    return Tokens(
        total("input"),
        total("output"),
        total("cache_read"),
        total("cache_write"),
        sum(reasoning) if reasoning else None,
    )


def cost_usd(bills: Sequence[Bill]) -> float | None:
    """What all of them cost, in USD, or None where the price of any is unknown."""
    if len(bills) > _PRICED:
        bills = _joined(bills)
    total = 0.0
    for bill in bills:
        cost = prices.cost_usd(bill.span())
        if cost is None:
            return None
        total += cost * bill.spans
    return total


def _joined(bills: Sequence[Bill]) -> list[Bill]:
    """Bills of the same model as one, where its tokens cost the same however many a call has."""
    found: list[Bill] = []
    whole: dict[tuple[str | None, str | None], Bill | None] = {}
    for bill in bills:
        key = (bill.provider, bill.model)
        if bill.input is None and bill.output is None:
            found.append(bill)
            continue
        if key not in whole:
            none = bill._replace(input=0, output=0, cache_read=0, cache_write=0, spans=1)
            whole[key] = none if _is_even(bill.span()) else None
        sums = whole[key]
        if sums is None:
            found.append(bill)
            continue
        whole[key] = sums._replace(
            **{
                name: getattr(sums, name) + (getattr(bill, name) or 0) * bill.spans
                for name in ("input", "output", "cache_read", "cache_write")
            }
        )
    return [*found, *(bill for bill in whole.values() if bill is not None)]


def _is_even(span: Span) -> bool:
    """Whether a thousand times as many tokens cost a thousand times as much."""
    for shape in (Tokens(1, 0), Tokens(0, 1), Tokens(1, 0, 1), Tokens(1, 0, None, 1)):
        few, many = (prices.cost_usd(replace(span, tokens=_times(shape, count))) for count in (_FEW, _MANY))
        if few is None or many is None or abs(many - few * (_MANY // _FEW)) > 1e-6 * many:
            return False
    return True


def _times(shape: Tokens, count: int) -> Tokens:
    return Tokens(*(None if each is None else each * count for each in shape.as_json().values()))
