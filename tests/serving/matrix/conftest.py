"""A model in a process of its own, and what a served program of the matrix is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrace.delivery.platform import CI_MARKS, TEST_MARKS

from ...delivery.destinations.mlflow_server import Server, mlflow_server  # noqa: F401 - a fixture

#: Whether all is asked for: every server, 200 requests, an MLflow server too.
IS_WHOLE = os.environ.get("SERVING_MATRIX") == "whole"


class Model:
    """A model server that answers by itself, and says what it billed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autotrace.testing.openai_server"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def billed(self) -> tuple[int, int]:
        """Tokens in and out, so far."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.url.removesuffix("/v1") + "/billed", timeout=10) as reply:
            found = json.load(reply)
        return found["input_tokens"], found["output_tokens"]


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    """One for all tests of a session."""
    running = Model()
    yield running
    running.process.kill()
    running.process.communicate()


@pytest.fixture
def mlflow(request: pytest.FixtureRequest) -> Server | None:
    """An MLflow server, where all is asked for."""
    return request.getfixturevalue("mlflow_server") if IS_WHOLE else None


@pytest.fixture
def environment(tmp_path: Path, model: Model) -> dict[str, str]:
    """What a served program finds: this one's `bin` comes first, nothing tells of tracing, of a test, or of CI."""
    foreign = ("AUTOTRACE", "OTEL_", "MLFLOW_", "OPENAI_", "PYTHON", *TEST_MARKS, *CI_MARKS)
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    return {
        **inherited,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")]),
        "AUTOTRACE_HOME": str(tmp_path / "home"),
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": "sk-test",
        "NO_PROXY": "*",
    }
