"""The model servers under examples/: the scripted one always, the real one where it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from .serving import model

__all__ = ["model"]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = {name: EXAMPLES / "local_model" / f"{name}.py" for name in ("scripted", "server")}

scripted_only = pytest.mark.parametrize("served", [SCRIPTS["scripted"]], ids=["scripted"], indirect=True)


@dataclass(frozen=True)
class RunningModel:
    """A model server that is ready, and a client that talks to it."""

    process: subprocess.Popen[str]
    base_url: str
    model: str
    client: OpenAI

    def meter(self) -> dict[str, Any]:
        """Return the server's figures."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.base_url.removesuffix("/v1") + "/meter", timeout=10) as reply:
            figures: dict[str, Any] = json.load(reply)
        return figures

    def chat(self, **settings: Any) -> Any:
        """Ask for a completion with short, repeatable answers."""
        settings = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 40, **settings}
        return self.client.chat.completions.create(model=self.model, temperature=0, **settings)


def launch(script: Path) -> Iterator[RunningModel]:
    """Run a model server until the generator is resumed; skip the test if the model is not installed."""
    command = [sys.executable, str(script), "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        if not words and process.wait() == 3:
            assert process.stderr is not None
            pytest.skip(process.stderr.read().strip())
        ready, base_url, model = words
        assert ready == "READY"
        with OpenAI(base_url=base_url, api_key="local", max_retries=0) as client:
            yield RunningModel(process, base_url, model.removeprefix("model="), client)
        process.kill()


@pytest.fixture(scope="module", params=SCRIPTS.values(), ids=list(SCRIPTS))
def served(request: pytest.FixtureRequest) -> Iterator[RunningModel]:
    """One server for the tests that only ask it things."""
    yield from launch(request.param)
