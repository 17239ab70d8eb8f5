"""Runs one case under one setup, in that setup's environment, and prints the measurement as one line of JSON.

    python worker.py FAMILY TRACER CASE --seconds 2 --block 400

Times are in nanoseconds. A block is a fixed number of calls followed by the tracer's flush; CPU time is that
of the whole process, background threads included, from the first call of a block to the end of its flush.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from families import CASES

WARM_UP_CALLS = 20


@dataclass(frozen=True)
class Measurement:
    """One case under one setup in one process. `recorded_calls` counts the warm-up too."""

    calls: int
    recorded_calls: int
    wall_p50_ns: float
    wall_p99_ns: float
    wall_mean_ns: float
    cpu_ns: float
    peak_rss_kib: int
    first_call_ns: float


def measure(
    call: Callable[[], None], calls_each: int, flush: Callable[[], None], seconds: float, block: int
) -> Measurement:
    """Run blocks of `call` until `seconds` have passed; figures are per call; `call` makes `calls_each`."""
    per_block = max(1, block // calls_each)
    warm_up = max(1, WARM_UP_CALLS // calls_each)
    before = time.perf_counter_ns()
    call()
    first_call_ns = (time.perf_counter_ns() - before) / calls_each
    for _ in range(warm_up - 1):
        call()
    flush()
    walls: list[int] = []
    cpu = 0
    deadline = time.perf_counter() + seconds
    while not walls or time.perf_counter() < deadline:
        cpu_before = time.process_time_ns()
        for _ in range(per_block):
            before = time.perf_counter_ns()
            call()
            walls.append(time.perf_counter_ns() - before)
        flush()
        cpu += time.process_time_ns() - cpu_before
    walls.sort()
    calls = len(walls) * calls_each
    return Measurement(
        calls=calls,
        recorded_calls=calls + warm_up * calls_each,
        wall_p50_ns=statistics.median(walls) / calls_each,
        wall_p99_ns=walls[int(len(walls) * 0.99)] / calls_each,
        wall_mean_ns=sum(walls) / calls,
        cpu_ns=cpu / calls,
        peak_rss_kib=peak_rss_kib(),
        first_call_ns=first_call_ns,
    )


def peak_rss_kib() -> int:
    """The peak resident memory of this process."""
    # Where there is /proc: getrusage also counts the parent, as it was when it started this process.
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


@contextlib.contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Send what a tracer prints to stderr: stdout carries the result alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def main() -> None:
    """Switch the tracer on, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family")
    parser.add_argument("tracer")
    parser.add_argument("case", choices=tuple(CASES))
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--block", type=int, default=400)
    arguments = parser.parse_args()
    with _stdout_kept_clean():
        tracer = importlib.import_module(f"tracers.{arguments.tracer}")
        calls = importlib.import_module(f"calls.{arguments.family}").Calls()
        calls_each = CASES[arguments.case].calls_each
        measurement = measure(
            getattr(calls, arguments.case), calls_each, tracer.flush, arguments.seconds, arguments.block
        )
    print(json.dumps(asdict(measurement)))


if __name__ == "__main__":
    main()
