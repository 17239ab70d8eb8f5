"""Whole programs in processes of their own, against a server on loopback, read back through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrace.testing.openai_server import OpenAIServer

pytest.importorskip("openai", reason="the system tests trace the OpenAI SDK")

PREAMBLE = """
import autotrace.auto
import openai, os, sys
def connect():
    return openai.OpenAI(base_url=os.environ["SERVER"], api_key="sk-test", max_retries=0)
client = connect()
def ask(text, **more):
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}], **more)
"""


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """A metering model server."""
    with OpenAIServer() as running:
        yield running


class Program:
    """Runs programs in one home, and reads what they left."""

    def __init__(self, folder: Path, server: OpenAIServer) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AUTOTRACE", "OTEL"))},
            "AUTOTRACE_HOME": str(self.home),
            "SERVER": server.url,
        }

    def start(self, code: str, *arguments: str, preamble: str = PREAMBLE, **environment: str) -> subprocess.Popen[str]:
        """Starts a program; its standard output and error are pipes."""
        path = self.folder / "program.py"
        path.write_text(preamble + textwrap.dedent(code))
        return subprocess.Popen(
            [sys.executable, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environment, **environment},
        )

    def run(self, code: str, *arguments: str, preamble: str = PREAMBLE, **environment: str) -> tuple[int, str, str]:
        """Runs a program to its end; answers its exit status, output and error output."""
        process = self.start(code, *arguments, preamble=preamble, **environment)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def command(self, *arguments: str) -> str:
        """What `autotrace ...` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "autotrace", *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def traces(self, *arguments: str) -> list[dict[str, Any]]:
        """What `autotrace traces --json` lists."""
        found: list[dict[str, Any]] = json.loads(self.command("traces", "--json", "--limit", "1000", *arguments))
        return found


@pytest.fixture
def program(tmp_path: Path, server: OpenAIServer) -> Program:
    """Runs programs whose model is `server`."""
    return Program(tmp_path, server)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition, with a deadline."""
    import time

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it did not happen within 20 s"
            time.sleep(0.01)

    return wait
