"""A real MLflow server, started once for all tests, and MLflow's own client in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from autotrace.config import load
from autotrace.delivery.destinations import WHOLE_TRACE, Record
from autotrace.delivery.destinations.mlflow import MlflowDestination, make

PROJECT = Path(__file__).parents[3]
DEADLINE_S = 120
NOW = time.time_ns()
RESOURCE = {"service.name": "shop", "deployment.environment.name": "production", "telemetry.sdk.name": "x"}

#: Runs code that is sent to it, a line of JSON each; answers with what that called `result`, as JSON.
_CLIENT = """
import json, sys
import mlflow
from mlflow import MlflowClient
client, out = MlflowClient(), sys.stdout
sys.stdout = sys.stderr
for line in sys.stdin:
    known = {"mlflow": mlflow, "client": client}
    exec(json.loads(line), known)
    out.write(json.dumps(known.get("result"), default=str) + "\\n")
    out.flush()
"""


def python_with_mlflow() -> Path:
    """The Python that has MLflow; no test runs without it, and where it must be there, none passes."""
    python = Path(os.environ.get("AUTOTRACE_TEST_MLFLOW") or PROJECT / ".venv-mlflow" / "bin" / "python")
    if not python.exists():
        reason = f"there is no {python} with MLflow (make test installs one)"
        if os.environ.get("REQUIRE_MLFLOW") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return python


class Server:
    """A server that is ready.

    Attributes:
        url: Where it is.
        python: The Python that it runs with, and MLflow's client too.
    """

    def __init__(self, folder: Path, python: Path) -> None:
        self.python = python
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith(("AUTOTRACE_", "MLFLOW_"))},
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_MODEL_CATALOG_URI": "",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_TRACKING_URI": self.url,
            "NO_PROXY": "*",
        }
        options = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--port", str(port)]
        options += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--workers", "1"]
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [python, "-m", "mlflow", "server", *options],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=self.environment,
                start_new_session=True,
            )
        self._client: subprocess.Popen[str] | None = None
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def wait(self) -> None:
        """Returns when it answers."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with self._direct.open(f"{self.url}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"MLflow's server does not start:\n{self._log.read_text()[-3000:]}")

    def call(self, method: str, path: str, body: Any = None, version: str = "3.0") -> dict[str, Any]:
        """One request of its REST API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/{version}/mlflow/{path}", data, method=method)
        request.add_header("content-type", "application/json")
        with self._direct.open(request, timeout=30) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer

    def info(self, trace_id: str) -> dict[str, Any]:
        """What it knows of a trace beside its spans."""
        found: dict[str, Any] = self.call("GET", f"traces/tr-{trace_id}")["trace"]["trace_info"]
        return found

    def knows(self, trace_id: str) -> bool:
        """Whether there is such a trace."""
        try:
            self.info(trace_id)
        except urllib.error.HTTPError as error:
            return error.code != 404
        return True

    def search(self, experiment: str, condition: str = "") -> list[dict[str, Any]]:
        """The traces of an experiment, the oldest first."""
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.experiment_id(experiment)}}
        body = {"locations": [location], "filter": condition, "max_results": 100, "order_by": ["timestamp_ms ASC"]}
        found: list[dict[str, Any]] = self.call("POST", "traces/search", body).get("traces", [])
        return found

    def metric(self, experiment: str, view: str, name: str, *dimensions: str, how: str = "SUM") -> dict[Any, float]:
        """A figure of MLflow's dashboards, by its dimensions."""
        body = {
            "experiment_ids": [self.experiment_id(experiment)],
            "view_type": view,
            "metric_name": name,
            "aggregations": [{"aggregation_type": how}],
            "dimensions": list(dimensions),
        }
        points = self.call("POST", "traces/metrics", body).get("data_points", [])
        return {
            tuple(point.get("dimensions", {}).get(name) for name in dimensions): point["values"][how]
            for point in points
        }

    def experiment_id(self, name: str) -> str:
        found = self.call("GET", f"experiments/get-by-name?experiment_name={name}", version="2.0")
        return str(found["experiment"]["experiment_id"])

    def client(self, code: str) -> Any:
        """Runs code with MLflow's own `client`; what it calls `result`."""
        if self._client is None:
            self._client = subprocess.Popen(
                [self.python, "-c", _CLIENT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=self.environment,
            )
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(json.dumps(code) + "\n")
        self._client.stdin.flush()
        answer = self._client.stdout.readline()
        assert answer, f"MLflow's client has failed at:\n{code}"
        return json.loads(answer)

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace as MLflow's own client sees them."""
        return self.client(  # type: ignore[no-any-return]
            f"trace = client.get_trace('tr-{trace_id}')\n"
            "result = [dict(name=s.name, type=s.span_type, status=s.status.status_code.name, root=s.parent_id is None,"
            " message=s.status.description, inputs=s.inputs, outputs=s.outputs, attributes=s.attributes,"
            " events=[dict(name=e.name, attributes=e.attributes) for e in s.events]) for s in trace.data.spans]"
        )

    def stop(self) -> None:
        if self._client is not None:
            self._client.kill()
            self._client.communicate()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a session."""
    server = Server(tmp_path_factory.mktemp("mlflow"), python_with_mlflow())
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def experiment() -> str:
    """The name of an experiment that nobody else uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def make_mlflow(tmp_path: Path) -> Iterator[Callable[..., MlflowDestination]]:
    """Makes the destination that variables describe, and closes it at the end."""
    made: list[MlflowDestination] = []

    def from_variables(**environ: str) -> MlflowDestination:
        made.append(make(load(environ={"NO_PROXY": "*", "HOME": str(tmp_path), **environ}, folder=tmp_path)))
        return made[-1]

    yield from_variables
    for destination in made:
        destination.close()


@pytest.fixture
def to_mlflow(
    make_mlflow: Callable[..., MlflowDestination], mlflow_server: Server, experiment: str
) -> MlflowDestination:
    """The destination that delivers to the server, into an experiment of its own."""
    return make_mlflow(MLFLOW_TRACKING_URI=mlflow_server.url, MLFLOW_EXPERIMENT_NAME=experiment)


def new_trace() -> str:
    return uuid.uuid4().hex


def span(
    trace_id: str,
    number: int = 1,
    parent: int | None = None,
    attributes: Mapping[str, Any] | None = None,
    **body: Any,
) -> Record:
    """A span that has ended.

    Args:
        trace_id: 32 hexadecimal digits.
        number: Its id.
        parent: The id of the span that it lies in.
        attributes: In the GenAI conventions' words.
        body: What else differs; `kind="I"` makes it one that never ended.
    """
    kind = body.pop("kind", "E")
    found = {
        "parent_id": None if parent is None else f"{parent:016x}",
        "root": parent is None,
        "name": f"span {number}",
        "kind": "internal",
        "start": NOW + number * 1_000_000,
        "end": None if kind == "I" else NOW + 1_000_000_000 - number * 1_000_000,
        "status": "unset",
        "message": None,
        "scope": "autotrace.plugins.test",
        "scope_version": None,
        "attributes": dict(attributes or {}),
        "events": [],
        "links": [],
    }
    return Record(kind, trace_id, f"{number:016x}", {**found, **body})


def chat(
    trace_id: str, number: int, parent: int | None = None, tokens: tuple[int, int] = (100, 10), **more: Any
) -> Record:
    """A model call with a question, an answer and tokens."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "gen_ai.input.messages": said("user", "Why?"),
        "gen_ai.output.messages": said("assistant", "Because."),
        **more,
    }
    return span(trace_id, number, parent, attributes, name="chat gpt-4o-mini")


def said(role: str, text: str) -> str:
    """Messages as a span holds them."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def feedback(trace_id: str, span_id: str = WHOLE_TRACE, **body: Any) -> Record:
    """A thumb up, unless something else is said."""
    found = {
        "id": uuid.uuid4().hex,
        "type": "feedback",
        "name": "thumb",
        "value": True,
        "comment": None,
        "source_type": "human",
        "source": "alice",
        "time": time.time_ns(),
        "metadata": {},
    }
    return Record("F", trace_id, span_id, {**found, **body})


def update(trace_id: str, **body: Any) -> Record:
    """What was said of a trace later."""
    found = {"time": time.time_ns(), "name": None, "session": None, "user": None, "tags": {}}
    return Record("U", trace_id, WHOLE_TRACE, {**found, **body})
