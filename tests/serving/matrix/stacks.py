"""The servers of the matrix, as data."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

SIGTERM, SIGKILL = ENDINGS = ("SIGTERM", "SIGKILL")
ASGI, WSGI = ("/ask", "/ask-async", "/stream"), ("/ask", "/stream")


@dataclass(frozen=True, slots=True)
class Stack:
    """A server and how it is started.

    Attributes:
        title: What the table calls it.
        distribution: Whose version the table tells.
        apps: The files of `apps` that it serves.
        command: What follows `autotrace run`; `{port}` stands for the port.
        paths: Where questions go.
        processes: What makes the workers, for the table.
        speaks: How it is asked: `json`, `responses` (OpenAI's API of that name), `lines`, or `tasks`.
        needs: What else must be installed, as distributions.
        environment: What its traces are told apart by.
        quick: The endings that are always tested; the others only in the whole matrix.
    """

    title: str
    distribution: str
    apps: tuple[str, ...]
    command: str
    paths: tuple[str, ...]
    processes: str
    speaks: str = "json"
    needs: tuple[str, ...] = ()
    environment: str = "production"
    quick: tuple[str, ...] = (SIGKILL,)


_UVICORN = "uvicorn asgi_app:app --host 127.0.0.1 --port {port} --log-level warning"
_GUNICORN = "gunicorn --bind 127.0.0.1:{port} --log-level warning --workers 2"
_WORKER = "--worker-class uvicorn_worker.UvicornWorker asgi_app:app"
_WITH_UVICORN = ("fastapi", "uvicorn", "uvicorn-worker")

STACKS = {
    "uvicorn": Stack("uvicorn", "uvicorn", ("asgi_app.py",), _UVICORN, ASGI, "1", needs=("fastapi",), quick=ENDINGS),
    "uvicorn-workers": Stack(
        "uvicorn --workers 2", "uvicorn", ("asgi_app.py",), f"{_UVICORN} --workers 2", ASGI, "spawn", needs=("fastapi",)
    ),
    "uvicorn-reload": Stack(
        "uvicorn --reload", "uvicorn", ("asgi_app.py",), f"{_UVICORN} --reload", ASGI, "spawn", needs=("fastapi",),
        environment="development",
    ),
    "gunicorn": Stack(
        "gunicorn", "gunicorn", ("wsgi_app.py",), f"{_GUNICORN} wsgi_app:app", WSGI, "fork", quick=ENDINGS
    ),
    "gunicorn-preload": Stack(
        "gunicorn --preload", "gunicorn", ("wsgi_app.py",), f"{_GUNICORN} --preload wsgi_app:app", WSGI, "fork"
    ),
    "gunicorn-threads": Stack(
        "gunicorn --threads 4", "gunicorn", ("wsgi_app.py",), f"{_GUNICORN} --threads 4 wsgi_app:app", WSGI, "fork",
        quick=(),
    ),
    "gunicorn-uvicorn": Stack(
        "gunicorn, uvicorn worker", "gunicorn", ("asgi_app.py",), f"{_GUNICORN} {_WORKER}", ASGI, "fork",
        needs=_WITH_UVICORN,
    ),
    "gunicorn-uvicorn-preload": Stack(
        "gunicorn --preload, uvicorn worker", "gunicorn", ("asgi_app.py",), f"{_GUNICORN} --preload {_WORKER}", ASGI,
        "fork", needs=_WITH_UVICORN,
    ),
    "hypercorn": Stack(
        "hypercorn --workers 2", "hypercorn", ("asgi_app.py",),
        "hypercorn --bind 127.0.0.1:{port} --workers 2 --log-level warning asgi_app:app", ASGI, "spawn",
        needs=("fastapi",),
    ),
    "granian": Stack(
        "granian --workers 2", "granian", ("asgi_app.py",),
        "granian --interface asgi --host 127.0.0.1 --port {port} --workers 2 --log-level warning asgi_app:app", ASGI,
        "fork", needs=("fastapi",),
    ),
    "uwsgi": Stack(
        "uwsgi --processes 2", "uwsgi", ("wsgi_app.py",),
        "uwsgi --http-socket 127.0.0.1:{port} --master --processes 2 --enable-threads --die-on-term --need-app"
        " --disable-logging --virtualenv {environment} --wsgi-file wsgi_app.py --callable app",
        WSGI, "fork in C", quick=(),
    ),
    "celery": Stack(
        "celery, prefork", "celery", ("tasks.py", "sender.py"),
        "celery --app tasks worker --pool prefork --concurrency 2 --loglevel WARNING", WSGI, "fork", speaks="tasks"
    ),
    "multiprocessing-fork": Stack(
        "multiprocessing, fork", "python", ("pool.py",), "pool.py fork", WSGI, "fork", speaks="lines",
        environment="development",
    ),
    "mlflow-agent-server": Stack(
        "MLflow AgentServer", "mlflow", ("agent_server.py", "agent_functions.py", "mlflow_agent.py"),
        "agent_server.py --port {port}", ("/responses", "/invocations", "/responses?stream"), "1",
        speaks="responses", quick=(),
    ),
    "mlflow-models-serve": Stack(
        "mlflow models serve --workers 2", "mlflow", ("mlflow_agent.py",),
        "mlflow models serve --model-uri {model} --env-manager local --host 127.0.0.1 --port {port} --workers 2",
        ("/invocations",), "spawn", speaks="responses", quick=(),
    ),
    "multiprocessing-spawn": Stack(
        "multiprocessing, spawn", "python", ("pool.py",), "pool.py spawn", WSGI, "spawn", speaks="lines",
        environment="development",
    ),
}  # fmt: skip


def command_of(stack: Stack, port: int, folder: Path) -> list[str]:
    """What starts a stack, in a folder where its files are; a model of MLflow's is in `model`."""
    words = stack.command.format(port=port, environment=sys.prefix, model=folder / "model").split()
    return [sys.executable, "-m", "autotrace", "run", *words]
