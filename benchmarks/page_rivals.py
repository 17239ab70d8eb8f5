"""MLflow's and Phoenix's servers, each in an environment of its own, filled by `autotrace ship`."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from page_store import RARE

_START_LIMIT_S = 180.0
_DAYS = 30


@dataclass(frozen=True)
class Request:
    """One request: a path, and a body where it is a POST."""

    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Known:
    """What is asked for by name."""

    user: str
    trace: str


class Rival:
    """A server over a folder of its own.

    Args:
        python: An interpreter that has it.
        folder: Where its data lie.
    """

    name = ""
    #: How `autotrace ship` names it.
    destination = ""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self.port, self._other = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Variables of its process."""
        raise NotImplementedError

    def shipping(self) -> dict[str, str]:
        """Variables for `autotrace ship`."""
        raise NotImplementedError

    def spans(self) -> int:
        """How many spans it has stored."""
        raise NotImplementedError

    def questions(self, known: Known) -> dict[str, Sequence[Request]]:
        """Requests by what they ask; several where one does not tell it all."""
        raise NotImplementedError

    def start(self, first: Request) -> float:
        """Starts it; seconds until the first answer.

        Raises:
            RuntimeError: It does not start.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "OTEL_", "PHOENIX_", "PYTHON"))}
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            self.command(),
            env=kept | self.environment(),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "server.log").open("ab"),
            start_new_session=True,
        )
        while time.perf_counter() - begun < _START_LIMIT_S and self.process.poll() is None:
            try:
                self.ask([first])
                return time.perf_counter() - begun
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} does not start: {(self.folder / 'server.log').read_text()[-800:]}")

    def stop(self) -> None:
        """Ends it, with the processes that it has started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGTERM)
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process = None

    def ask(self, requests: Sequence[Request], timeout_s: float = 300.0) -> tuple[float, bytes]:
        """All of these, one after the other: ms that the client waited, and the last answer.

        Raises:
            OSError: No answer.
        """
        answer = b""
        begun = time.perf_counter()
        for request in requests:
            body = None if request.body is None else json.dumps(request.body).encode()
            asked = urllib.request.Request(self.url + request.path, body, {"content-type": "application/json"})
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(asked, timeout=timeout_s) as reply:
                answer = reply.read()
        return 1000 * (time.perf_counter() - begun), answer

    def fill(self, home: Path, limit_s: float) -> float:
        """Ships a home's traces, at most for so long; seconds that it took until all that was sent was stored."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "OTEL_", "AUTOTRACE"))}
        command = [sys.executable, "-m", "autotrace", "ship", "--to", self.destination, "--timeout", "10m"]
        begun = time.perf_counter()
        shipping = subprocess.Popen(
            command, env=kept | self.shipping() | {"AUTOTRACE_HOME": str(home)}, cwd=home, stdout=subprocess.DEVNULL
        )
        try:
            shipping.wait(limit_s)
        except subprocess.TimeoutExpired:
            shipping.send_signal(signal.SIGINT)
            shipping.wait()
        return self._settled(begun)

    def _settled(self, begun: float) -> float:
        """Some put aside what they will store later: waits until it grows no more."""
        before, changed = -1, time.perf_counter()
        while time.perf_counter() - changed < 10:
            if (now := self.spans()) != before:
                before, changed = now, time.perf_counter()
            time.sleep(1)
        return changed - begun


class MLflow(Rival):
    """`mlflow server` with SQLite, and the workers that it has by itself."""

    name, destination = "MLflow", "mlflow"

    def command(self) -> list[str]:
        """What starts it."""
        options = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--port", str(self.port)]
        options += ["--host", "127.0.0.1", "--artifacts-destination", f"{self.folder}/artifacts"]
        return [str(self.python), "-m", "mlflow", "server", *options]

    def environment(self) -> dict[str, str]:
        """Variables of its process."""
        return {"MLFLOW_DISABLE_TELEMETRY": "true"}

    def shipping(self) -> dict[str, str]:
        """Variables for `autotrace ship`."""
        return {"MLFLOW_TRACKING_URI": self.url}

    def spans(self) -> int:
        """How many spans it has stored."""
        with closing(sqlite3.connect(f"file:{self.folder / 'mlflow.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])

    def questions(self, known: Known) -> dict[str, Sequence[Request]]:
        """Requests by what they ask."""
        return {
            "newest 50 traces": [self._search()],
            "a word of one trace": [self._search(f"trace.text ILIKE '%{RARE}%'")],
            "traces of a user": [self._search(f"metadata.`mlflow.trace.user` = '{known.user}'")],
            "traces that failed": [self._search("trace.status = 'ERROR'")],
            "figures of 30 days": [
                self._metric("TRACES", "trace_count", ["COUNT"], ["trace_status"]),
                self._metric("TRACES", "latency", ["P50", "P99"], []),
                self._metric("TRACES", "input_tokens", ["SUM"], []),
                self._metric("TRACES", "output_tokens", ["SUM"], []),
                self._metric("SPANS", "total_cost", ["SUM"], ["span_model_name"]),
                self._metric("SPANS", "latency", ["AVG"], ["span_name", "span_status"]),
            ],
            "one trace": [Request(f"/api/3.0/mlflow/traces/get?trace_id=tr-{known.trace}")],
        }

    def _search(self, condition: str = "") -> Request:
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        body = {"locations": [place], "max_results": 50, "order_by": ["timestamp_ms DESC"]}
        return Request("/api/3.0/mlflow/traces/search", body | ({"filter": condition} if condition else {}))

    def _metric(self, view: str, name: str, wanted: Sequence[str], dimensions: Sequence[str]) -> Request:
        now = time.time_ns() // 1_000_000
        aggregations = [
            {"aggregation_type": "PERCENTILE", "percentile_value": float(one[1:])}
            if one[0] == "P"
            else {"aggregation_type": one}
            for one in wanted
        ]
        return Request(
            "/api/3.0/mlflow/traces/metrics",
            {
                "experiment_ids": ["0"],
                "view_type": view,
                "metric_name": name,
                "aggregations": aggregations,
                "dimensions": list(dimensions),
                "time_interval_seconds": 86400,
                "start_time_ms": now - _DAYS * 86_400_000,
                "end_time_ms": now,
            },
        )


_ROWS = "edges { node { name startTime latencyMs statusCode tokenCountTotal input { value } output { value } } }"


class Phoenix(Rival):
    """`phoenix serve` with SQLite."""

    name, destination = "Phoenix", "otlp"

    def command(self) -> list[str]:
        """What starts it."""
        return [str(self.python), "-m", "phoenix.server.main", "serve"]

    def environment(self) -> dict[str, str]:
        """Variables of its process."""
        return {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(self._other),
            "PHOENIX_WORKING_DIR": str(self.folder),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }

    def shipping(self) -> dict[str, str]:
        """Variables for `autotrace ship`: as fast as it stores, or what waits fills its memory."""
        return {
            "AUTOTRACE_OTLP_DIALECT": "phoenix",
            "AUTOTRACE_OTLP_MAX_RATE": "200",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
        }

    def spans(self) -> int:
        """How many spans it has stored."""
        _, answer = self.ask([_graphql("{ projects { edges { node { recordCount } } } }")])
        edges = json.loads(answer)["data"]["projects"]["edges"]
        return sum(edge["node"]["recordCount"] for edge in edges)

    def questions(self, known: Known) -> dict[str, Sequence[Request]]:
        """Requests by what they ask."""
        now = datetime.now(timezone.utc)
        days = f'{{start: "{(now - timedelta(days=_DAYS)).isoformat()}", end: "{now.isoformat()}"}}'
        bins = "{scale: DAY, utcOffsetMinutes: 0}"
        figures = f"""
            traceCount(timeRange: {days}) tokenCountPrompt(timeRange: {days}) tokenCountCompletion(timeRange: {days})
            p50: latencyMsQuantile(probability: 0.5, timeRange: {days})
            p99: latencyMsQuantile(probability: 0.99, timeRange: {days})
            costSummary(timeRange: {days}) {{ total {{ cost }} }}
            topModelsByCost(timeRange: {days}) {{ name }}
            traceCountByStatusTimeSeries(timeRange: {days}, timeBinConfig: {bins}) {{
                data {{ timestamp okCount errorCount }} }}
            traceLatencyMsPercentileTimeSeries(timeRange: {days}, timeBinConfig: {bins}) {{
                data {{ timestamp p50 p99 }} }}
        """
        return {
            "newest 50 traces": [self._spans()],
            "a word of one trace": [self._spans(f"'{RARE}' in input.value or '{RARE}' in output.value")],
            "traces of a user": [self._spans(f"attributes['user']['id'] == '{known.user}'")],
            "traces that failed": [self._spans("status_code == 'ERROR'")],
            "figures of 30 days": [_graphql(_in_project(figures))],
            "one trace": [
                _graphql(
                    f'{{ getTraceByOtelId(traceId: "{known.trace}") {{ latencyMs spans(first: 1000) {{ '
                    "edges { node { name startTime latencyMs parentId attributes events { name message } } } } } }"
                )
            ],
        }

    def _spans(self, condition: str = "") -> Request:
        chosen = json.dumps(f"parent_id is None and ({condition})" if condition else "parent_id is None")
        sort = "sort: {col: startTime, dir: desc}"
        return _graphql(_in_project(f"spans(first: 50, {sort}, filterCondition: {chosen}) {{ {_ROWS} }}"))


def _in_project(fields: str) -> str:
    return f'{{ getProjectByName(name: "default") {{ {fields} }} }}'


def _graphql(query: str) -> Request:
    return Request("/graphql", {"query": query})


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        return int(holder.getsockname()[1])
