"""The figures of a selection of traces: how many, how many failed, how long they took, what they used and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from operator import add
from typing import Any

from .buckets import quantile_ms
from .parts import Part
from .view import Insights

_TOKENS = "(coalesce(t.input_tokens, 0) + coalesce(t.output_tokens, 0))"
#: What is summed up over traces, and the SQL of it.
_SUMS = {
    "traces": "count(*)",
    "failed": "total(t.failed)",
    "interrupted": "total(t.status = (SELECT id FROM names WHERE kind = 'status' AND text = 'interrupted'))",
    "liked": "total(t.up > 0)",
    "disliked": "total(t.down > 0)",
    "retried": "total(t.retries > 0)",
    "repeating": "total(t.repeats > 0)",
    "priced": "count(t.cost_usd)",
    "with_tokens": "count(coalesce(t.input_tokens, t.output_tokens))",
    **{
        name: f"total(t.{name})"
        for name in ("spans", "errors", "model_calls", "tool_calls", "up", "down", "retries", "repeats", "input_tokens")
    },
    **{name: f"total(t.{name})" for name in ("output_tokens", "cache_read_tokens", "reasoning_tokens", "cost_usd")},
    "tokens_squared": f"total({_TOKENS} * 1.0 * {_TOKENS})",
    "cost_squared": "total(t.cost_usd * t.cost_usd)",
}
#: Those that are no figures of their own.
_HIDDEN = frozenset({"cost_usd", "tokens_squared", "cost_squared", "with_tokens"})
_COLUMNS = ", ".join(_SUMS.values())


#: The figures of a part, as it is remembered: sums, traces by bucket of latency, and of the time to the first token,
#: rows by model, rows by tool and bucket of latency.
Packed = tuple[Sequence[float], list[Any], list[Any], list[Any], list[Any]]


@dataclass(slots=True)
class ModelFigures:
    """Calls of one model; the cost in USD of those whose price is known, in `priced` traces of `traces`."""

    traces: int = 0
    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    priced: int = 0


@dataclass(slots=True)
class ToolFigures:
    """Calls of one tool, and how many of them took how long (buckets.py)."""

    calls: int = 0
    errors: int = 0
    duration_ns: float = 0
    latency: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Figures:
    """Sums, which add up over parts; by ids of names: models and tools.

    Attributes:
        sums: Traces, those that `failed` (error or interrupted), were `liked` and `disliked` (a thumb up, down), are
            `priced` (their cost is known), `retried`, `repeating`; and sums of figures; `tokens_squared` and
            `cost_squared` are sums of squares, for how far they are spread.
        latency: Traces by bucket of duration.
        ttft: Traces by bucket of the time to the first token.
    """

    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_SUMS, 0))
    latency: Counter[int] = field(default_factory=Counter)
    ttft: Counter[int] = field(default_factory=Counter)
    models: dict[int, ModelFigures] = field(default_factory=dict)
    tools: dict[int, ToolFigures] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """One of the sums."""
        return self.sums[name]

    @property
    def tokens(self) -> float:
        """Input and output."""
        return self.sums["input_tokens"] + self.sums["output_tokens"]

    def share(self, name: str) -> float | None:
        """What part of the traces is counted under this name; None without any."""
        return self.sums[name] / self.sums["traces"] if self.sums["traces"] else None

    def latency_ms(self, share: float) -> float | None:
        """The duration that this share of the traces stays below."""
        return quantile_ms(self.latency, share)

    def ttft_ms(self, share: float) -> float | None:
        """Likewise for the time to the first token."""
        return quantile_ms(self.ttft, share)

    def per_trace(self, name: str) -> float | None:
        """The mean of `tokens` or `cost_usd` over the traces where it is known."""
        if name == "tokens":
            return self.tokens / self.sums["with_tokens"] if self.sums["with_tokens"] else None
        cost, priced = self.sums["cost_usd"], self.sums["priced"]
        return cost / priced if priced and (cost or priced == self.sums["traces"]) else None

    def as_json(self) -> dict[str, Any]:
        """The figures by name; durations in milliseconds, costs in USD, shares from 0 to 1."""
        sums = self.sums
        counts = {name: int(sums[name]) for name in _SUMS if name not in _HIDDEN}
        judged = sums["liked"] + sums["disliked"]
        return {
            **counts,
            "tokens": int(self.tokens),
            # Some traces of several may be left out; where all that have a price cost nothing, nothing is known.
            "cost_usd": sums["cost_usd"] if sums["cost_usd"] or sums["priced"] == sums["traces"] else None,
            "error_rate": self.share("failed"),
            "liked_share": sums["liked"] / judged if judged else None,
            "tokens_per_trace": self.per_trace("tokens"),
            "cost_per_trace_usd": self.per_trace("cost_usd"),
            **{f"latency_p{share}_ms": self.latency_ms(share / 100) for share in (50, 90, 95, 99)},
            **{f"ttft_p{share}_ms": self.ttft_ms(share / 100) for share in (50, 90, 99)},
        }


def figures_of(insights: Insights, part: Part) -> Packed:
    """The figures of one bucket of time, packed."""
    ask = insights.connection.execute
    sums = ask(*part.sql(_COLUMNS)).fetchone()
    if not sums[0]:
        return sums, [], [], [], []
    histograms = [
        [row for row in ask(*part.sql(f"t.{name}, count(*)", group=f"t.{name}")) if row[0] is not None]
        for name in ("latency", "ttft")
    ]
    used = "sum(u.calls), sum(u.errors), sum(u.input_tokens), sum(u.output_tokens), sum(u.cache_read_tokens)"
    columns = f"u.model, count(*), {used}, sum(u.reasoning_tokens), total(u.cost_usd), count(u.cost_usd)"
    models = ask(*part.sql(columns, "usage AS u", "u.model")).fetchall()
    columns = "c.tool, c.latency, sum(c.calls), sum(c.errors), total(c.duration_ns)"
    tools = ask(*part.sql(columns, "tool_calls AS c", "c.tool, c.latency")).fetchall()
    return sums, *histograms, models, tools


def total(parts: Iterable[Packed]) -> Figures:
    """The figures of several parts together."""
    found = Figures()
    totals = [0.0] * len(_SUMS)
    for sums, latency, ttft, models, tools in parts:
        totals = list(map(add, totals, sums))
        _add(found.latency, latency)
        _add(found.ttft, ttft)
        for model, *values in models:
            before = found.models.get(model)
            found.models[model] = ModelFigures(*(values if before is None else map(add, astuple(before), values)))
        for tool, bucket, calls, errors, duration in tools:
            one = found.tools.setdefault(tool, ToolFigures())
            one.calls, one.errors = one.calls + calls, one.errors + errors
            one.duration_ns += duration
            one.latency[bucket] = one.latency.get(bucket, 0) + calls
    found.sums = dict(zip(_SUMS, totals, strict=True))
    return found


def _add(counts: Counter[int], more: Iterable[tuple[int, int]]) -> None:
    for bucket, count in more:
        counts[bucket] = counts.get(bucket, 0) + count
