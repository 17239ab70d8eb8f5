"""Counts what a tracer recorded, so that nobody is measured switched off."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

from sink import NOTHING, Recorded, Sink
from workload import ANSWER_MARK, PROMPT_MARK

_MLFLOW_SPANS = "SELECT content FROM spans"
_MLFLOW_USAGE = "mlflow.chat.tokenUsage"
_AUTOTRACE_SPANS = "SELECT input_tokens, content FROM spans LEFT JOIN payloads USING (id)"
_AUTOTRACE_COMPRESSED = b"\x01"


def count(recorded_in: str, home: Path, sink: Sink, python: Path, environment: Mapping[str, str]) -> Recorded:
    """Count the spans of the process that has just ended: in the sink, or in the store under `home`."""
    if recorded_in == "sink":
        return sink.take()
    if recorded_in == "mlflow":
        return _in_mlflow(home / "mlflow.db")
    if recorded_in == "autotrace":
        return _in_autotrace(home, python, environment)
    return NOTHING


def _in_mlflow(database: Path) -> Recorded:
    if not database.is_file():
        return NOTHING
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return sum((_mlflow_span(content) for (content,) in connection.execute(_MLFLOW_SPANS)), NOTHING)


def _mlflow_span(content: str) -> Recorded:
    # An attribute is JSON within the JSON of the span.
    usage = json.loads(json.loads(content)["attributes"].get(_MLFLOW_USAGE, "{}"))
    return _span(usage.get("input_tokens") or 0, content)


def _in_autotrace(home: Path, python: Path, environment: Mapping[str, str]) -> Recorded:
    # Any command that reads delivers first what the process has left.
    command = [str(python), "-m", "autotrace", "traces", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home, env=dict(environment), check=False)
    if done.returncode:
        raise RuntimeError(f"autotrace traces failed: {done.stderr.strip()[-400:]}")
    database = home / "traces.db"
    if not database.is_file():
        return NOTHING
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(_AUTOTRACE_SPANS)
        return sum((_span(tokens or 0, _autotrace_content(content)) for tokens, content in rows), NOTHING)


def _autotrace_content(payload: bytes | None) -> str:
    """The JSON of a span's content: one byte before it tells whether it is compressed."""
    kind, content = (payload or b"")[:1], (payload or b"")[1:]
    return (zlib.decompress(content) if kind == _AUTOTRACE_COMPRESSED else content).decode()


def _span(input_tokens: int, content: str) -> Recorded:
    complete = input_tokens > 0 and PROMPT_MARK in content and ANSWER_MARK in content
    return Recorded(1, int(complete), input_tokens)
