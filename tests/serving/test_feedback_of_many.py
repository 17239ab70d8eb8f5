"""Feedback in bulk, to several workers: all of it is stored, once."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from .feedback_worker import posts, trace_id, value

WORKER = Path(__file__).with_name("feedback_worker.py")
WORKERS, TRACES, USERS = 4, 1000, 10


def serve(workers: int, traces: int, users: int, **environment: str) -> None:
    """Runs the workers together to their ends, which must be good ones."""
    ours = ("AUTOTRACE_", "MLFLOW_", "OTEL_")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    with ExitStack() as stack:
        started = []
        for worker in range(workers):
            process = subprocess.Popen(
                [sys.executable, str(WORKER), *map(str, (worker, workers, traces, users))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=environment["AUTOTRACE_HOME"],
                env={**inherited, **environment},
            )
            started.append(stack.enter_context(process))
            stack.callback(process.kill)
        for _ in range(3):
            for process in started:
                assert process.stdout is not None
                assert process.stdout.readline() == "done\n", process.communicate()[1]
            for process in started:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
        for process in started:
            _, errors = process.communicate(timeout=120)
            assert (process.returncode, errors) == (0, "")


def test_what_is_posted() -> None:
    """Every user's feedback is posted, one in ten twice."""
    sent = Counter(
        json.dumps(body) for worker in range(WORKERS) for body in posts(worker, WORKERS, TRACES, range(USERS))
    )
    assert len(sent) == TRACES * USERS
    assert Counter(sent.values()) == {1: TRACES * USERS * 9 // 10, 2: TRACES * USERS // 10}


def test_all_there_and_once(tmp_path: Path) -> None:
    """10,000 pieces of feedback to 4 workers, 1 in 10 before its trace, 1 in 10 twice: each is stored once, as said."""
    serve(WORKERS, TRACES, USERS, AUTOTRACE_HOME=str(tmp_path))
    subprocess.run(
        [sys.executable, "-m", "autotrace", "drain"],
        cwd=tmp_path,
        env={**os.environ, "AUTOTRACE_HOME": str(tmp_path)},
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
    with closing(sqlite3.connect(tmp_path / "traces.db")) as store:
        rows = store.execute("SELECT trace_id, source, value, comment, type, name FROM feedback").fetchall()
        spans = store.execute("SELECT count(*), count(DISTINCT trace_id) FROM spans").fetchone()
    assert spans == (TRACES, TRACES)
    expected = [
        (
            trace_id(number),
            f"user-{user}",
            json.dumps(value(number, user)),
            f"user {user} on trace {number}",
            "feedback",
            "feedback",
        )
        for number in range(TRACES)
        for user in range(USERS)
    ]
    assert sorted(rows) == sorted(expected)
