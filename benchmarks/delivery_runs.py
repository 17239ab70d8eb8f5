"""Runs processes of `delivery_worker.py` side by side, against destinations that are up, down or say nothing."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from delivering import SPANS
from environments import interpreter
from setups import Setup

WORKER = Path(__file__).resolve().parent / "delivery_worker.py"
#: Seconds that a process may take to end before it is killed, and a run in all.
EXIT_LIMIT, RUN_LIMIT = 20.0, 60.0


@dataclass(frozen=True)
class Work:
    """What each process does; see delivery_worker.py."""

    tracer: str
    traces: int = 10**9
    seconds: float = 10**9
    rate: float = 0.0
    warmup: int = 20
    flush: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What some processes did at once.

    Attributes:
        made: Spans.
        seconds: Until the last of them was made.
        cpu: Seconds of the processor in all, from the first span to the end of the flush.
        took: Microseconds a span in the thread that made it, of each trace.
        delivered_in: Seconds until the last flush was over.
        flushed: Whether every flush said that all was delivered.
        exit_seconds: From the last statement of the program to the end of its process, the longest; inf when it had to
            be killed.
        figures: What the processes told beside.
    """

    made: int
    seconds: float
    cpu: float
    took: list[float] = field(repr=False)
    delivered_in: float
    flushed: bool
    exit_seconds: float
    figures: list[dict[str, Any]] = field(repr=False)

    @property
    def rate(self) -> float:
        """Spans a second."""
        return self.made / self.seconds

    @property
    def cpu_per_10k(self) -> float:
        """Seconds of the processor for 10,000 spans."""
        return 10_000 * self.cpu / self.made


def run(
    setup: Setup,
    work: Work,
    home: Path,
    variables: Mapping[str, str],
    processes: int = 1,
    before: Callable[[], None] = lambda: None,
) -> Outcome:
    """Lets some processes work at once; all begin when all are ready and have warmed up, and `before` has been called.

    Raises:
        RuntimeError: One of them does not come to its end, within RUN_LIMIT or at all.
    """
    started = [_start(setup, work, home, variables) for _ in range(processes)]
    limit = threading.Timer(RUN_LIMIT, lambda: [process.kill() for process in started])
    limit.start()
    try:
        for process in started:
            assert process.stdout is not None
            if not any(line == "ready\n" for line in process.stdout):
                raise RuntimeError("it did not begin")
        before()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        found = [_result(process) for process in started]
    except RuntimeError as error:
        raise RuntimeError(f"{work.tracer}: {error}: {(home / 'errors').read_text()[-800:]}") from None
    finally:
        limit.cancel()
        for process in started:
            process.kill()
    return Outcome(
        made=SPANS * sum(one["traces"] for one in found),
        seconds=max(one["seconds"] for one in found),
        cpu=sum(one["total_cpu"] for one in found),
        took=[took / SPANS for one in found for took in one["took"]],
        delivered_in=max(one["seconds"] + one["flush_seconds"] for one in found),
        flushed=all(one["flushed"] for one in found),
        exit_seconds=max(one["exit_seconds"] for one in found),
        figures=found,
    )


def _start(setup: Setup, work: Work, home: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AUTOTRACE_", "OTEL_", "MLFLOW_", "PYTHON"))
    }
    return subprocess.Popen(
        [str(interpreter(setup)), str(WORKER), json.dumps(work.__dict__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(home / "errors").open("ab"),
        text=True,
        cwd=home,
        env={**inherited, "AUTOTRACE_HOME": str(home / "home"), **setup.variables, **variables},
    )


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a process found, and how long it then took to end."""
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("{")), "")
    if not line:
        raise RuntimeError("it did not end as it should")
    found: dict[str, Any] = json.loads(line)
    found["exit_seconds"] = float("inf")
    with suppress(subprocess.TimeoutExpired):
        process.wait(EXIT_LIMIT)
        found["exit_seconds"] = max(0.0, time.monotonic() - found["end"])
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of all is not above; nan where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
