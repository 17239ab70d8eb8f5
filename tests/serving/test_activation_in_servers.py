"""Every way of switching tracing on, in the servers that people run: code untouched, every worker, each call once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autotrace.serving.startup_file import startup_file
from autotrace.store.reader import Reader, Trace
from autotrace.testing import OpenAIServer

from ..conftest import by_hand

DEADLINE_S = 90.0
RUN = [sys.executable, "-m", "autotrace", "run"]

#: One agent, behind both protocols. What it answers tells which process did, and whether the user's own start ran.
AGENT = """
import os, sys
from openai import OpenAI

def ask():
    client = OpenAI()
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}])
    return {"pid": os.getpid(), "mine": getattr(sys, "mine", None), "version": VERSION}

VERSION = 1
"""
ASGI = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from agent import ask

async def answer(request):
    return JSONResponse(await asyncio.to_thread(ask))

app = Starlette(routes=[Route("/ask", answer)])
"""
WSGI = """
from flask import Flask
from agent import ask

app = Flask(__name__)
app.add_url_rule("/ask", "ask", ask)
"""
OWN = """
import asgi, sys, uvicorn

if __name__ == "__main__":
    reload = "reload" in sys.argv
    uvicorn.run("asgi:app" if reload else asgi.app, port=int(sys.argv[1]), reload=reload)
"""
TASKS = """
from celery import Celery
from agent import ask as agent

app = Celery("tasks", broker="filesystem://", backend="file://{folder}/results")
app.conf.broker_transport_options = {{"data_folder_in": "{folder}/queue", "data_folder_out": "{folder}/queue"}}
ask = app.task(name="ask")(agent)
"""


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    """What the agents ask."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working directory, with the programs, and a sitecustomize of the user's own beside it."""
    files = {"agent": AGENT, "asgi": ASGI, "wsgi": WSGI, "own": OWN, "start/sitecustomize": "import sys; sys.mine = 1"}
    for name, source in files.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return tmp_path


def environment(folder: Path, model: OpenAIServer, **more: str) -> dict[str, str]:
    """What a deployment sets."""
    return {
        **by_hand(),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(folder / "start"), str(folder)]),
        "AUTOTRACE_HOME": str(folder / "home"),
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": "sk-test",
        **more,
    }


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs meanwhile, and is asked to end, with all that it has started."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        # What a reloader or a worker leaves behind: the group is ours.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(20)


def eventually(answer: Callable[[], Any], folder: Path) -> Any:
    """What it answers, as soon as it answers anything."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = answer()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError((folder / "log").read_text(errors="replace"))


def get(port: int) -> dict[str, Any] | None:
    """What the agent answers; None where nobody does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/ask")
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found
    except OSError:
        return None
    finally:
        connection.close()


def traces(folder: Path, environ: Mapping[str, str]) -> list[Trace]:
    """All traces, with what workers that are gone have left in the journal."""
    done = subprocess.run(
        [sys.executable, "-m", "autotrace", "traces", "--json"],
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    with Reader(folder / "home" / "traces.db") as reader:
        found = [reader.trace(summary.trace_id) for summary in reader.traces(1000)]
    return [trace for trace in found if trace is not None]


def check(found: Sequence[Trace], replies: Sequence[Mapping[str, Any]], platform: tuple[str, str]) -> None:
    """Each reply has one trace of its own, in which the model's call stands once, in the process that answered."""
    assert all(reply["mine"] == 1 for reply in replies)
    assert [[span.operation for span in trace.spans].count("chat") for trace in found] == [1] * len(replies)
    resources = [trace.payload(trace.spans[0]).resource for trace in found]
    assert sorted(one["process.pid"] for one in resources) == sorted(reply["pid"] for reply in replies)
    assert {(one["autotrace.platform"], one["deployment.environment.name"]) for one in resources} == {platform}


def serve(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], platform: tuple[str, str], requests: int = 2
) -> None:
    """Starts a server, asks it, ends it, and looks at what was recorded."""
    port = free_port()
    with running([word.format(port=port) for word in command], folder, environ):
        replies = [eventually(lambda: get(port), folder)]
        replies += [eventually(lambda: get(port), folder) for _ in range(requests - 1)]
    check(traces(folder, environ), replies, platform)


#: What tests/serving/matrix and tests/frameworks start as well.
IN_THE_MATRIX = pytest.mark.skipif(
    os.environ.get("SERVING_MATRIX") != "whole", reason="one of many servers: SERVING_MATRIX=whole asks for it"
)
UVICORN = ["uvicorn", "asgi:app", "--port", "{port}"]


@pytest.mark.parametrize(
    ("command", "platform"),
    [
        pytest.param(UVICORN, ("uvicorn", "production"), marks=IN_THE_MATRIX),
        pytest.param([*UVICORN, "--workers", "2"], ("uvicorn", "production"), marks=IN_THE_MATRIX),
        pytest.param(
            ["gunicorn", "wsgi:app", "--bind", "127.0.0.1:{port}", "--workers", "2"],
            ("gunicorn", "production"),
            marks=IN_THE_MATRIX,
        ),
        (["flask", "--app", "wsgi", "run", "--debug", "--port", "{port}"], ("flask", "development")),
        (["own.py", "{port}"], ("uvicorn", "production")),
        (["own.py", "{port}", "reload"], ("uvicorn", "development")),
    ],
    ids=lambda value: "-".join(value).replace("{port}", "").replace(":", "-") if isinstance(value, list) else "",
)
def test_autotrace_run(command: list[str], platform: tuple[str, str], folder: Path, model: OpenAIServer) -> None:
    """`autotrace run` in front of the command is all: workers and reloaders trace, the user's sitecustomize runs."""
    serve([*RUN, *command], folder, environment(folder, model), platform, requests=4)


def test_reloaded(folder: Path, model: OpenAIServer) -> None:
    """What a reloader starts anew is traced as before."""
    environ, port = environment(folder, model), free_port()
    command = [*RUN, "uvicorn", "asgi:app", "--port", str(port), "--reload"]

    def changed() -> dict[str, Any] | None:
        reply = get(port)
        replies.extend([reply] if reply is not None else [])
        return reply if reply is not None and reply["version"] == 2 else None

    replies: list[dict[str, Any]] = []
    with running(command, folder, environ):
        first = eventually(lambda: get(port), folder)
        (folder / "agent.py").write_text(AGENT.replace("VERSION = 1", "VERSION = 2"))
        second = eventually(changed, folder)
    assert first["pid"] != second["pid"]
    found = traces(folder, environ)
    # Who was asked in the midst of it may have got no answer for what was done.
    assert len(found) >= len(replies) + 1
    pids = {trace.payload(trace.spans[0]).resource["process.pid"] for trace in found}
    assert {first["pid"], second["pid"]} <= pids


@IN_THE_MATRIX
def test_celery_worker(folder: Path, model: OpenAIServer) -> None:
    """A worker's children are traced; who sends the task need not be."""
    for name in ("queue", "results"):
        (folder / name).mkdir()
    (folder / "tasks.py").write_text(TASKS.format(folder=folder))
    environ = environment(folder, model)
    command = [*RUN, "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "1", "-l", "WARNING"]
    ask = "from tasks import ask; import json; print(json.dumps(ask.delay().get(timeout=80)))"
    with running(command, folder, environ):
        done = subprocess.run(
            [sys.executable, "-c", ask], cwd=folder, env=environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr + (folder / "log").read_text(errors="replace")
    check(traces(folder, environ), [json.loads(done.stdout)], ("celery", "production"))


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with a hook, in which all that is installed here can be imported."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    (site,) = folder.glob("lib/python*/site-packages")
    installed = [entry for entry in sys.path if entry.endswith(("site-packages", "src"))]
    (site / "_path.pth").write_text("\n".join(installed) + "\n")
    startup_file(site).write()
    return folder / "bin" / "python"


GUNICORN = ["-m", "gunicorn", "wsgi:app", "--bind", "127.0.0.1:{port}", "--workers", "2"]


def test_hook(folder: Path, model: OpenAIServer, hooked: Path) -> None:
    """AUTOTRACE=1 is all, where a hook is."""
    environ = environment(folder, model, AUTOTRACE="1")
    serve([str(hooked), *GUNICORN], folder, environ, ("gunicorn", "production"))


def test_all_at_once(folder: Path, model: OpenAIServer, hooked: Path) -> None:
    """Hook, `autotrace run` and import together trace once."""
    (folder / "agent.py").write_text(f"import autotrace.auto, autotrace\nautotrace.autolog()\n{AGENT}")
    environ = environment(folder, model, AUTOTRACE="1")
    command = [str(hooked), "-m", "autotrace", "run", "-m", "autotrace", "run", *GUNICORN]
    serve(command, folder, environ, ("gunicorn", "production"))


def test_switched_off(folder: Path, model: OpenAIServer, hooked: Path) -> None:
    """AUTOTRACE=0 has the last word on all three."""
    (folder / "agent.py").write_text(f"import autotrace.auto, autotrace\nautotrace.autolog()\n{AGENT}")
    environ, port = environment(folder, model, AUTOTRACE="0"), free_port()
    command = [str(hooked), "-m", "autotrace", "run", *(word.format(port=port) for word in GUNICORN)]
    with running(command, folder, environ):
        assert eventually(lambda: get(port), folder)["mine"] == 1
    assert not (folder / "home").exists()
