"""What tracing adds to a program: autotrace beside the alternatives, in one run.

    python benchmarks/run.py                                  the whole comparison, printed
    python benchmarks/run.py --write docs/performance.md      and written into that page
    python benchmarks/run.py --cases chain,query              some of it
    python benchmarks/run.py --setups none,autotrace --quick  a first look in two minutes

Needs nothing but the standard library; the environments are made under benchmarks/.envs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import activation
import environments
import machine
import page
import report
from environments import SetupUnavailableError
from families import ACTIVATION, FAMILIES, SWITCHED_OFF, Family
from processes import Bench, Run
from setups import BASELINE, OURS, SETUPS, Setup

ROUNDS, SECONDS, ACTIVATION_RUNS, ACTIVATION_SECONDS = 5, 1.5, 15, 8.0


@dataclass(frozen=True)
class Group:
    """The setups of one family that run here, and why others do not: filled in as they are tried and measured."""

    family: Family
    setups: list[Setup]
    versions: dict[str, dict[str, str]]
    unavailable: dict[str, str]

    def ready(self) -> list[Setup]:
        """The setups that have not failed so far."""
        return [setup for setup in self.setups if setup.name not in self.unavailable]


def main() -> None:
    """Prepare the environments, measure in turn, report."""
    arguments = _arguments()
    if arguments.refresh:
        shutil.rmtree(environments.ENVIRONMENTS, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="autotrace-bench-") as folder:
        parts = _measure(arguments, Path(folder))
    print("\n\n".join(part.markdown() for part in parts))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(part) for part in parts], indent=1), encoding="utf-8")
    if arguments.write:
        for part in parts:
            page.write(arguments.write, part.family.name, part.markdown())


def _measure(arguments: argparse.Namespace, folder: Path) -> list[report.Part]:
    bench = Bench(folder)
    groups = _prepare(bench, arguments.setups, arguments.cases)
    rounds = 1 if arguments.quick else arguments.rounds
    before = _fingerprints(groups)
    runs = _runs(bench, groups, arguments.cases, rounds, 0.5 if arguments.quick else SECONDS)
    activations = _activations(bench, groups, folder, arguments) if ACTIVATION in arguments.cases else []
    switched_off = _switched_off(bench, groups) if SWITCHED_OFF in arguments.cases else None
    after = _fingerprints(groups)
    return [
        report.Part(
            family=group.family,
            date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            machine=machine.describe(),
            versions=group.versions,
            unavailable=group.unavailable,
            rounds=rounds,
            runs=runs[group.family.name],
            activations=activations if ACTIVATION in group.family.others else [],
            switched_off=switched_off if SWITCHED_OFF in group.family.others else None,
            changed=[setup.name for setup in group.ready() if before[setup.key] != after[setup.key]],
        )
        for group in groups
    ]


def _fingerprints(groups: list[Group]) -> dict[str, str]:
    return {setup.key: environments.fingerprint(setup) for group in groups for setup in group.setups}


def _prepare(bench: Bench, setups: list[Setup], names: set[str]) -> list[Group]:
    """Install and try each setup of the families wanted. A family whose baseline fails is left out."""
    groups = []
    for family in FAMILIES:
        if not names & set(family.measurements):
            continue
        group = Group(family, [setup for setup in setups if setup.family == family], {}, {})
        for setup in group.setups:
            _try_out(bench, group, setup)
            if BASELINE in group.unavailable:
                _say(f"{family.title} is left out: without a baseline there is nothing to compare with.")
                break
        else:
            groups.append(group)
    if not groups:
        raise SystemExit("No baseline can run.")
    return groups


def _try_out(bench: Bench, group: Group, setup: Setup) -> None:
    """Install and try a setup. If it fails, the reason is noted."""
    _say(f"environment of {setup.key}")
    try:
        pins = environments.pins_of(group.family, group.versions.get(BASELINE, {}))
        installed = environments.prepare(setup, pins)
        seen = bench.try_out(setup)
    except SetupUnavailableError as error:
        group.unavailable[setup.name] = str(error)
        _say(f"  left out: {report.last_line(error)}")
        return
    group.versions[setup.name] = installed
    _say(f"  a trial recorded {seen.spans} spans, {seen.complete} of them complete")


def _runs(bench: Bench, groups: list[Group], names: set[str], rounds: int, seconds: float) -> dict[str, list[Run]]:
    """Measure round by round; in a round the setups take turns at each case, so that drift hits all alike.

    Returns: The runs of each family, without those of setups that failed later.
    """
    runs: dict[str, list[Run]] = {group.family.name: [] for group in groups}
    for number in range(1, rounds + 1):
        for group in groups:
            for case in group.family.cases:
                if case.name in names:
                    runs[group.family.name] += _turn(bench, group, case.name, number, seconds)
    return {
        group.family.name: [run for run in runs[group.family.name] if run.setup not in group.unavailable]
        for group in groups
    }


def _turn(bench: Bench, group: Group, case: str, number: int, seconds: float) -> list[Run]:
    """Measure one case under each setup that has not failed so far."""
    runs = []
    for setup in group.ready():
        try:
            run = bench.measure(setup, case, number, seconds)
        except SetupUnavailableError as error:
            group.unavailable[setup.name] = f"failed during {case}: {error}"
            _say(f"{setup.key} is left out from here on: {report.last_line(error)}")
            continue
        runs.append(run)
        _say(f"round {number} {case} {setup.name}: {_brief(run)}")
    return runs


def _brief(run: Run) -> str:
    wall, cpu = run.figures["wall_p50_ns"] / 1000, run.figures["cpu_ns"] / 1000
    recorded = f"{run.recorded.complete} of {run.figures['recorded_calls']} recorded"
    return f"{wall:.0f} µs wall, {cpu:.0f} µs CPU, {recorded}"


def _activations(
    bench: Bench, groups: list[Group], folder: Path, arguments: argparse.Namespace
) -> list[activation.Activation]:
    _say("activation")
    runs, seconds = (3, 1.0) if arguments.quick else (ACTIVATION_RUNS, ACTIVATION_SECONDS)
    setups = [setup for group in groups if ACTIVATION in group.family.others for setup in group.ready()]
    return activation.measure(bench, setups, runs, seconds, folder)


def _switched_off(bench: Bench, groups: list[Group]) -> dict[str, Any] | None:
    """The cost of a wrapper that is off; None where autotrace is not measured or cannot tell."""
    for group in groups:
        for setup in group.ready():
            if setup.name == OURS and SWITCHED_OFF in group.family.others:
                _say("switched off")
                try:
                    return bench.script(setup, "switched_off.py")
                except SetupUnavailableError as error:
                    _say(f"  not measured: {report.last_line(error)}")
    return None


def _arguments() -> argparse.Namespace:
    tracers = ",".join(dict.fromkeys(setup.name for setup in SETUPS))
    measurements = {family.name: ",".join(family.measurements) for family in FAMILIES}
    listed = "; ".join(f"{name}, which is {members}" for name, members in measurements.items())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setups", type=_setups, default=list(SETUPS), metavar="A,B", help=f"some of {tracers}")
    parser.add_argument(
        "--cases", type=_cases, default=_cases(",".join(measurements)), metavar="A,B", help=f"some of {listed}"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved rounds (default {ROUNDS})")
    parser.add_argument(
        "--quick", action="store_true", help="one short round: tells whether it works, not how fast it is"
    )
    parser.add_argument("--refresh", action="store_true", help="make the environments anew, with the newest versions")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="PAGE",
        help="put the part of each family measured between its markers of this page",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    arguments = parser.parse_args()
    if arguments.write:
        _refuse_halves(parser, arguments.cases)
    return arguments


def _refuse_halves(parser: argparse.ArgumentParser, names: set[str]) -> None:
    """A part has one date, one machine and one table of versions, so it is written whole or not at all."""
    for family in FAMILIES:
        missing = [name for name in family.measurements if name not in names]
        if missing and len(missing) < len(family.measurements):
            parser.error(f"--write replaces the whole part of {family.name}: add {','.join(missing)} to --cases")


def _setups(text: str) -> list[Setup]:
    """The setups named, in the order of SETUPS; the baselines are always among them."""
    wanted = {BASELINE, *text.split(",")}
    unknown = wanted - {setup.name for setup in SETUPS}
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no setup {', '.join(sorted(unknown))}")
    return [setup for setup in SETUPS if setup.name in wanted]


def _cases(text: str) -> set[str]:
    """What is to be measured: the cases named, and all that is measured of the families named."""
    named = set(text.split(","))
    families = [family for family in FAMILIES if family.name in named]
    wanted = named - {family.name for family in families}
    unknown = wanted - {name for family in FAMILIES for name in family.measurements}
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no case {', '.join(sorted(unknown))}")
    return wanted.union(*(family.measurements for family in families))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
