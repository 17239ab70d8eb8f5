"""Turns the outcomes of the benchmark of delivery into its part of the page."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery_runs import Outcome, percentile
from delivery_setups import SETUPS

TITLES = {setup.name: setup.title for setup in SETUPS}


@dataclass(frozen=True)
class Found:
    """One measurement: a part of the benchmark, a case of it, a tracer, and the figures by name."""

    part: str
    case: str
    setup: str
    figures: Mapping[str, float]


def figures(outcome: Outcome) -> dict[str, float]:
    """What is told of a run."""
    commits, waits = (
        [1000 * seconds for one in outcome.figures for seconds in one.get(name, ())] for name in ("commits", "waits")
    )
    return {
        "made": outcome.made,
        "rate": outcome.rate,
        "cpu_per_10k": outcome.cpu_per_10k,
        "p50": percentile(outcome.took, 0.5),
        "p99": percentile(outcome.took, 0.99),
        "behind": outcome.delivered_in - outcome.seconds,
        "complete": outcome.flushed,
        "exit": outcome.exit_seconds,
        "commit_p50": percentile(commits, 0.5),
        "commit_p99": percentile(commits, 0.99),
        "wait_p99": percentile(waits, 0.99),
    }


#: Columns: a heading, a figure, its format.
_SPEED = ("spans/s", "rate", "{:,.0f}")
_CPU = ("CPU s / 10,000 spans", "cpu_per_10k", "{:.2f}")
_P50, _P99 = ("µs a span, p50", "p50", "{:.0f}"), ("µs a span, p99", "p99", "{:.0f}")
_ARRIVED, _LOST = ("arrived", "arrived", "{:,.0f}"), ("lost", "lost", "{:,.0f}")
_BEHIND = ("delivered after, s", "behind", "{:.1f}")
_COMMITS = (
    ("commit p50, ms", "commit_p50", "{:.1f}"),
    ("commit p99, ms", "commit_p99", "{:.1f}"),
    ("wait p99, ms", "wait_p99", "{:.1f}"),
)
_EXIT = ("exit, s", "exit", "{:.1f}")

_PARTS: Mapping[str, tuple[str, str, tuple[tuple[str, str, str], ...]]] = {
    "journal": (
        "Into the journal",
        "Spans as fast as they can be made; nothing is delivered. CPU is all that the span costs, making it included.",
        (_SPEED, _CPU, _P50, _P99),
    ),
    "store": (
        "Into the store, search index included",
        (
            "One drainer delivers what another process has left; then eight processes make spans and each delivers its "
            "own. `delivered after` is how long after the last span everything was stored; `commit` is a transaction "
            "from its beginning to its end, `wait` how long it waited for other writers before."
        ),
        (_SPEED, _CPU, _P50, _P99, _BEHIND, *_COMMITS),
    ),
    "otlp": (
        "To a server that speaks OTLP",
        (
            "The same program, the same calls of OpenTelemetry's API, the same server on the loopback, which takes "
            "everything; both compress with gzip. CPU is the program's, to the end of the flush."
        ),
        (("made, spans/s", "rate", "{:,.0f}"), _ARRIVED, _LOST, _BEHIND, _CPU, _P50, _P99),
    ),
    "mlflow": (
        "To an MLflow server",
        "A real `mlflow server` with SQLite; MLflow's own client with its asynchronous logging beside.",
        (("made, spans/s", "rate", "{:,.0f}"), _ARRIVED, _LOST, _BEHIND, _CPU, _P50, _P99),
    ),
    "down": (
        "While the server is down",
        (
            "100 traces a second for three seconds, then the program ends; the server is up at first, and no longer "
            "when the figures begin. What autotrace has not delivered is in its journal, for the next process to "
            "deliver; the others have it in memory alone."
        ),
        (_P50, _P99, _CPU, _EXIT),
    ),
}


def markdown(
    found: Sequence[Found],
    machine: Mapping[str, str],
    date: str,
    versions: Mapping[str, Mapping[str, str]],
    missing: Mapping[str, str],
    load: float,
    is_changed: bool,
) -> str:
    """The whole part."""
    rounds = max(Counter((one.part, one.case, one.setup) for one in found).values())
    lines = [
        "## Delivery",
        (
            f"Measured on {date}: {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
            f"{machine['python']}; load average at the start {load:.1f}. Rounds: {rounds}; every figure is the median "
            "over the rounds, and brackets hold the smallest and the largest. A trace has five spans, each with 4 KiB "
            "of content."
        ),
    ]
    lines += [f"- {TITLES[name]} was not measured: {why.strip().splitlines()[-1]}" for name, why in missing.items()]
    if is_changed:
        lines.append("- **The sources of autotrace changed during the run.**")
    for part, (title, words, columns) in _PARTS.items():
        rows = [one for one in found if one.part == part]
        if rows:
            lines += [f"### {title}", words, _table(rows, columns)]
    told = "; ".join(
        f"{title}: {', '.join(f'{name} {version}' for name, version in given.items())}"
        for title, given in versions.items()
    )
    return "\n\n".join([*lines, f"Versions: {told}."])


def _table(found: Sequence[Found], columns: Iterable[tuple[str, str, str]]) -> str:
    cases = list(dict.fromkeys((one.case, one.setup) for one in found))
    shown = [column for column in columns if any(_is_told(one.figures.get(column[1])) for one in found)]
    rows = [["", "tracer", *(heading for heading, _, _ in shown)], ["---", "---", *["---:"] * len(shown)]]
    for case, setup in cases:
        same = [one.figures for one in found if (one.case, one.setup) == (case, setup)]
        rows.append([case, TITLES[setup], *(_cell(same, name, form) for _, name, form in shown)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _is_told(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _cell(rounds: Sequence[Mapping[str, float]], name: str, form: str) -> str:
    values = [one[name] for one in rounds if _is_told(one.get(name))]
    if not values:
        return ""
    middle = _text(statistics.median(values), form)
    spread = _text(min(values), form), _text(max(values), form)
    return middle if spread[0] == spread[1] else f"{middle} [{spread[0]}, {spread[1]}]"


def _text(value: float, form: str) -> str:
    return form.format(value) if math.isfinite(value) else "more than 20, killed"
