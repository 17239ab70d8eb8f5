"""Every answer that a served program gave has one complete trace, whatever serves it, and however that ends."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from ...delivery.destinations.mlflow_server import Server
from .arrived import not_in_mlflow, not_in_store, traces_of
from .conftest import IS_WHOLE, Model
from .load import Client, HttpClient, LinesClient, body_for_responses, load, questions, text_of_response
from .serving_process import ServingProcess, free_port
from .stacks import ENDINGS, SIGTERM, STACKS, Stack, command_of
from .table import Row, append

REQUESTS, PASSING = (200, 20) if IS_WHOLE else (40, 4)
APPS = Path(__file__).with_name("apps")


def skip_without(stack: Stack, ending: str) -> None:
    """Skips what nobody asked for, and where the server, or what it needs, is not installed."""
    if not (ending in stack.quick or IS_WHOLE):
        pytest.skip("a part of the whole matrix: SERVING_MATRIX=whole asks for it")
    for name in (stack.distribution, *stack.needs):
        if name != "python":
            try:
                version(name)
            except PackageNotFoundError:
                pytest.skip(f"{name} is not installed here")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", STACKS)
def test_matrix(
    name: str,
    ending: str,
    tmp_path: Path,
    environment: dict[str, str],
    model: Model,
    request: pytest.FixtureRequest,
) -> None:
    """Requests of many users, then the end: each answer has one trace, with its question, answer, session and user."""
    stack = STACKS[name]
    skip_without(stack, ending)
    server = request.getfixturevalue("mlflow_server") if IS_WHOLE else None
    environment |= destinations(server, tmp_path.name)

    with serving(stack, tmp_path, environment) as (running, client):
        billed = model.billed()
        answers = load(client, questions(REQUESTS, stack.paths), PASSING)
        if ending == SIGTERM:
            assert running.terminate(), f"it is not gone in time:\n{running.log[-3000:]}"
    drain(tmp_path, environment)

    traces = traces_of(tmp_path / "home" / "traces.db")
    in_store = not_in_store(answers, traces, stack.environment)
    in_mlflow = None if server is None else not_in_mlflow(answers, found_in(server, tmp_path.name))
    note(stack, ending, len(answers), in_store, in_mlflow)
    assert_none(in_store)
    assert_none(in_mlflow or [])
    assert (
        sum(trace.summary.input_tokens or 0 for trace in traces),
        sum(trace.summary.output_tokens or 0 for trace in traces),
    ) == tuple(now - before for now, before in zip(model.billed(), billed, strict=True))


def note(stack: Stack, ending: str, answered: int, in_store: Sequence[str], in_mlflow: Sequence[str] | None) -> None:
    """Keeps what was found, for the table, where SERVING_MATRIX_ROWS says so."""
    if rows := os.environ.get("SERVING_MATRIX_ROWS"):
        known = platform.python_version() if stack.distribution == "python" else version(stack.distribution)
        stored = answered - len(requests_of(in_store))
        delivered = None if in_mlflow is None else answered - len(requests_of(in_mlflow))
        append(Path(rows), Row(stack.title, known, stack.processes, ending, answered, stored, delivered))


def requests_of(wrong: Sequence[str]) -> set[str]:
    """The requests that something is wrong with."""
    return {line.partition(":")[0] for line in wrong if line.startswith("request-")}


def assert_none(wrong: Sequence[str]) -> None:
    """Nothing is wrong; otherwise the first of it is told."""
    assert not wrong, "\n".join([f"{len(wrong)} in all:", *wrong[:12]])


def destinations(server: Server | None, experiment: str) -> dict[str, str]:
    """Where traces go: the store, and MLflow's server where there is one."""
    if server is None:
        return {"AUTOTRACE_DESTINATION": "store"}
    return {
        "AUTOTRACE_DESTINATION": "store,mlflow",
        "MLFLOW_TRACKING_URI": server.url,
        "MLFLOW_EXPERIMENT_NAME": experiment,
    }


@contextmanager
def serving(stack: Stack, folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[ServingProcess, Client]]:
    """Starts a stack; begins when it is ready, and kills what is left at the end."""
    environment = {**environment, "CELERY_FOLDER": str(folder / "celery")}
    for app in stack.apps:
        shutil.copy(APPS / app, folder)
    if "{model}" in stack.command:
        save_model(folder, environment)
    port = free_port()
    with ExitStack() as processes:
        asked = running = ServingProcess(
            command_of(stack, port, folder), folder, environment, is_piped=stack.speaks == "lines"
        )
        processes.callback(running.kill)
        if stack.speaks == "tasks":
            asked = ServingProcess([sys.executable, "sender.py"], folder, environment, is_piped=True)
            processes.callback(asked.kill)
        client = client_of(stack, port, asked)
        running.wait(client.is_ready)
        yield running, client


def client_of(stack: Stack, port: int, asked: ServingProcess) -> Client:
    """What asks a stack: at a port, or through the pipes of a process."""
    if stack.speaks == "responses":
        return HttpClient(port, body_for_responses, text_of_response)
    if stack.speaks == "json":
        return HttpClient(port)
    pipes: Any = asked.process.stdin, asked.process.stdout
    return LinesClient(*pipes)


def save_model(folder: Path, environment: Mapping[str, str]) -> None:
    """Makes a model of the agent, as MLflow's users do before they serve it."""
    code = "import mlflow; mlflow.pyfunc.save_model('model', python_model='mlflow_agent.py')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=dict(environment), timeout=120)


def drain(folder: Path, environment: Mapping[str, str]) -> None:
    """Delivers what the processes have left."""
    done = subprocess.run(
        [sys.executable, "-m", "autotrace", "drain", "--timeout", "120"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=dict(environment),
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def found_in(server: Server, experiment: str) -> list[dict[str, Any]]:
    """All traces of an experiment, a page at a time."""
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": server.experiment_id(experiment)}}
    found: list[dict[str, Any]] = []
    token = None
    while True:
        body = {"locations": [location], "max_results": 100, **({"page_token": token} if token else {})}
        reply = server.call("POST", "traces/search", body)
        found += reply.get("traces", [])
        token = reply.get("next_page_token")
        if not token:
            return found
