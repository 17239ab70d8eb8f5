"""Two selections side by side, and which of their differences are more than noise.

**More than noise.** A difference counts where chance alone would bring one as large in less than one of a hundred
pairs of samples from the same agent (p < 0.01, two-sided). Shares (error rate, thumbs): the z-test of two proportions,
pooled. Means (tokens, cost): Welch's t-test, with the normal distribution in place of t. Quantiles of durations: Mood's
median test, for each quantile by itself: whether equal shares of both sides lie above the quantile of both together.
Below ten traces on either side, and below five that are expected above or below a quantile (500 traces for p99),
nothing is said. Calls of tools and models are taken as independent, which those of one trace are not quite. Of thirty
figures that do not differ, about one in four comparisons marks one by chance: look again when the next day is in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

from . import listing
from .figures import Figures, ModelFigures
from .overview import figures, model_figures, tool_figures
from .parts import Memory
from .scope import Scope
from .view import Insights

#: What is compared: figure, what people call it, how it is written, whether less or more is better, and the test.
ROWS = (
    ("traces", "Traces", "count", "", ""),
    ("error_rate", "Error rate", "share", "less", "failed"),
    ("latency_p50_ms", "Latency, median", "duration", "less", "latency 50"),
    ("latency_p90_ms", "Latency, p90", "duration", "less", "latency 90"),
    ("latency_p99_ms", "Latency, p99", "duration", "less", "latency 99"),
    ("ttft_p50_ms", "Time to first token, median", "duration", "less", "ttft 50"),
    ("ttft_p90_ms", "Time to first token, p90", "duration", "less", "ttft 90"),
    ("ttft_p99_ms", "Time to first token, p99", "duration", "less", "ttft 99"),
    ("tokens_per_trace", "Tokens a trace", "count", "", "tokens"),
    ("input_tokens_per_trace", "Input tokens a trace", "count", "", ""),
    ("cache_read_tokens_per_trace", "of which cached", "count", "", ""),
    ("output_tokens_per_trace", "Output tokens a trace", "count", "", ""),
    ("reasoning_tokens_per_trace", "of which reasoning", "count", "", ""),
    ("cost_per_trace_usd", "Cost a trace", "usd", "less", "cost"),
    ("cost_usd", "Cost", "usd", "", ""),
    ("disliked_share", "Thumbs down, of those given", "share", "less", "thumbs"),
    ("retried_share", "Traces with retries", "share", "less", "retried"),
    ("repeating_share", "Traces with repeated calls", "share", "less", "repeating"),
    ("tool_success_rate", "Tool calls that succeed", "share", "more", "tools"),
)
_FEW = 10
#: Traces that must be expected on both sides of a quantile.
_EXPECTED = 5
_NOISE = 0.01
_EXAMPLES = 5
#: Models, and tools, that are compared: those of the most calls.
_NAMES = 12


def comparison(insights: Insights, memory: Memory, left: Scope, right: Scope) -> dict[str, Any]:
    """The same figures of two selections, and the newest traces of each.

    Raises:
        FilterError: A scope's filter cannot be read.
    """
    found = [figures(insights, memory, scope) for scope in (left, right)]
    told = [_told(each) for each in found]
    rows = []
    for name, label, unit, better, test in ROWS:
        values = [each[name] for each in told]
        chance = _chance(test, *found) if test else None
        rows.append({"name": name, "label": label, "unit": unit, **_verdict(values[0], values[1], chance, better)})
    examples = [
        listing.listing(insights.connection, scope, limit=_EXAMPLES, search=insights.search) for scope in (left, right)
    ]
    return {
        "rows": rows,
        "figures": {"a": told[0], "b": told[1]},
        "models": _by_name(insights, [each.models for each in found], _model, "error_rate", "less"),
        "tools": _by_name(insights, [each.tools for each in found], tool_figures, "success_rate", "more"),
        "examples": {side: [row.as_json() for row in page.rows] for side, page in zip("ab", examples, strict=True)},
    }


def proportions(hits: float, of: float, other_hits: float, other_of: float) -> float | None:
    """How likely two shares differ so much by chance: the z-test of two proportions, two-sided; None for too few.

    Source: Fleiss, Statistical Methods for Rates and Proportions, section 2.3, without the correction for continuity.
    """
    if min(of, other_of) < _FEW:
        return None
    pooled = (hits + other_hits) / (of + other_of)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / other_of))
    return 1.0 if spread == 0 else _two_sided((hits / of - other_hits / other_of) / spread)


def means(
    total: float, squares: float, of: float, other_total: float, other_squares: float, other_of: float
) -> float | None:
    """How likely two means differ so much by chance, by sums and sums of squares: Welch's test; None for too few.

    Source: Welch, Biometrika 34 (1947); with hundreds of traces t is the normal distribution.
    """
    if min(of, other_of) < _FEW:
        return None
    mean, other_mean = total / of, other_total / other_of
    variance = max(squares / of - mean**2, 0.0) / (of - 1)
    other_variance = max(other_squares / other_of - other_mean**2, 0.0) / (other_of - 1)
    spread = math.sqrt(variance + other_variance)
    if spread == 0:
        return 1.0 if mean == other_mean else 0.0
    return _two_sided((mean - other_mean) / spread)


def quantiles(counts: Mapping[int, int], other: Mapping[int, int], share: float) -> float | None:
    """How likely a quantile of two histograms differs so much by chance; None for too few.

    Of both together the quantile is taken; by chance, equal shares of each lie above it. What lies in its bucket counts
    as above it by the part of the bucket that does, the same for both sides. So it brings no difference, and no scatter
    either: taken as drawn, that part would hide what the rest tells.

    Args:
        counts: Traces by bucket (buckets.py).
        other: Those of the other side.
        share: Which quantile: 0.5 for the median.

    Source: Mood, Introduction to the Theory of Statistics (1950), for the median; the variance is that of a sum of
    scores drawn without being put back (Hajek and Sidak, Theory of Rank Tests, 1967).
    """
    of, other_of = sum(counts.values()), sum(other.values())
    whole = of + other_of
    # Rounded, for 1 - 0.9 is a little less than a tenth.
    if round(min(of, other_of) * min(share, 1 - share), 6) < _EXPECTED:
        return None
    above, squares, mine = 0.0, 0.0, 0.0
    left, outside = share * whole, whole
    for bucket in sorted(counts.keys() | other.keys()):
        both = counts.get(bucket, 0) + other.get(bucket, 0)
        score = 1 - min(max(left, 0.0), both) / both if both else 0.0
        left -= both
        outside -= both if 0 < score < 1 else 0
        above += score * both
        squares += score**2 * both
        mine += score * counts.get(bucket, 0)
    if not outside:
        return 1.0
    if outside * min(of, other_of) / whole < _EXPECTED:
        return None
    variance = of * other_of / whole * (squares - above**2 / whole) / (whole - 1)
    return _two_sided((mine - of * above / whole) / math.sqrt(variance))


def _two_sided(z: float) -> float:
    return 2 * NormalDist().cdf(-abs(z))


def _chance(test: str, left: Figures, right: Figures) -> float | None:
    name, _, share = test.partition(" ")
    if share:
        return quantiles(getattr(left, name), getattr(right, name), int(share) / 100)
    if test == "tokens":
        return means(*_moments(left, "tokens"), *_moments(right, "tokens"))
    if test == "cost":
        return means(*_moments(left, "cost"), *_moments(right, "cost"))
    return proportions(*_part(test, left), *_part(test, right))


def _moments(found: Figures, name: str) -> tuple[float, float, float]:
    if name == "tokens":
        return found.tokens, found["tokens_squared"], found["with_tokens"]
    return found["cost_usd"], found["cost_squared"], found["priced"]


def _part(test: str, found: Figures) -> tuple[float, float]:
    """How many, of how many."""
    if test == "thumbs":
        return found["disliked"], found["liked"] + found["disliked"]
    if test == "tools":
        calls = sum(one.calls for one in found.tools.values())
        return calls - sum(one.errors for one in found.tools.values()), calls
    return found[test], found["traces"]


def _told(found: Figures) -> dict[str, Any]:
    shares: dict[str, Any] = {}
    for name, test in (("disliked_share", "thumbs"), ("tool_success_rate", "tools")):
        hits, of = _part(test, found)
        shares[name] = hits / of if of else None
    return {
        **found.as_json(),
        **shares,
        **{
            f"{kind}_tokens_per_trace": found[f"{kind}_tokens"] / found["with_tokens"] if found["with_tokens"] else None
            for kind in ("input", "cache_read", "output", "reasoning")
        },
        "retried_share": found.share("retried"),
        "repeating_share": found.share("repeating"),
    }


def _verdict(left: Any, right: Any, chance: float | None, better: str) -> dict[str, Any]:
    """Two values, how much they differ, and whether that is more than noise."""
    marked = chance is not None and chance < _NOISE and left != right
    difference = _difference(left, right)
    is_judged = marked and better and difference is not None
    found = {"a": left, "b": right, "difference": difference, "p": chance, "marked": marked, "better": None}
    if is_judged and difference is not None:
        found["better"] = "b" if (difference < 0) == (better == "less") else "a"
    return found


def _model(one: ModelFigures | None) -> dict[str, Any]:
    """What is told of the calls of a model; what one costs, of the traces that have a price."""
    if one is None:
        return {}
    told = model_figures(one)
    # Which calls lie in traces without a price is not kept: as many a trace as in the others.
    priced = one.calls * one.priced / one.traces
    return {
        **told,
        "cost_per_call_usd": one.cost_usd / priced if priced and told["cost_usd"] is not None else None,
        "tokens_per_call": (one.input_tokens + one.output_tokens) / one.calls if one.calls else None,
    }


def _by_name(
    insights: Insights,
    sides: Sequence[Mapping[int, Any]],
    tell: Callable[[Any], dict[str, Any]],
    rate: str,
    better: str,
) -> dict[str, Any]:
    """Models or tools of both sides, those of the most calls first, and whether their rates differ."""
    calls: dict[int, int] = {}
    for side in sides:
        for name, one in side.items():
            calls[name] = calls.get(name, 0) + one.calls
    shown = sorted(calls, key=lambda name: -calls[name])[:_NAMES]
    texts = insights.texts(shown)
    rows = []
    for name in shown:
        both = [side.get(name) for side in sides]
        told = [tell(one) for one in both]
        chance = None
        if both[0] is not None and both[1] is not None:
            chance = proportions(both[0].errors, both[0].calls, both[1].errors, both[1].calls)
        verdict = _verdict(told[0].get(rate), told[1].get(rate), chance, better)
        rows.append({"name": texts.get(name, "?"), "a": told[0], "b": told[1], rate: verdict})
    return {"rows": rows, "left": len(calls) - len(shown)}


def _difference(left: Any, right: Any) -> float | None:
    """By how much the right one is more, as a share of the left one."""
    return (right - left) / left if left and right is not None else None
