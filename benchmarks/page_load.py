"""Eight processes that write while the page is measured, and what they say of it afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Written:
    """What writers achieved together.

    Attributes:
        rate: Spans a second.
        flushed: Whether all was delivered within a minute of the end.
        figures: Percentiles by name: the thread's µs a span, ms of a transaction and of waiting for it; CPU in µs a
            span.
    """

    rate: float
    flushed: bool
    figures: dict[str, float]


class Writers:
    """Processes that write into a home, each at its rate; they are ready when this is made.

    Args:
        home: Where the store is.
        processes: How many.
        rate: Spans a second of all together.
        seconds: How long.
        seed: Decides what they write.
    """

    def __init__(self, home: Path, processes: int, rate: float, seconds: float, seed: int = 1) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACE", "OTEL_"))}
        environment |= {
            "AUTOTRACE_HOME": str(home),
            "AUTOTRACE_ENVIRONMENT": "production",
            "AUTOTRACE_SERVICE": "shop-assistant",
            "AUTOTRACE_RELEASE": "2.5.0",
        }
        plans = [{"seed": seed + number, "rate": rate / processes, "seconds": seconds} for number in range(processes)]
        self._processes = [
            subprocess.Popen(
                [sys.executable, str(_HERE / "page_writer.py"), json.dumps(plan)],
                env=environment,
                cwd=home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for plan in plans
        ]
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a writer did not start")

    def begin(self) -> None:
        """They write."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    @property
    def is_writing(self) -> bool:
        """Whether any of them still does."""
        return any(process.poll() is None for process in self._processes)

    def end(self) -> Written:
        """What they say when they are done."""
        told = [json.loads(process.communicate()[0].splitlines()[-1]) for process in self._processes]
        spans = sum(one["spans"] for one in told)
        figures = {"cpu": 1e6 * sum(one["cpu"] for one in told) / spans}
        for name in ("took", "commits", "waits"):
            values = sorted(value for one in told for value in one[name])
            figures |= {f"{name}_p50": _quantile(values, 0.5), f"{name}_p99": _quantile(values, 0.99)}
        rate = sum(one["spans"] / one["seconds"] for one in told)
        return Written(rate, all(one["flushed"] for one in told), figures)


def _quantile(values: Sequence[Any], share: float) -> float:
    return float(values[min(int(len(values) * share), len(values) - 1)]) if values else float("nan")
