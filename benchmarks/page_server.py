"""A running `autotrace ui` over one home: asked as a browser asks it, its memory read from /proc."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+\S*")
_TOTAL = re.compile(r"total;\s*dur=([0-9.]+)")
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Answer:
    """What came back, in ms: all that the client waited, and what the server says that it took (None: nothing)."""

    status: int
    wall_ms: float
    server_ms: float | None
    size: int
    body: bytes

    @property
    def ms(self) -> float:
        """The server's time where it tells, else the client's."""
        return self.wall_ms if self.server_ms is None else self.server_ms


class Server:
    """`autotrace ui` as a process of its own; a context manager.

    Args:
        home: Whose traces it shows.
        path: What is asked until it answers.

    Raises:
        RuntimeError: It does not start.
    """

    def __init__(self, home: Path, path: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACE", "OTEL_"))}
        self._log = (home.parent / f"{home.name}-ui.log").open("w+")
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autotrace", "ui", "--port", "0", "--no-open"],
            env={**environment, "AUTOTRACE_HOME": str(home), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._host = self._found()
        self._connection: http.client.HTTPConnection | None = None
        #: Seconds until it said where it is, and until its first page was there.
        self.up_s = time.perf_counter() - begun
        self.get(path)
        self.first_s = time.perf_counter() - begun

    def _found(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := _ADDRESS.search(line):
                return urlsplit(found[0]).netloc
        self._log.seek(0)
        raise RuntimeError(f"autotrace ui does not start: {self._log.read()[-800:]}")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._connection is not None:
            self._connection.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()

    def get(self, path: str) -> Answer:
        """One answer, over a connection that is kept."""
        begun = time.perf_counter()
        for is_last in (False, True):
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, timeout=_PATIENCE_S)
            try:
                self._connection.request("GET", path)
                reply = self._connection.getresponse()
                body = reply.read()
                break
            except (http.client.HTTPException, OSError):
                self._connection.close()
                self._connection = None
                if is_last:
                    raise
        wall = 1000 * (time.perf_counter() - begun)
        told = _TOTAL.search(reply.headers.get("server-timing", ""))
        return Answer(reply.status, wall, float(told[1]) if told else None, len(body), body)

    def json(self, path: str) -> Any:
        """A page's twin; None where there is none."""
        answer = self.get(path)
        try:
            return json.loads(answer.body) if answer.status == 200 else None
        except ValueError:
            return None

    def completed(self, patience_s: float = 3600.0) -> float | None:
        """Seconds from now until all of the store is in `insights.db`; None when that does not come."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < patience_s:
            told = self.json("/status.json")
            if told is None:
                return None
            if told.get("complete"):
                return time.perf_counter() - begun
            time.sleep(0.25)
        return None

    def memory(self) -> dict[str, float]:
        """Of all its processes."""
        return memory_of(family(self.process.pid))


def memory_of(processes: list[int]) -> dict[str, float]:
    """Of all of them, in MB: resident (`rss`), and resident with what is shared counted once (`pss`)."""
    found = {"rss": 0.0, "pss": 0.0, "processes": 0.0}
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        found["processes"] += 1
        for name in ("rss", "pss"):
            told = re.search(rf"^{name.title()}:\s+(\d+) kB", text, re.MULTILINE)
            found[name] += int(told[1]) * 1024 / 1e6 if told else 0.0
    return found


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found
