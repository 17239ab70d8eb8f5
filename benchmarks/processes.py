"""Runs the measured programs: each in its own process, its own environment and a fresh home folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recorded
from environments import SetupUnavailableError, interpreter
from families import CASES
from setups import Setup
from sink import NOTHING, Recorded, Sink

HERE = Path(__file__).resolve().parent
TIMEOUT_SECONDS = 180
# What the person who runs this has set must not reach the tracers, nor make imports slower than they are.
_FOREIGN = (
    "AUTOTRACE_", "LANGCHAIN_", "LANGFUSE_", "LANGSMITH_", "MLFLOW_", "OPENAI_", "OPENINFERENCE_", "OTEL_",
    "PYTHON", "TRACELOOP_",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One measured process: the worker's figures and what its tracer delivered."""

    setup: str
    case: str
    round: int
    figures: dict[str, Any]
    recorded: Recorded


class Bench:
    """Starts workers, one at a time, and counts what arrives."""

    def __init__(self, folder: Path) -> None:
        """Start the sink; homes are made in `folder`."""
        self._folder = folder
        self._sink = Sink()
        self._seeds: dict[str, tuple[Path, Recorded]] = {}

    def environment(self, setup: Setup, home: Path) -> dict[str, str]:
        """The variables of a measured process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        own = {name: value.format(sink=self._sink.url, home=home) for name, value in setup.variables.items()}
        return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONPATH": str(HERE), **own}

    def try_out(self, setup: Setup) -> Recorded:
        """Run a few calls of each of the family's cases once; keep the home as a seed if the setup wants one.

        Raises:
            SetupUnavailableError: The setup does not run here.
        """
        home = self._folder / "seeds" / setup.key
        home.mkdir(parents=True)
        for case in setup.family.cases:
            self._work(setup, case.name, home, seconds=0, block=1)
        seen = self.count(setup, home)
        if setup.seeded:
            self._seeds[setup.key] = (home, seen)
        return seen

    def measure(self, setup: Setup, case: str, round_number: int, seconds: float) -> Run:
        """Measure one case under one setup.

        Raises:
            SetupUnavailableError: The worker failed.
        """
        home = self._home(setup)
        before = self._seeds[setup.key][1] if setup.seeded else NOTHING
        block = int(CASES[case].block * setup.block_share)
        figures = self._work(setup, case, home, seconds, block)
        seen = self.count(setup, home) - before
        shutil.rmtree(home)
        return Run(setup.name, case, round_number, figures, seen)

    def script(self, setup: Setup, script: str) -> dict[str, Any]:
        """Run a script of this folder in a setup's environment and return what it printed as JSON."""
        home = self._home(setup)
        command = [str(interpreter(setup)), str(HERE / script)]
        return _last_line_as_json(command, home, self.environment(setup, home))

    def _work(self, setup: Setup, case: str, home: Path, seconds: float, block: int) -> dict[str, Any]:
        command = [str(interpreter(setup)), str(HERE / "worker.py"), setup.family.name, setup.tracer, case]
        command += ["--seconds", str(seconds), "--block", str(block)]
        return _last_line_as_json(command, home, self.environment(setup, home))

    def _home(self, setup: Setup) -> Path:
        home = Path(tempfile.mkdtemp(prefix=f"{setup.key}-", dir=self._folder))
        if setup.key in self._seeds:
            shutil.copytree(self._seeds[setup.key][0], home, dirs_exist_ok=True)
        return home

    def count(self, setup: Setup, home: Path) -> Recorded:
        """What the process that has just ended in a home has recorded."""
        environment = self.environment(setup, home)
        return recorded.count(setup.recorded_in, home, self._sink, interpreter(setup), environment)


def _last_line_as_json(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupUnavailableError(f"took more than {TIMEOUT_SECONDS} s") from error
    if done.returncode:
        raise SetupUnavailableError(done.stderr.strip()[-800:] or f"ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
