"""The three environments of the benchmark of delivery, and MLflow's server."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

from environments import interpreter
from families import Family
from setups import ROOT, Setup

FAMILY = Family("delivery", "Delivery", (), (), ())
OURS = Setup(FAMILY, "autotrace", "autotrace", "autotrace", "", projects=(ROOT,), shown=("autotrace-ai",))
BATCHES = Setup(
    FAMILY,
    "batches",
    "OpenTelemetry SDK",
    "batches",
    "",
    requirements=("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
    variables={"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
    shown=("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
)
MLFLOW = Setup(
    FAMILY,
    "mlflow",
    "MLflow",
    "mlflow",
    "",
    requirements=("mlflow",),
    variables={"MLFLOW_DISABLE_TELEMETRY": "true"},
    shown=("mlflow",),
)
SETUPS = (OURS, BATCHES, MLFLOW)
_START_LIMIT = 120.0


class MlflowServer:
    """A real `mlflow server` with a SQLite database, from MLflow's environment.

    Raises:
        RuntimeError: It does not start.
    """

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._database = folder / "mlflow.db"
        options = ["--backend-store-uri", f"sqlite:///{self._database}", "--port", str(port), "--host", "127.0.0.1"]
        options += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "OTEL_"))},
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        self._process = subprocess.Popen(
            [str(interpreter(MLFLOW)), "-m", "mlflow", "server", *options],
            stdout=subprocess.DEVNULL,
            stderr=(folder / "server").open("ab"),
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        limit = time.monotonic() + _START_LIMIT
        while not self._answers():
            if time.monotonic() > limit or self._process.poll() is not None:
                self.close()
                raise RuntimeError(f"mlflow server does not start: {(folder / 'server').read_text()[-800:]}")
            time.sleep(0.1)

    def spans(self) -> int:
        """How many spans it has stored."""
        connection = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])
        finally:
            connection.close()

    def close(self) -> None:
        """Ends it, with the workers that it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/health", timeout=5):
                return True
        except OSError:
            return False
