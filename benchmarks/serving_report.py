"""Turns the outcomes of the benchmark of serving into its part of the page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving_setups import SETUPS, TITLES
from setups import BASELINE


@dataclass(frozen=True)
class Found:
    """One measurement: how it was asked, under which tracer, in which round, and the figures by name."""

    case: str
    setup: str
    round: int
    figures: Mapping[str, float]


#: Columns: a heading, a figure, its format, whether its ratio to the baseline of the same round is told.
_COLUMNS = (
    ("answers/s", "rate", "{:.1f}", True),
    ("whole answer p50, ms", "p50", "{:.0f}", True),
    ("whole answer p99, ms", "p99", "{:.0f}", True),
    ("first piece p50, ms", "first_p50", "{:.0f}", False),
    ("first piece p99, ms", "first_p99", "{:.0f}", False),
    ("server's CPU an answer, ms", "cpu", "{:.1f}", True),
    ("core busy, %", "busy", "{:.0f}", False),
)
_MEMORY = ("rss_start", "rss_middle", "rss_end")

_WORDS = """A FastAPI application (uvicorn, one process, uvloop) answers questions of users with what a model streams to
it through the asynchronous openai client, as server-sent events. The model is a process of its own that sends 60
chunks, 5 ms apart, to everybody; the load is a third process, and nothing but the tracer differs. autotrace and MLflow
store what they record from within the server; OpenTelemetry sends it to a collector on the loopback that takes
everything. With 64 requests under way at any time the server's core is saturated, and every microsecond shows; a steady
rate leaves it time. `×` is the figure over that of no tracer in the same round."""


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
    rounds = 1 + max((one.round for one in found), default=0)
    lines = [
        "## Serving",
        (
            f"Measured on {date}: {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
            f"{machine['python']}; load average at the start {load:.1f}. Rounds: {rounds}, interleaved; every figure "
            "is the median over the rounds, and brackets hold the smallest and the largest."
        ),
        _WORDS,
    ]
    lines += [f"- {TITLES[name]} was not measured: {why.strip().splitlines()[-1]}" for name, why in missing.items()]
    if is_changed:
        lines.append("- **The sources of autotrace changed during the run.**")
    for case in dict.fromkeys(one.case for one in found):
        lines += [f"### {case}", _table([one for one in found if one.case == case])]
    lines += ["### Memory and what was recorded", _memory(found)]
    told = "; ".join(
        f"{title}: {', '.join(f'{name} {version}' for name, version in given.items())}"
        for title, given in versions.items()
    )
    return "\n\n".join([*lines, f"Versions: {told}."])


def _table(found: Sequence[Found]) -> str:
    heads = ["tracer"]
    for heading, _, _, has_ratio in _COLUMNS:
        heads += [heading, "×"] if has_ratio else [heading]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    baseline = {one.round: one.figures for one in found if one.setup == BASELINE}
    for name in _names(found):
        same = [one for one in found if one.setup == name]
        row = [TITLES[name]]
        for _, figure, form, has_ratio in _COLUMNS:
            row.append(_cell([one.figures[figure] for one in same], form))
            if has_ratio:
                ratios = [
                    one.figures[figure] / baseline[one.round][figure]
                    for one in same
                    if one.round in baseline and name != BASELINE
                ]
                row.append(_cell(ratios, "{:.3f}"))
        rows.append(row)
    return _lines(rows)


def _memory(found: Sequence[Found]) -> str:
    cases = list(dict.fromkeys(one.case for one in found))
    heads = ["tracer", *(f"{case}: RSS start, middle, end, MiB" for case in cases), "answers", "recorded", "failed"]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for name in _names(found):
        same = [one for one in found if one.setup == name]
        row = [TITLES[name]]
        for case in cases:
            of_case = [one.figures for one in same if one.case == case]
            row.append(", ".join(f"{statistics.median(one[moment] for one in of_case):.0f}" for moment in _MEMORY))
        last = {one.round: one.figures for one in same}
        row += [
            f"{sum(one['asked'] for one in last.values()):,.0f}",
            "" if name == BASELINE else f"{sum(one['complete'] for one in last.values()):,.0f}",
            f"{sum(one.figures['failed'] for one in same):,.0f}",
        ]
        rows.append(row)
    return _lines(rows)


def _names(found: Sequence[Found]) -> list[str]:
    return [setup.name for setup in SETUPS if any(one.setup == setup.name for one in found)]


def _lines(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(values: Sequence[float], form: str) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    middle, spread = form.format(statistics.median(known)), (form.format(min(known)), form.format(max(known)))
    return middle if spread[0] == spread[1] else f"{middle} [{spread[0]}, {spread[1]}]"
