"""What switching a tracer on costs at the start of a program, as whole processes are timed from outside."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from environments import interpreter
from processes import Bench
from setups import Setup

# Modules that a program without any framework would notice: slow to import, or big.
HEAVY = (
    "openai", "httpx", "httpx2", "requests", "urllib3", "grpc", "pydantic", "sqlite3", "asyncio", "ssl",
    "rich", "click", "opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "sqlalchemy",
    "alembic", "fastapi", "numpy", "pandas", "sklearn", "matplotlib", "langchain_core",
)  # fmt: skip


@dataclass(frozen=True)
class Activation:
    """Medians, in milliseconds, of whole processes, and what the activation leaves in sys.modules."""

    setup: str
    bare_ms: float
    activated_ms: float
    openai_ms: float
    openai_activated_ms: float
    modules: int
    heavy: tuple[str, ...]
    runs: int

    @property
    def added_ms(self) -> float:
        """Added to a program that uses no framework."""
        return self.activated_ms - self.bare_ms

    @property
    def added_to_openai_ms(self) -> float:
        """Added to a program that imports openai anyway."""
        return self.openai_activated_ms - self.openai_ms


def measure(bench: Bench, setups: Sequence[Setup], runs: int, seconds_each: float, folder: Path) -> list[Activation]:
    """Time four programs under each setup, in turn: `runs` times, fewer once `seconds_each` are used up."""
    programs = {
        (setup.name, name): (setup, code) for setup in setups for name, code in _programs(setup.activation).items()
    }
    times: dict[tuple[str, str], list[float]] = {key: [] for key in programs}
    with tempfile.TemporaryDirectory(dir=folder) as home:
        for setup, code in programs.values():
            _seconds(bench, setup, code, Path(home))  # compiles what has not been compiled yet
        for done in range(runs):
            for key, (setup, code) in programs.items():
                if done < 3 or sum(times[key]) < seconds_each:
                    times[key].append(_seconds(bench, setup, code, Path(home)))
        return [_summary(bench, setup, times, Path(home)) for setup in setups]


def _programs(activation: str) -> dict[str, str]:
    both = f"{activation}\nimport openai"
    return {"bare": "pass", "activated": activation, "openai": "import openai", "openai_activated": both}


def _summary(bench: Bench, setup: Setup, times: dict[tuple[str, str], list[float]], home: Path) -> Activation:
    medians = {name: 1000 * statistics.median(times[setup.name, name]) for name in _programs("")}
    modules, heavy = _modules(bench, setup, home)
    return Activation(
        setup=setup.name,
        bare_ms=medians["bare"],
        activated_ms=medians["activated"],
        openai_ms=medians["openai"],
        openai_activated_ms=medians["openai_activated"],
        modules=modules,
        heavy=heavy,
        runs=min(len(times[setup.name, name]) for name in _programs("")),
    )


def _seconds(bench: Bench, setup: Setup, code: str, home: Path) -> float:
    """The wall time of one process, its exit handlers included."""
    command = [str(interpreter(setup)), "-c", code]
    environment = bench.environment(setup, home)
    before = time.perf_counter()
    subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True)
    return time.perf_counter() - before


def _modules(bench: Bench, setup: Setup, home: Path) -> tuple[int, tuple[str, ...]]:
    """How many modules the activation adds to a program without a framework, and which are heavy."""
    listing = "print(json.dumps(sorted(set(sys.modules) - before)))"
    code = f"import sys, json\nbefore = set(sys.modules)\n{setup.activation}\n{listing}"
    command = [str(interpreter(setup)), "-c", code]
    done = subprocess.run(
        command, cwd=home, env=bench.environment(setup, home), check=True, capture_output=True, text=True
    )
    added = set(json.loads(done.stdout.splitlines()[-1]))
    return len(added), tuple(name for name in HEAVY if name in added)
