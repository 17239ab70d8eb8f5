"""Counts what a tracer recorded, so that nobody is measured switched off."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sink import Recorded, Sink
from workload import ANSWER_MARK, PROMPT_MARK

_NOTHING = Recorded(0, 0)
_MLFLOW_SPANS = "SELECT count(*) FROM spans"
_MLFLOW_COMPLETE = """
    SELECT count(*) FROM spans JOIN trace_info ON spans.trace_id = trace_info.request_id
    WHERE input_tokens > 0 AND content LIKE ? AND content LIKE ?
"""


def count(recorded_in: str, home: Path, sink: Sink, python: Path, environment: Mapping[str, str]) -> Recorded:
    """Count the spans of the process that has just ended: in the sink, or in the store under `home`."""
    if recorded_in == "sink":
        return sink.take()
    if recorded_in == "mlflow":
        return _in_mlflow(home / "mlflow.db")
    if recorded_in == "autotrace":
        return _in_autotrace(home, python, environment)
    return _NOTHING


def _in_mlflow(database: Path) -> Recorded:
    if not database.is_file():
        return _NOTHING
    marks = (f"%{PROMPT_MARK}%", f"%{ANSWER_MARK}%")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (spans,) = connection.execute(_MLFLOW_SPANS).fetchone()
        (complete,) = connection.execute(_MLFLOW_COMPLETE, marks).fetchone()
    return Recorded(spans, complete)


def _in_autotrace(home: Path, python: Path, environment: Mapping[str, str]) -> Recorded:
    command = [str(python), "-m", "autotrace", "traces", "--json", "--limit", "1000000"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home, env=dict(environment), check=False)
    if done.returncode:
        raise RuntimeError(f"autotrace traces failed: {done.stderr.strip()[-400:]}")
    traces = json.loads(done.stdout)
    return Recorded(len(traces), sum(map(_is_complete, traces)))


def _is_complete(trace: Mapping[str, Any]) -> bool:
    asked, answered = trace["request"] or "", trace["response"] or ""
    return bool(trace["input_tokens"]) and PROMPT_MARK in asked and ANSWER_MARK in answered
