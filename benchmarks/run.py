"""What tracing adds to a program: autotrace beside the alternatives, in one run.

    python benchmarks/run.py                                  the whole comparison, printed
    python benchmarks/run.py --write docs/performance.md      and written into that page
    python benchmarks/run.py --setups none,autotrace --quick  a first look in half a minute

Needs nothing but the standard library; the environments are made under benchmarks/.envs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import activation
import environments
import machine
import report
from environments import SetupUnavailableError
from processes import BLOCK_CALLS, Bench, Run
from setups import SETUPS, Setup

ROUNDS, SECONDS, ACTIVATION_RUNS, ACTIVATION_SECONDS = 5, 1.5, 15, 8.0


def main() -> None:
    """Prepare the environments, measure in turn, report."""
    arguments = _arguments()
    if arguments.refresh:
        shutil.rmtree(environments.ENVIRONMENTS, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="autotrace-bench-") as folder:
        result = _measure(arguments, Path(folder))
    markdown = result.markdown()
    print(markdown)
    if arguments.write:
        report.write(arguments.write, markdown)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")


def _measure(arguments: argparse.Namespace, folder: Path) -> report.Report:
    bench = Bench(folder)
    ready, versions, unavailable = _prepare(bench, arguments.setups)
    rounds = 1 if arguments.quick else arguments.rounds
    seconds = 0.5 if arguments.quick else SECONDS
    before = _fingerprints(ready)
    runs = _runs(bench, ready, rounds, seconds, unavailable)
    ready = [setup for setup in ready if setup.name not in unavailable]
    _say("activation")
    start_runs, start_seconds = (3, 1.0) if arguments.quick else (ACTIVATION_RUNS, ACTIVATION_SECONDS)
    activations = activation.measure(bench, ready, start_runs, start_seconds, folder)
    switched_off = _switched_off(bench, ready)
    return report.Report(
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        machine=machine.describe(),
        versions=versions,
        unavailable=unavailable,
        rounds=rounds,
        runs=runs,
        activations=activations,
        switched_off=switched_off,
        changed=[name for name, digest in _fingerprints(ready).items() if digest != before[name]],
    )


def _fingerprints(setups: list[Setup]) -> dict[str, str]:
    return {setup.name: environments.fingerprint(setup) for setup in setups}


def _prepare(bench: Bench, wanted: list[Setup]) -> tuple[list[Setup], dict[str, dict[str, str]], dict[str, str]]:
    """Install and try each setup. A setup that fails is named with its reason and left out."""
    versions: dict[str, dict[str, str]] = {}
    unavailable: dict[str, str] = {}
    for setup in wanted:
        _say(f"environment of {setup.name}")
        try:
            pins = environments.pins_of(versions.get("none", {}))
            installed = environments.prepare(setup, pins)
            seen = bench.try_out(setup)
        except SetupUnavailableError as error:
            unavailable[setup.name] = str(error)
            _say(f"  left out: {report.last_line(error)}")
            continue
        versions[setup.name] = installed
        _say(f"  a trial recorded {seen.spans} spans, {seen.complete} of them complete")
    if "none" in unavailable:
        raise SystemExit("The baseline cannot run, so there is nothing to compare with.")
    return [setup for setup in wanted if setup.name in versions], versions, unavailable


def _runs(bench: Bench, setups: list[Setup], rounds: int, seconds: float, unavailable: dict[str, str]) -> list[Run]:
    """Measure round by round; in a round the setups take turns at each case, so that drift hits all alike."""
    runs: list[Run] = []
    for number in range(1, rounds + 1):
        for case in BLOCK_CALLS:
            for setup in setups:
                if setup.name in unavailable:
                    continue
                try:
                    run = bench.measure(setup, case, number, seconds)
                except SetupUnavailableError as error:
                    unavailable[setup.name] = f"failed during {case}: {error}"
                    _say(f"{setup.name} is left out from here on: {report.last_line(error)}")
                    continue
                runs.append(run)
                _say(f"round {number} {case} {setup.name}: {_brief(run)}")
    return [run for run in runs if run.setup not in unavailable]


def _brief(run: Run) -> str:
    wall, cpu = run.figures["wall_p50_ns"] / 1000, run.figures["cpu_ns"] / 1000
    recorded = f"{run.recorded.complete} of {run.figures['recorded_calls']} recorded"
    return f"{wall:.0f} µs wall, {cpu:.0f} µs CPU, {recorded}"


def _switched_off(bench: Bench, setups: list[Setup]) -> dict[str, Any] | None:
    """The cost of a wrapper that is off; None where autotrace is not measured or cannot tell."""
    for setup in setups:
        if setup.name == report.OURS:
            _say("switched off")
            try:
                return bench.script(setup, "switched_off.py")
            except SetupUnavailableError as error:
                _say(f"  not measured: {report.last_line(error)}")
    return None


def _arguments() -> argparse.Namespace:
    names = [setup.name for setup in SETUPS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--setups", type=_setups, default=list(SETUPS), metavar="A,B", help=f"some of {','.join(names)}"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved rounds (default {ROUNDS})")
    parser.add_argument(
        "--quick", action="store_true", help="one short round: tells whether it works, not how fast it is"
    )
    parser.add_argument("--refresh", action="store_true", help="make the environments anew, with the newest versions")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the markers of this page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    return parser.parse_args()


def _setups(text: str) -> list[Setup]:
    """The setups named, in the order of SETUPS; the baseline is always among them."""
    wanted = {"none", *text.split(",")}
    unknown = wanted - {setup.name for setup in SETUPS}
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no setup {', '.join(sorted(unknown))}")
    return [setup for setup in SETUPS if setup.name in wanted]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
