"""Serves the application under one tracer, in a process of its own, and asks it from another."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import SetupUnavailableError, interpreter
from setups import Setup

HERE = Path(__file__).resolve().parent
START_LIMIT, END_LIMIT = 120.0, 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Plan:
    """How it is asked: so many requests at any time, or so many a second; see serving_load.py."""

    title: str
    seconds: float
    concurrency: int = 0
    rate: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What one plan found.

    Attributes:
        first: Milliseconds to the first piece of each answer; `whole` to the end.
        answered: All that were answered in the end.
        failed: Answers that were none.
        elapsed: Seconds until they were.
        cpu: Seconds of the processor that the server took.
        memory: Resident MiB of the server, twice a second.
    """

    seconds: float
    first: list[float]
    whole: list[float]
    answered: int
    failed: int
    elapsed: float
    cpu: float
    memory: list[float]

    def figures(self) -> dict[str, float]:
        """What is told of it."""
        answers = len(self.whole)
        tenth = max(1, len(self.memory) // 10)
        middle = len(self.memory) // 2
        return {
            "rate": answers / self.seconds,
            "p50": percentile(self.whole, 0.5),
            "p99": percentile(self.whole, 0.99),
            "first_p50": percentile(self.first, 0.5),
            "first_p99": percentile(self.first, 0.99),
            "cpu": 1000 * self.cpu / self.answered if self.answered else float("nan"),
            "busy": 100 * self.cpu / self.elapsed,
            "answered": self.answered,
            "failed": self.failed,
            "rss_start": percentile(self.memory[:tenth], 0.5),
            "rss_middle": percentile(self.memory[middle : middle + tenth], 0.5),
            "rss_end": percentile(self.memory[-tenth:], 0.5),
        }


class Served:
    """The application, as one process of uvicorn's.

    Raises:
        SetupUnavailableError: It does not start.
    """

    def __init__(self, setup: Setup, environment: Mapping[str, str], home: Path, model: int) -> None:
        self.port = _free_port()
        self._log = home / "server"
        command = [str(interpreter(setup)), "-m", "uvicorn", "served.app:app", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--log-level", "warning", "--no-access-log"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=home,
                env={
                    **environment,
                    "SERVED_TRACER": setup.tracer,
                    "OPENAI_BASE_URL": f"http://127.0.0.1:{model}/v1",
                    "OPENAI_API_KEY": "sk-bench",
                },
            )
        limit = time.monotonic() + START_LIMIT
        while not self._answers():
            if time.monotonic() > limit or self._process.poll() is not None:
                self.close()
                raise SetupUnavailableError(f"it does not start: {self.log}")
            time.sleep(0.1)

    @property
    def log(self) -> str:
        """The end of what it has written."""
        return self._log.read_text(errors="replace")[-800:]

    def ask(self, plan: Plan) -> Outcome:
        """Carries out a plan.

        Raises:
            SetupUnavailableError: The load could not be made.
        """
        memory: list[float] = []
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(memory, over))
        given = {"port": self.port, "seconds": plan.seconds, "concurrency": plan.concurrency, "rate": plan.rate}
        before, began = self._cpu(), time.monotonic()
        watch.start()
        try:
            done = subprocess.run(
                [sys.executable, str(HERE / "serving_load.py"), json.dumps(given)],
                capture_output=True,
                text=True,
                timeout=plan.seconds + 60,
                check=False,
            )
        finally:
            elapsed = time.monotonic() - began
            over.set()
            watch.join()
        if done.returncode:
            raise SetupUnavailableError(f"the load failed: {done.stderr.strip()[-800:]} {self.log}")
        found: dict[str, Any] = json.loads(done.stdout)
        return Outcome(**found, seconds=plan.seconds, elapsed=elapsed, cpu=self._cpu() - before, memory=memory)

    def rest(self, limit: float = 30.0) -> None:
        """Returns when it has nothing more to do: what a tracer has put off is over."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            before = self._cpu()
            time.sleep(1)
            if self._cpu() - before < 0.1:
                return

    def close(self) -> None:
        """Ends it as an operator does; kills it when it does not end."""
        self._process.terminate()
        try:
            self._process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _watch(self, memory: list[float], over: threading.Event) -> None:
        while True:
            memory.append(_resident(self._process.pid))
            if over.wait(0.5):
                return

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def _answers(self) -> bool:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{self.port}/openapi.json", timeout=5
            ):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


@contextmanager
def model() -> Iterator[int]:
    """The model's port."""
    command = [sys.executable, str(HERE / "serving_model.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of all is not above; nan where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
        return port
