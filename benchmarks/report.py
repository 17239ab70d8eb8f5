"""Turns the runs into what people read: a part per family."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activation import Activation
from families import Case, Family
from processes import Run
from setups import BASELINE, OURS, SETUPS, TITLES
from workload import CHUNKS

_COLUMNS = (
    "setup", "wall p50, µs", "added, µs", "× cheapest other", "wall p99, µs",
    "CPU, µs", "added, µs", "× cheapest other", "peak RSS, MiB",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Everything that one benchmark run found out about one family."""

    family: Family
    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    unavailable: Mapping[str, str]
    rounds: int
    runs: Sequence[Run]
    activations: Sequence[Activation] = ()
    switched_off: Mapping[str, Any] | None = None
    changed: Sequence[str] = ()

    def markdown(self) -> str:
        """The whole part."""
        parts = [f"## {self.family.title}", self._origin()]
        parts += [_case_part(self.family, case, self.runs) for case in self.family.cases]
        parts += [self._activation_table(), self._switched_off_part(), self._versions_table()]
        return "\n\n".join(part for part in parts if part)

    def _origin(self) -> str:
        machine = self.machine
        origin = (
            f"Measured on {self.date}: {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']}, {machine['python']}. Rounds: {self.rounds}, interleaved; every figure is "
            "the median over the rounds, and brackets hold the smallest and the largest."
        )
        missing = [f"- {TITLES[name]} was not measured: {last_line(why)}" for name, why in self.unavailable.items()]
        missing += [f"- **The sources of {TITLES[name]} changed during the run.**" for name in self.changed]
        return "\n".join([origin, *(["", *missing] if missing else [])])

    def _activation_table(self) -> str:
        if not self.activations:
            return ""
        bare = statistics.median(one.bare_ms for one in self.activations)
        openai = statistics.median(one.openai_ms for one in self.activations)
        rows = [
            [
                TITLES[one.setup],
                _decimal(one.added_ms),
                _decimal(one.added_to_openai_ms),
                self._first_call_ms(one.setup),
                str(one.modules),
                _list(one.heavy),
            ]
            for one in self.activations
            if one.setup != BASELINE
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
            [run for run in self.runs if (run.case, run.setup) == ("chat", name)] for name in (setup, BASELINE)
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
        rows = []
        for setup in SETUPS:
            if setup.family == self.family and setup.name in self.versions:
                versions = self.versions[setup.name]
                packages = [f"{name} {versions[name]}" for name in setup.shown if name in versions]
                rows.append([setup.title, _list(packages)])
        shared = self.versions[BASELINE]
        same = all(
            versions.get(name) == shared.get(name) for versions in self.versions.values() for name in self.family.pinned
        )
        pinned = f"{', '.join(self.family.pinned[:-1])} and {self.family.pinned[-1]}"
        remark = f"All environments have the same {pinned}." if same else f"**{pinned} differ.**"
        return f"### Versions\n\n{_table(['setup', 'packages'], rows)}\n\n{remark}"


def _case_part(family: Family, case: Case, runs: Sequence[Run]) -> str:
    by_setup = _by_setup(family, [run for run in runs if run.case == case.name])
    if BASELINE not in by_setup:
        return ""
    walls = {name: _added(of_setup, by_setup[BASELINE], "wall_p50_ns") for name, of_setup in by_setup.items()}
    processors = {name: _added(of_setup, by_setup[BASELINE], "cpu_ns") for name, of_setup in by_setup.items()}
    rivals = [name for name, of_setup in by_setup.items() if name not in (BASELINE, OURS) and _records(of_setup)]
    rows = []
    for name, of_setup in by_setup.items():
        wall, cpu = [_microseconds(of_setup, figure) for figure in ("wall_p50_ns", "cpu_ns")]
        recorded = _recorded(of_setup) if family.trees else [_seen(of_setup)]
        rows.append(
            [
                TITLES[name], wall, *_cells(name, walls, rivals), _microseconds(of_setup, "wall_p99_ns"),
                cpu, *_cells(name, processors, rivals), _mebibytes(of_setup),
                *(recorded if name != BASELINE else [""] * len(recorded)),
            ]
        )  # fmt: skip
    ends = ["model call recorded", "spans a call", "input tokens a call"] if family.trees else ["spans seen"]
    notes = _notes(family, case, walls)
    return "\n\n".join([f"### {case.title}", _table([*_COLUMNS, *ends], rows), *([notes] if notes else [])])


def _notes(family: Family, case: Case, walls: Mapping[str, Sequence[float]]) -> str:
    notes = []
    if family.trees:
        notes.append(f"The models reported {case.billed:,} input tokens a call.")
    if "stream" in case.name and walls.get(OURS):
        notes.append(f"Per chunk, autotrace adds {statistics.median(walls[OURS]) / CHUNKS:.2f} µs.")
    return " ".join(notes)


def _by_setup(family: Family, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each setup that has any, in the order of SETUPS."""
    names = [setup.name for setup in SETUPS if setup.family == family]
    measured = {name: [run for run in runs if run.setup == name] for name in names}
    return {name: of_setup for name, of_setup in measured.items() if of_setup}


def _added(runs: Sequence[Run], baseline: Sequence[Run], figure: str) -> list[float]:
    """What each round added, in microseconds, to that round's baseline, so that drift cancels out."""
    base = {run.round: run.figures[figure] for run in baseline}
    return [(run.figures[figure] - base[run.round]) / 1000 for run in runs if run.round in base]


def _cells(name: str, added: Mapping[str, Sequence[float]], rivals: Sequence[str]) -> tuple[str, str]:
    """What a setup added with its range, and its ratio to the cheapest of the rivals."""
    if name == BASELINE or not added[name]:
        return "", ""
    median = statistics.median(added[name])
    others = [statistics.median(added[rival]) for rival in rivals if added[rival]]
    ratio = f"{median / min(others):.2f}" if others and min(others) > 0 else ""
    spread = f" [{_number(min(added[name]))}, {_number(max(added[name]))}]" if len(added[name]) > 1 else ""
    return _number(median) + spread, ratio


def _microseconds(runs: Sequence[Run], figure: str) -> str:
    return _number(_median(runs, lambda run: run.figures[figure] / 1000))


def _mebibytes(runs: Sequence[Run]) -> str:
    return _number(_median(runs, lambda run: run.figures["peak_rss_kib"] / 1024))


def _median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(map(of, runs))


def _calls(runs: Sequence[Run]) -> int:
    """How many calls a tracer could record: the warm-up counts too."""
    return sum(run.figures["recorded_calls"] for run in runs)


def _records(runs: Sequence[Run]) -> bool:
    """Whether the model call itself is recorded; a few spans may have been dropped."""
    return sum(run.recorded.complete for run in runs) > 0.9 * _calls(runs)


def _seen(runs: Sequence[Run]) -> str:
    """How many of the calls left a span, and how many of those spans are complete."""
    spans = sum(run.recorded.spans for run in runs)
    complete = sum(run.recorded.complete for run in runs)
    remark = "" if complete == spans else f", {complete:,} complete"
    return f"{spans:,} of {_calls(runs):,}{remark}"


def _recorded(runs: Sequence[Run]) -> list[str]:
    """Whether model calls were recorded; the spans and the input tokens of a call."""
    calls = _calls(runs)
    complete = sum(run.recorded.complete for run in runs)
    answer = "yes" if complete >= calls else f"{complete:,} of {calls:,}" if complete else "no"
    spans, tokens = (sum(getattr(run.recorded, what) for run in runs) for what in ("spans", "input_tokens"))
    return [answer, f"{spans / calls:.1f}", f"{tokens / calls:,.0f}"]


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
