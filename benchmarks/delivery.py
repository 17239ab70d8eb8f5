"""What becomes of spans after the call: the journal, the store, servers that are up, and servers that are not.

    python benchmarks/delivery.py                                  five parts, some five minutes on two cores
    python benchmarks/delivery.py --quick                          does it work? no figures to rely on
    python benchmarks/delivery.py --parts journal,store            some of them
    python benchmarks/delivery.py --write docs/performance.md      all, and written to the page

It needs the standard library alone, and makes an environment for each tracer, as run.py does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import delivery_report
import machine
import page
from delivering import SPANS
from delivery_report import Found
from delivery_runs import Outcome, Work, run
from delivery_setups import BATCHES, MLFLOW, OURS, SETUPS, MlflowServer
from environments import SetupUnavailableError, fingerprint, interpreter, prepare
from relay import Relay
from setups import Setup
from sink import Sink

ROUNDS = 3
#: What a drainer in a process of its own takes to the store.
_ADOPT = """
import json, sys, time
from pathlib import Path
from autotrace.delivery.destinations.sqlite import StoreDestination
from autotrace.delivery.drain import Drainer
home = Path(sys.argv[1])
drainer = Drainer(home / "journal", [StoreDestination(home / "traces.db")])
begun, cpu = time.perf_counter(), time.process_time()
done = drainer.adopt()
print(json.dumps([done, time.perf_counter() - begun, time.process_time() - cpu]))
"""


class Bench:
    """Measures the parts, a round at a time.

    Args:
        folder: Where homes and databases lie; a real disk.
        share: Of the usual lengths.
        missing: Setups that could not be installed.
    """

    def __init__(self, folder: Path, share: float, missing: Mapping[str, str]) -> None:
        self._folder = folder
        self._share = share
        self._missing = missing
        self.found: list[Found] = []

    def journal(self) -> None:
        """Spans into the journal as fast as they can be made, from one process and from four."""
        for processes in (1, 4):
            with self._home() as home:
                outcome = run(OURS, Work("journal", seconds=3 * self._share), home, {}, processes)
                self._keep("journal", f"{processes} process{'es' * (processes > 1)}", OURS, outcome)

    def store(self) -> None:
        """What ended processes have left into the store by one drainer; then eight processes, each with its own."""
        with self._home() as home:
            made = run(OURS, Work("journal", traces=int(4000 * self._share)), home, {}).made
            command = [str(interpreter(OURS)), "-c", _ADOPT, str(home / "home")]
            done, seconds, cpu = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            figures = {"made": made, "rate": made / seconds, "cpu_per_10k": 10_000 * cpu / made, "complete": done}
            self.found.append(Found("store", "one drainer", OURS.name, figures))
        with self._home() as home:
            work = Work("autotrace", seconds=8 * self._share, rate=500 / SPANS, flush=30)
            outcome = run(OURS, work, home, {"AUTOTRACE_DESTINATION": "store"}, 8)
            self._keep("store", "8 processes at 500 spans/s each", OURS, outcome)

    def otlp(self) -> None:
        """A server that takes everything: as fast as spans can be made, and 2,000 a second."""
        loads = {
            "20,000 spans at once": Work("", traces=int(4000 * self._share), flush=60),
            "2,000 spans/s": Work("", seconds=5 * self._share, rate=2000 / SPANS, flush=60),
        }
        for load, work in loads.items():
            for setup in self._there(OURS, BATCHES):
                sink = Sink()
                with self._home() as home:
                    outcome = run(setup, _by(work, setup), home, _otlp(sink.url))
                    arrived = sink.take().spans - SPANS * work.warmup
                sink.shutdown()
                self._keep("otlp", load, setup, outcome, arrived=arrived)

    def mlflow(self) -> None:
        """The same MLflow server for both."""
        setups = self._there(OURS, MLFLOW)
        if MLFLOW not in setups:
            return
        with self._home() as folder:
            server = MlflowServer(folder)
            try:
                for setup in setups:
                    before = server.spans()
                    with self._home() as home:
                        work = _by(Work("", traces=int(200 * self._share), flush=120, warmup=5), setup)
                        outcome = run(setup, work, home, _mlflow(server.url))
                    arrived = server.spans() - before - SPANS * work.warmup
                    self._keep("mlflow", f"{work.traces * SPANS:,} spans at once", setup, outcome, arrived=arrived)
            finally:
                server.close()

    def down(self) -> None:
        """100 traces a second to a server that is up, and to one that is no longer, in two ways."""
        sink = Sink()
        for setup in self._there(OURS, BATCHES):
            self._states("otlp", setup, sink.url, _otlp)
            sink.take()
        sink.shutdown()
        setups = self._there(OURS, MLFLOW)
        if MLFLOW in setups:
            with self._home() as folder:
                server = MlflowServer(folder)
                try:
                    for setup in setups:
                        self._states("mlflow", setup, server.url, _mlflow)
                finally:
                    server.close()

    def _states(self, kind: str, setup: Setup, url: str, variables: Callable[[str], dict[str, str]]) -> None:
        work = _by(Work("", seconds=3 * self._share, rate=100, warmup=20), setup)
        for state in ("up", "refuses", "says nothing"):
            relay = Relay(url)
            before = {"refuses": relay.refuse, "says nothing": relay.fall_silent}.get(state, lambda: None)
            with self._home() as home:
                try:
                    outcome = run(setup, work, home, variables(relay.url), before=before)
                except RuntimeError as error:
                    print(f"{kind}, {setup.name}, {state}: {error}", file=sys.stderr)
                    self.found.append(Found("down", f"{kind}, {state}", setup.name, {"p50": float("inf")}))
                else:
                    self._keep("down", f"{kind}, {state}", setup, outcome)
            relay.refuse()

    def _keep(self, part: str, case: str, setup: Setup, outcome: Outcome, arrived: int | None = None) -> None:
        figures = delivery_report.figures(outcome)
        if arrived is not None:
            figures |= {"arrived": arrived, "lost": outcome.made - arrived}
        self.found.append(Found(part, case, setup.name, figures))

    def _there(self, *setups: Setup) -> list[Setup]:
        return [setup for setup in setups if setup.name not in self._missing]

    @contextmanager
    def _home(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


PARTS: Mapping[str, Callable[[Bench], None]] = {
    "journal": Bench.journal,
    "store": Bench.store,
    "otlp": Bench.otlp,
    "mlflow": Bench.mlflow,
    "down": Bench.down,
}


def _by(work: Work, setup: Setup) -> Work:
    return Work(**{**work.__dict__, "tracer": setup.tracer})


def _otlp(url: str) -> dict[str, str]:
    return {"AUTOTRACE_DESTINATION": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "bench"}


def _mlflow(url: str) -> dict[str, str]:
    return {"AUTOTRACE_DESTINATION": "mlflow", "MLFLOW_TRACKING_URI": url, "MLFLOW_EXPERIMENT_NAME": "bench"}


def main() -> None:
    """Measures and prints; with --write into the page, too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one round, each a fifth as long")
    parser.add_argument("--folder", type=Path, help="where the homes lie; the folder of temporary files when left out")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put all parts between their markers of this page")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := set(parts) - PARTS.keys():
        parser.error(f"no such parts: {', '.join(sorted(unknown))}")
    if arguments.write and (arguments.quick or set(parts) != PARTS.keys()):
        parser.error("--write takes whole runs of all parts")
    versions, missing = _prepare()
    if OURS.name in missing:
        sys.exit(missing[OURS.name])
    before = fingerprint(OURS)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="autotrace-bench-", dir=arguments.folder) as folder:
        bench = Bench(Path(folder), 0.2 if arguments.quick else 1.0, missing)
        for number in range(1 if arguments.quick else arguments.rounds):
            for part in parts:
                print(f"round {number + 1}: {part}", file=sys.stderr, flush=True)
                PARTS[part](bench)
    text = delivery_report.markdown(
        bench.found,
        machine.describe(),
        datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        {
            setup.title: {name: versions[setup.name][name] for name in setup.shown}
            for setup in SETUPS
            if setup.name in versions
        },
        missing,
        load,
        before != fingerprint(OURS),
    )
    print(text)
    if arguments.write:
        page.write(arguments.write, page.DELIVERY, text)


def _prepare() -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The versions in each environment, and why some are missing."""
    versions: dict[str, dict[str, str]] = {}
    missing: dict[str, str] = {}
    for setup in SETUPS:
        print(f"preparing {setup.title}", file=sys.stderr, flush=True)
        try:
            versions[setup.name] = prepare(setup, {})
        except SetupUnavailableError as error:
            missing[setup.name] = str(error)
    return versions, missing


if __name__ == "__main__":
    main()
