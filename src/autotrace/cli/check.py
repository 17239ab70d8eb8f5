"""`autotrace check`: whether figures pass thresholds; for continuous integration and cron."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import click

from autotrace import setting_values
from autotrace.insights.counted import counted
from autotrace.insights.overview import figures
from autotrace.insights.scope import Scope

from .figures import duration, money, setting
from .scoped import insights, scoped
from .stats import share
from .terminal import print_json

F = TypeVar("F", bound=Callable[..., Any])

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(%?)")
_USD = re.compile(r"\$?([0-9]+(?:\.[0-9]+)?)")


class Threshold(NamedTuple):
    """What must not be passed.

    Attributes:
        figure: Of `Figures.as_json`.
        most: It fails above this.
        write: How it is written.
    """

    figure: str
    most: float
    write: Callable[[float | None], str]


def _read_share(text: str) -> float:
    found = _SHARE.fullmatch(text.strip())
    value = math.inf if found is None else float(found[1]) / (100 if found[2] else 1)
    if value > 1:
        raise ValueError(f"{text!r} is no share: give 5% or 0.05")
    return value


def _read_usd(text: str) -> float:
    found = _USD.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no amount in USD: give 0.05")
    return float(found[1])


def _read_ms(text: str) -> float:
    return float(setting_values.duration(text)) * 1000


def _limit(name: str, read: Callable[[str], float], metavar: str, about: str) -> Callable[[F], F]:
    return click.option(name, metavar=metavar, callback=setting(read), help=about)


@click.command()
@_limit("--error-rate", _read_share, "SHARE", "At most so many traces fail: 5%.")
@_limit("--p50", _read_ms, "TIME", "Half of the traces take at most so long: 2s.")
@_limit("--p95", _read_ms, "TIME", "95 % of them: 3s.")
@_limit("--p99", _read_ms, "TIME", "99 % of them: 10s.")
@_limit("--ttft-p50", _read_ms, "TIME", "The first token of half of them comes after at most so long: 800ms.")
@_limit("--cost-per-trace", _read_usd, "USD", "A trace costs at most so much on average: 0.05.")
@_limit("--cost", _read_usd, "USD", "All together cost at most so much: 100.")
@_limit("--dislike-rate", _read_share, "SHARE", "At most so many of the thumbs are down: 20%.")
@click.option(
    "--min-traces",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Fewer traces tell nothing: that fails too.",
)
@scoped
def check(scope: Scope, as_json: bool, min_traces: int, **limits: float | None) -> None:
    """Fail where a threshold is passed: exit status 1.

    \b
    autotrace check --since 1h --environment production --error-rate 5% --p95 3s --cost-per-trace 0.05

    A threshold on cost fails too where models were called and no price is known. Where nothing was streamed or
    nobody judged, a threshold on that is kept, and shown with a question mark.
    """
    given = {name: most for name, most in limits.items() if most is not None}
    thresholds = [each._replace(most=given[name]) for name, each in _THRESHOLDS.items() if name in given]
    if not thresholds:
        raise click.UsageError("give a threshold, such as --error-rate 5%")
    with insights(as_json) as found:
        if found is None:
            if as_json:
                print_json({"passed": min_traces == 0, "traces": 0, "checks": []})
            if min_traces:
                raise SystemExit(1)
            return
        whole = figures(*found, scope)
        # Where not all traces are kept, those that failed are: the share that failed is that of all.
        all_ = counted(*found, scope, int(whole["traces"]))
        judged = whole["liked"] + whole["disliked"]
        told = {**whole.as_json(), "dislike_rate": whole["disliked"] / judged if judged else None}
        if all_ is not None:
            told["error_rate"] = all_["error_rate"]
    traces, unpriced = int(whole["traces"]), int(whole["traces"] - whole["priced"])
    checks = [_checked(each, told, unpriced) for each in thresholds]
    passed = traces >= min_traces and all(each["passed"] for each in checks)
    if as_json:
        print_json({"passed": passed, "traces": traces, "checks": checks})
    else:
        if traces < min_traces:
            click.echo(f"FAILED  {traces:,} traces, at least {min_traces:,} are wanted")
        for threshold, each in zip(thresholds, checks, strict=True):
            word = "FAILED" if not each["passed"] else "ok    " if each["known"] else "?     "
            value, most = threshold.write(each["value"]), threshold.write(each["limit"])
            unknown = f" ({unpriced:,} of {traces:,} traces are of unknown price)" if "cost" in each["figure"] else ""
            click.echo(f"{word}  {each['figure']}: {value}, at most {most}{unknown if unpriced else ''}")
            if each["reason"]:
                click.echo(f"        {each['reason']}")
    if not passed:
        raise SystemExit(1)


#: Why a cost is not known.
_UNPRICED = (
    "no trace here has a known price: its models are not in the installed list of prices "
    "(pip install -U genai-prices), or their calls told no usage"
)
_THRESHOLDS: Mapping[str, Threshold] = {
    "error_rate": Threshold("error_rate", 0.0, share),
    "p50": Threshold("latency_p50_ms", 0.0, duration),
    "p95": Threshold("latency_p95_ms", 0.0, duration),
    "p99": Threshold("latency_p99_ms", 0.0, duration),
    "ttft_p50": Threshold("ttft_p50_ms", 0.0, duration),
    "cost_per_trace": Threshold("cost_per_trace_usd", 0.0, money),
    "cost": Threshold("cost_usd", 0.0, money),
    "dislike_rate": Threshold("dislike_rate", 0.0, share),
}


def _checked(threshold: Threshold, told: Mapping[str, Any], unpriced: int) -> dict[str, Any]:
    """Whether one is kept. What is not known passes none, but for a cost: it was spent, and nobody knows how much."""
    value = told[threshold.figure]
    is_spent = value is None and "cost" in threshold.figure and unpriced > 0
    return {
        "figure": threshold.figure,
        "value": value,
        "limit": threshold.most,
        "known": value is not None,
        "passed": not is_spent if value is None else value <= threshold.most,
        "reason": _UNPRICED if is_spent else None,
    }
