"""What tracing costs a server under load: streamed answers to many users at once, paired with no tracing at all.

    python benchmarks/serving.py                                   four tracers, some 20 minutes on two cores
    python benchmarks/serving.py --rounds 1 --seconds 10           does it work? no figures to rely on
    python benchmarks/serving.py --setups none,autotrace           some of them
    python benchmarks/serving.py --write docs/performance.md       all, and written to the page

It needs Linux and the standard library, and makes an environment for each tracer, as run.py does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import machine
import page
import serving_report
from environments import SetupUnavailableError, fingerprint, pins_of, prepare
from processes import Bench
from serving_report import Found
from serving_runs import Outcome, Plan, Served, model
from serving_setups import FAMILY, SETUPS
from setups import BASELINE, OURS, Setup
from sink import NOTHING

ROUNDS, SECONDS, WARMUP_SECONDS = 3, 60.0, 8.0
CONCURRENCY, RATE = 64, 16.0


def main() -> None:
    """Measures and prints; with --write into the page, too."""
    arguments = _arguments()
    versions, missing = _prepare(arguments.setups)
    ready = [setup for setup in arguments.setups if setup.name not in missing]
    ours = next((setup for setup in ready if setup.name == OURS), None)
    before = fingerprint(ours) if ours else ""
    load = os.getloadavg()[0]
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="autotrace-bench-", dir=arguments.folder) as folder, model() as port:
        rounds = _Rounds(Path(folder), port, arguments.seconds)
        for number in range(arguments.rounds):
            # Whoever comes first has the coolest processor: in turn.
            for setup in ready[number % len(ready) :] + ready[: number % len(ready)]:
                print(f"round {number + 1}: {setup.title}", file=sys.stderr, flush=True)
                try:
                    found += rounds.measure(setup, number)
                except SetupUnavailableError as error:
                    missing[setup.name] = str(error)
                    print(f"  {error}", file=sys.stderr, flush=True)
                _tell(found)
    text = serving_report.markdown(
        found,
        machine.describe(),
        datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        {setup.title: {name: versions[setup.name][name] for name in setup.shown} for setup in ready},
        missing,
        load,
        is_changed=bool(ours) and before != fingerprint(ours),
    )
    print(text)
    if arguments.json:
        arguments.json.write_text(json.dumps([one.__dict__ for one in found], indent=1), encoding="utf-8")
    if arguments.write:
        page.write(arguments.write, page.SERVING, text)


class _Rounds:
    """Serves under one tracer after the other, each time from a fresh home."""

    def __init__(self, folder: Path, model_port: int, seconds: float) -> None:
        self._folder = folder
        self._bench = Bench(folder)
        self._model_port = model_port
        self._plans = (
            Plan(f"{CONCURRENCY} at once", seconds, concurrency=CONCURRENCY),
            Plan(f"{RATE:.0f} a second", seconds / 2, rate=RATE),
        )

    def measure(self, setup: Setup, number: int) -> list[Found]:
        """One round of one setup."""
        home = Path(tempfile.mkdtemp(prefix=f"{setup.key}-", dir=self._folder))
        environment = self._bench.environment(setup, home)
        served = Served(setup, environment, home, self._model_port)
        outcomes: list[tuple[Plan, Outcome]] = []
        try:
            warmup = served.ask(Plan("warm up", WARMUP_SECONDS, concurrency=CONCURRENCY // 4))
            for plan in self._plans:
                served.rest()
                outcomes.append((plan, served.ask(plan)))
            served.rest()
        finally:
            served.close()
        seen = self._bench.count(setup, home) if setup.recorded_in != "nowhere" else NOTHING
        shutil.rmtree(home, ignore_errors=True)
        all_answers = warmup.answered + sum(outcome.answered for _, outcome in outcomes)
        whole = {"asked": all_answers, "spans": seen.spans, "complete": seen.complete}
        return [Found(plan.title, setup.name, number, {**outcome.figures(), **whole}) for plan, outcome in outcomes]


def _tell(found: list[Found]) -> None:
    for one in found[-2:]:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in one.figures.items())
        print(f"  {one.case}: {shown}", file=sys.stderr, flush=True)


def _prepare(setups: list[Setup]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The versions in each environment, and why some are missing."""
    versions: dict[str, dict[str, str]] = {}
    missing: dict[str, str] = {}
    for setup in setups:
        print(f"preparing {setup.title}", file=sys.stderr, flush=True)
        try:
            versions[setup.name] = prepare(setup, pins_of(FAMILY, versions.get(BASELINE, {})))
        except SetupUnavailableError as error:
            missing[setup.name] = str(error)
            print(f"  {error}", file=sys.stderr, flush=True)
    return versions, missing


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [setup.name for setup in SETUPS]
    parser.add_argument("--setups", default=",".join(names), help=f"some of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured (default {ROUNDS})")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"of load with {CONCURRENCY} at once (default {SECONDS:.0f})"
    )
    parser.add_argument("--folder", type=Path, help="where homes lie; the folder of temporary files when left out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every figure")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the part between its markers of this page")
    arguments = parser.parse_args()
    wanted = arguments.setups.split(",")
    if unknown := set(wanted) - set(names):
        parser.error(f"no such setups: {', '.join(sorted(unknown))}")
    if BASELINE not in wanted:
        parser.error(f"without {BASELINE} there is nothing to compare with")
    if arguments.write and (set(wanted) != set(names) or arguments.seconds < SECONDS):
        parser.error("--write takes whole runs of all setups")
    arguments.setups = [setup for setup in SETUPS if setup.name in wanted]
    return arguments


if __name__ == "__main__":
    main()
