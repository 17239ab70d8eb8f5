"""Examples that serve, started by the command that their first lines name, and what is recorded of them."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from click.testing import CliRunner

from autotrace.cli import main
from autotrace.testing import OpenAIServer

from ..conftest import by_hand

SERVING = Path(__file__).resolve().parents[2] / "examples" / "serving"
DEADLINE_S = 30
SCRIPTS = Path(sys.executable).parent
#: A connection a request: some servers close one without a word.
ONE_REQUEST = httpx.Limits(max_keepalive_connections=0)

T = TypeVar("T")

#: Settings and marks of whoever runs the tests, which the programs under test must not see.
_OURS = ("AUTOTRACE", "OTEL_", "MLFLOW_", "OPENAI_", "PYTHON", "PYTEST_")


def until(what: Callable[[], T], why: Callable[[], str] = lambda: "", seconds: float = DEADLINE_S) -> T:
    """What `what` answers, as soon as that is something; an error that tells `why` not, after a while."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"nothing after {seconds} s\n{why()}"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
    return port


def commands(file: Path) -> list[list[str]]:
    """The commands in the docstring of a program that start it traced, without `&`."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    lines = [line.strip().removesuffix("&") for line in text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("autotrace run ")]


@dataclass(frozen=True)
class Server:
    """An example that runs.

    Attributes:
        url: Where it listens.
        log: What it has written.
        client: Talks to it.
    """

    url: str
    log: Path
    process: subprocess.Popen[bytes]
    client: httpx.Client


class Example:
    """Runs an example, in a home of its own.

    Args:
        name: Its folder.
        tmp_path: For what it leaves.
        settings: What its environment has beside that of the tests.
    """

    def __init__(self, name: str, tmp_path: Path, settings: Mapping[str, str]) -> None:
        # A copy: what programs leave beside themselves is none of the checkout's.
        self.folder = shutil.copytree(SERVING / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.tmp_path = tmp_path
        self.environment = {
            **{key: value for key, value in by_hand().items() if not key.startswith(_OURS)},
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}",
            "AUTOTRACE_HOME": str(tmp_path / "home"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_PROXY": "127.0.0.1",
            **settings,
        }

    @contextmanager
    def run(self, command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """A command in the example's folder, and its log; terminated in the end, which must work."""
        log = self.tmp_path / f"{command[2]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process, log
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(DEADLINE_S)

    @contextmanager
    def serve(
        self, command: list[str], ready: str = "/", port: int | None = None, start_s: float = 60
    ) -> Iterator[Server]:
        """The same for a server, once the path `ready` answers; a machine may be busy while it starts."""
        if port is None:
            port = free_port()
            option = ["--bind", f"127.0.0.1:{port}"] if "gunicorn" in command else ["--port", str(port)]
            command = [*command, *option]
        url = f"http://127.0.0.1:{port}"
        with (
            self.run(command) as (process, log),
            httpx.Client(base_url=url, timeout=DEADLINE_S, trust_env=False, limits=ONE_REQUEST) as client,
        ):

            def answers() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return client.get(ready).status_code == 200
                except httpx.TransportError:
                    return False

            until(answers, log.read_text, start_s)
            yield Server(url, log, process, client)

    def autotrace(self, *arguments: str) -> str:
        """What a command of autotrace prints."""
        done = CliRunner().invoke(main, arguments, env={"AUTOTRACE_HOME": self.environment["AUTOTRACE_HOME"]})
        assert done.exit_code == 0, done.output
        return done.stdout

    def traces(self) -> list[dict[str, Any]]:
        """What is recorded so far, the oldest trace first."""
        found: list[dict[str, Any]] = json.loads(self.autotrace("traces", "--json", "--limit", "1000"))
        return found[::-1]

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace, in the order of their starts."""
        found: list[dict[str, Any]] = json.loads(self.autotrace("traces", "show", trace_id, "--json"))["spans"]
        return found


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    """A model that calls a tool where it is given one, and then answers; the tests may script it."""
    with OpenAIServer() as server:
        yield server


def require(variable: str, reason: str) -> None:
    """Skips the test, or fails it where a variable says that what it needs has to be there."""
    if os.environ.get(variable) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def model_settings(base_url: str, model: str) -> dict[str, str]:
    """What tells a program where the model is, and that its streams may be asked for their tokens."""
    return {
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "local",
        "OPENAI_MODEL": model,
        "AUTOTRACE_OPENAI_STREAM_USAGE": "always",
    }
