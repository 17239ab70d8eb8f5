"""Turns the runs into the page that people read."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activation import Activation
from processes import Run
from setups import SETUPS, Setup
from workload import CHUNKS, CONCURRENCY

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
CASE_TITLES = {
    "chat": "A chat call",
    "stream": f"A stream of {CHUNKS} chunks, consumed to the end",
    "concurrent": f"{CONCURRENCY} concurrent asynchronous chat calls, per call",
}
OURS = "autotrace"
INTRODUCTION = f"""# What tracing costs

This page says what tracing adds to a program that calls a model through the openai SDK: time on the calling
thread, processor time of the whole process, memory, and start-up time. autotrace stands beside the
alternatives, each set up as its own documentation says for production, with content capture on, in an
environment and a process of its own.

The model's answers come from memory, so that no network is measured; a real model takes seconds where these
calls take a millisecond. The tracers that export to a server send to one on the loopback that accepts
everything. MLflow writes to its SQLite store inside the measured process, and so does autotrace: all their
work is counted.

To reproduce: `make bench`, or `python benchmarks/run.py --write docs/performance.md`. How to read the tables,
and what they do not show, stands in `benchmarks/README.md`. The part below is written by that command.

{BEGIN}
{END}
"""


@dataclass(frozen=True)
class Report:
    """Everything one benchmark run found out."""

    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    unavailable: Mapping[str, str]
    rounds: int
    runs: Sequence[Run]
    activations: Sequence[Activation]
    switched_off: Mapping[str, Any] | None
    changed: Sequence[str] = ()

    def markdown(self) -> str:
        """The whole report."""
        parts = [self._origin()]
        parts += [_case_table(case, self.runs) for case in CASE_TITLES]
        parts += [self._activation_table(), self._switched_off_part(), self._versions_table()]
        return "\n\n".join(part for part in parts if part)

    def _origin(self) -> str:
        machine = self.machine
        origin = (
            f"Measured on {self.date}: {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']}, {machine['python']}. Rounds: {self.rounds}, interleaved; every figure is "
            "the median over the rounds, and brackets hold the smallest and the largest."
        )
        missing = [f"- {_title(name)} was not measured: {last_line(why)}" for name, why in self.unavailable.items()]
        missing += [f"- **The sources of {_title(name)} changed during the run.**" for name in self.changed]
        return "\n".join([origin, *(["", *missing] if missing else [])])

    def _activation_table(self) -> str:
        if not self.activations:
            return ""
        bare = statistics.median(one.bare_ms for one in self.activations)
        openai = statistics.median(one.openai_ms for one in self.activations)
        rows = [
            [
                _title(one.setup),
                _decimal(one.added_ms),
                _decimal(one.added_to_openai_ms),
                self._first_call_ms(one.setup),
                str(one.modules),
                _list(one.heavy),
            ]
            for one in self.activations
            if one.setup != "none"
        ]
        head = [
            "setup",
            "added to `pass`, ms",
            "added to `import openai`, ms",
            "added to the first chat call, ms",
            "modules loaded",
            "heavy ones among them",
        ]
        text = (
            f"Whole processes, started, activated and ended. `python -c pass` takes {bare:.0f} ms here, "
            f"`python -c 'import openai'` {openai:.0f} ms. Modules are those the activation alone loads; "
            "what a tracer puts off until it is needed shows in the first chat call of the process."
        )
        return f"### Activation\n\n{text}\n\n{_table(head, rows)}"

    def _first_call_ms(self, setup: str) -> str:
        of_setup, baseline = (
            [run for run in self.runs if (run.case, run.setup) == ("chat", name)] for name in (setup, "none")
        )
        added = _added(of_setup, baseline, "first_call_ns")
        return _decimal(statistics.median(added) / 1000) if added else ""

    def _switched_off_part(self) -> str:
        off = self.switched_off
        if not off:
            return ""
        restored = "is the original function again" if off["restored"] else "still leads through the wrapper"
        lines = [
            "### Switched off",
            "",
            f'After `autotrace.autolog("openai", disable=True)`, `{off["function"]}` {restored}.',
            f"Added to a call of a function that does nothing ({off['bare_ns']:.0f} ns):",
            "",
            f"- looked up after switching off: {off['off_added_ns'] / 1000:.3f} µs",
            f"- a bound method kept from when it was on: {off['held_off_added_ns'] / 1000:.3f} µs",
        ]
        if off["on_untraced_added_ns"] is not None:
            lines.append(f"- switched on, a request that is not traced: {off['on_untraced_added_ns'] / 1000:.3f} µs")
        return "\n".join(lines)

    def _versions_table(self) -> str:
        shared = self.versions.get("none", {})
        rows = []
        for setup in SETUPS:
            if setup.name in self.versions:
                versions = self.versions[setup.name]
                shown = setup.shown or ("openai", "pydantic", "httpx2")
                rows.append([setup.title, _list([f"{name} {versions[name]}" for name in shown if name in versions])])
        same = all(
            versions.get(name) == shared.get(name)
            for versions in self.versions.values()
            for name in ("openai", "pydantic", "httpx2")
        )
        remark = (
            "All environments have the same openai, pydantic and httpx2."
            if same
            else "**openai, pydantic or httpx2 differ.**"
        )
        return f"### Versions\n\n{_table(['setup', 'packages'], rows)}\n\n{remark}"


def write(page: Path, markdown: str) -> None:
    """Put the report between the markers of a page; create the page if it is missing.

    Raises:
        ValueError: The page has no markers.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else INTRODUCTION
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} and {END} to write between")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{before}{BEGIN}\n\n{markdown}\n\n{END}{after}", encoding="utf-8")


def _case_table(case: str, runs: Sequence[Run]) -> str:
    by_setup = {setup: [run for run in runs if (run.case, run.setup) == (case, setup)] for setup in _names(runs)}
    walls = {setup: _added(of, by_setup["none"], "wall_p50_ns") for setup, of in by_setup.items()}
    processors = {setup: _added(of, by_setup["none"], "cpu_ns") for setup, of in by_setup.items()}
    rows = []
    for name, of_setup in by_setup.items():
        if of_setup:
            wall, cpu = [_microseconds(of_setup, figure) for figure in ("wall_p50_ns", "cpu_ns")]
            rows.append(
                [
                    _title(name), wall, *_cells(name, walls), _microseconds(of_setup, "wall_p99_ns"),
                    cpu, *_cells(name, processors), _mebibytes(of_setup), _seen(name, of_setup),
                ]
            )  # fmt: skip
    head = [
        "setup", "wall p50, µs", "added, µs", "× cheapest other", "wall p99, µs",
        "CPU, µs", "added, µs", "× cheapest other", "peak RSS, MiB", "spans seen",
    ]  # fmt: skip
    note = ""
    if case == "stream" and walls.get(OURS):
        note = f"\n\nPer chunk, autotrace adds {statistics.median(walls[OURS]) / CHUNKS:.2f} µs."
    return f"### {CASE_TITLES[case]}\n\n{_table(head, rows)}{note}"


def _names(runs: Sequence[Run]) -> list[str]:
    measured = {run.setup for run in runs}
    return [setup.name for setup in SETUPS if setup.name in measured]


def _added(runs: Sequence[Run], baseline: Sequence[Run], figure: str) -> list[float]:
    """What each round added, in microseconds, to that round's baseline, so that drift cancels out."""
    base = {run.round: run.figures[figure] for run in baseline}
    return [(run.figures[figure] - base[run.round]) / 1000 for run in runs if run.round in base]


def _cells(name: str, added: Mapping[str, Sequence[float]]) -> tuple[str, str]:
    """What a setup added with its range, and its ratio to the cheapest alternative to autotrace."""
    if name == "none" or not added[name]:
        return "", ""
    median = statistics.median(added[name])
    others = [statistics.median(of) for other, of in added.items() if of and other not in ("none", OURS)]
    ratio = f"{median / min(others):.2f}" if others and min(others) > 0 else ""
    spread = f" [{_number(min(added[name]))}, {_number(max(added[name]))}]" if len(added[name]) > 1 else ""
    return _number(median) + spread, ratio


def _microseconds(runs: Sequence[Run], figure: str) -> str:
    return _number(_median(runs, lambda run: run.figures[figure] / 1000))


def _mebibytes(runs: Sequence[Run]) -> str:
    return _number(_median(runs, lambda run: run.figures["peak_rss_kib"] / 1024))


def _median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(map(of, runs))


def _seen(name: str, runs: Sequence[Run]) -> str:
    """How many of the calls left a span, and how many of those spans are complete."""
    if name == "none":
        return ""
    calls = sum(run.figures["recorded_calls"] for run in runs)
    spans = sum(run.recorded.spans for run in runs)
    complete = sum(run.recorded.complete for run in runs)
    remark = "" if complete == spans else f", {complete:,} complete"
    return f"{spans:,} of {calls:,}{remark}"


def _title(name: str) -> str:
    titles: dict[str, Setup] = {setup.name: setup for setup in SETUPS}
    return titles[name].title


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"


def _decimal(value: float) -> str:
    return f"{value:,.1f}"


def last_line(reason: object) -> str:
    """The last line of a reason, which in a traceback is the one that says what happened."""
    lines = [line for line in str(reason).splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "no reason given"


def _list(items: Sequence[str]) -> str:
    return ", ".join(items) or "none"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *(["---:"] * (len(head) - 1))] if len(head) > 2 else ["---"] * len(head)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
