"""Celery's pool of forked processes under `autotrace run`: who has a result, has its trace, however a process ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import by_hand

APP = """
import os, signal
import autotrace
from celery import Celery, signals

folder = os.environ["FOLDER"]
app = Celery("jobs", broker="filesystem://", backend="file://" + folder + "/results")
app.conf.broker_transport_options = {
    "data_folder_in": folder + "/queue",
    "data_folder_out": folder + "/queue",
    "control_folder": folder + "/control",
    "polling_interval": 0.05,
}

@app.task
def answer(question):
    with autotrace.span("chat", input=question):
        return "because " + question

@app.task
def add(x, y):
    return x + y

@signals.task_success.connect
def stored(sender, result, **more):
    if os.environ.get("KILLED"):
        os.kill(os.getpid(), signal.SIGKILL)
"""
SENDER = """
import json, autotrace, jobs

sent = []
with autotrace.span("ask"):
    for number in range(8):
        with autotrace.context(session=f"s-{number}", user=f"u-{number}"):
            sent.append(jobs.answer.delay(str(number)))
    plain = [jobs.add.delay(number, 1) for number in range(2)]
assert [one.get(timeout=60, interval=0.05) for one in sent] == [f"because {number}" for number in range(8)]
assert [one.get(timeout=60, interval=0.05) for one in plain] == [1, 2]
print(json.dumps([one.id for one in sent]))
"""


class Workers:
    """A worker with two processes, which may be ended; and what it left."""

    def __init__(self, folder: Path) -> None:
        for name in ("queue", "results", "control"):
            (folder / name).mkdir()
        (folder / "jobs.py").write_text(APP)
        self._folder = folder
        self._environment = {
            **by_hand(),
            "AUTOTRACE_HOME": str(folder / "home"),
            "FOLDER": str(folder),
            "PYTHONPATH": str(folder),
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts the worker, whose output is in a file."""
        celery = ["-m", "celery", "-A", "jobs", "worker", "-P", "prefork", "-c", "2", *options]
        with (self._folder / "worker.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "autotrace", "run", *celery, "--without-gossip", "--without-mingle"],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**self._environment, **environment},
            )
        self._running.append(process)
        return process

    def run(self, *command: str, code: str | None = None) -> str:
        """Runs `autotrace ...`, or a program under it, to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "autotrace", *(command if code is None else ("run", "-c", code))],
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=self._environment,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr + (self._folder / "worker.log").read_text()
        return done.stdout

    def traces(self) -> list[dict[str, Any]]:
        """The tasks' traces, whole."""
        self.run("drain")
        listed = json.loads(self.run("traces", "--json", "--limit", "100"))
        return [trace for trace in listed if trace["name"] != "ask"]

    def stop(self) -> None:
        """Ends what is still running."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait(timeout=20)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """A folder that tasks go through."""
    found = Workers(tmp_path)
    yield found
    found.stop()


def _warm_shutdown(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def _killed(process: subprocess.Popen[bytes]) -> None:
    """The main process and its children at once, as for want of memory."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    for pid in (process.pid, *map(int, children.stdout.split())):
        os.kill(pid, signal.SIGKILL)
    process.wait(timeout=20)


@pytest.mark.parametrize(
    ("options", "environment", "end"),
    [
        ((), {}, _killed),
        (("--max-tasks-per-child", "1"), {}, _warm_shutdown),
        ((), {"KILLED": "1"}, _warm_shutdown),
    ],
    ids=["killed", "one-task-a-child", "children-killed"],
)
def test_who_has_a_result_has_its_trace(
    workers: Workers,
    options: tuple[str, ...],
    environment: dict[str, str],
    end: Callable[[subprocess.Popen[bytes]], None],
) -> None:
    """One complete trace for each task with a traced call, none for others, however the processes end."""
    process = workers.start(*options, **environment)
    sent = json.loads(workers.run(code=SENDER))
    end(process)
    found = {trace["request"]: trace for trace in workers.traces()}
    assert len(found) == len(sent) == 8
    for number in range(8):
        trace = found[json.dumps({"question": str(number)}, separators=(",", ":"))]
        assert (trace["name"], trace["status"], trace["span_count"]) == ("process jobs.answer", "ok", 2)
        assert (trace["session"], trace["user"]) == (f"s-{number}", f"u-{number}")
        assert trace["response"] == f"because {number}"


def test_killed_in_the_middle(workers: Workers, tmp_path: Path) -> None:
    """A child that is killed while it works leaves a trace that was interrupted."""
    app = tmp_path / "jobs.py"
    app.write_text(APP.replace('return "because "', 'os.kill(os.getpid(), signal.SIGKILL); return "because "'))
    process = workers.start()
    workers.run(code="import jobs; jobs.answer.delay('why')")
    deadline = time.monotonic() + 30
    while [trace["status"] for trace in workers.traces()] != ["interrupted"]:
        assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
        time.sleep(0.1)
    _warm_shutdown(process)
