"""Two selections side by side, and which of their differences are more than noise.

**More than noise.** A difference counts where chance alone would bring one as large in less than one of a hundred
pairs of samples from the same agent (p < 0.01, two-sided). Shares (error rate, thumbs): the z-test of two proportions,
pooled. Means (tokens, cost): Welch's t-test, with the normal distribution in place of t. Durations: the Mann-Whitney U
test on the histograms, with its correction for ties. Below ten traces on either side nothing is said. So of forty
figures that do not differ, about one in three comparisons marks one by chance: look again when the next day is in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from . import listing
from .figures import Figures
from .overview import figures
from .parts import Memory
from .scope import Scope
from .view import Insights

#: What is compared: figure, what people call it, how it is written, whether less or more is better, and the test.
ROWS = (
    ("traces", "Traces", "count", "", ""),
    ("error_rate", "Error rate", "share", "less", "failed"),
    ("latency_p50_ms", "Latency, median", "duration", "less", "latency"),
    ("latency_p90_ms", "Latency, p90", "duration", "less", "latency"),
    ("latency_p99_ms", "Latency, p99", "duration", "less", "latency"),
    ("ttft_p50_ms", "Time to first token, median", "duration", "less", "ttft"),
    ("ttft_p90_ms", "Time to first token, p90", "duration", "less", "ttft"),
    ("tokens_per_trace", "Tokens a trace", "count", "", "tokens"),
    ("cost_per_trace_usd", "Cost a trace", "usd", "less", "cost"),
    ("cost_usd", "Cost", "usd", "", ""),
    ("disliked_share", "Thumbs down, of those given", "share", "less", "thumbs"),
    ("retried_share", "Traces with retries", "share", "less", "retried"),
    ("repeating_share", "Traces with repeated calls", "share", "less", "repeating"),
    ("tool_success_rate", "Tool calls that succeed", "share", "more", "tools"),
)
_FEW = 10
_NOISE = 0.01
_EXAMPLES = 5


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
        marked = chance is not None and chance < _NOISE and values[0] != values[1]
        difference = _difference(*values)
        rows.append(
            {
                "name": name,
                "label": label,
                "unit": unit,
                "a": values[0],
                "b": values[1],
                "difference": difference,
                "p": chance,
                "marked": marked,
                "better": None
                if not (marked and better and difference)
                else ("b" if (difference < 0) == (better == "less") else "a"),
            }
        )
    examples = [
        listing.listing(insights.connection, scope, limit=_EXAMPLES, search=insights.search) for scope in (left, right)
    ]
    return {
        "rows": rows,
        "figures": {"a": told[0], "b": told[1]},
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


def ranks(counts: Mapping[int, int], other: Mapping[int, int]) -> float | None:
    """How likely two histograms differ so much by chance: the Mann-Whitney U test; None for too few.

    Source: Mann and Whitney, Annals of Mathematical Statistics 18 (1947); all in one bucket are ties.
    """
    count, other_count = sum(counts.values()), sum(other.values())
    if min(count, other_count) < _FEW:
        return None
    whole = count + other_count
    below, ranked, ties = 0, 0.0, 0.0
    for bucket in sorted(counts.keys() | other.keys()):
        tied = counts.get(bucket, 0) + other.get(bucket, 0)
        ranked += counts.get(bucket, 0) * (below + (tied + 1) / 2)
        ties += tied**3 - tied
        below += tied
    statistic = ranked - count * (count + 1) / 2
    variance = count * other_count / 12 * (whole + 1 - ties / (whole * (whole - 1)))
    return 1.0 if variance <= 0 else _two_sided((statistic - count * other_count / 2) / math.sqrt(variance))


def _two_sided(z: float) -> float:
    return 2 * NormalDist().cdf(-abs(z))


def _chance(test: str, left: Figures, right: Figures) -> float | None:
    if test in ("latency", "ttft"):
        return ranks(getattr(left, test), getattr(right, test))
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
    shares = {}
    for name, test in (("disliked_share", "thumbs"), ("tool_success_rate", "tools")):
        hits, of = _part(test, found)
        shares[name] = hits / of if of else None
    return {
        **found.as_json(),
        **shares,
        "retried_share": found.share("retried"),
        "repeating_share": found.share("repeating"),
    }


def _difference(left: Any, right: Any) -> float | None:
    """By how much the right one is more, as a share of the left one."""
    return (right - left) / left if left and right is not None else None
