"""The page as people open it: `autotrace ui` on a store that was generated, and on what the demo's programs leave."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import by_hand

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that a page may take to be there, and to have read the store.
PATIENCE_S = 60.0
PROGRAMS = {"openai": "openai_agent.py", "langchain": "langchain_agent.py"}


@dataclass(frozen=True)
class Page:
    """A page that is served."""

    url: str
    home: Path
    process: subprocess.Popen[str]

    def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of an answer."""
        request = urllib.request.Request(self.url + path.lstrip("/"), headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Plain())
        with opener.open(request, timeout=30) as reply:
            return reply.status, reply.read().decode(), {name.lower(): value for name, value in reply.headers.items()}

    def json(self, path: str) -> Any:
        """What a twin says."""
        status, body, _ = self.get(path)
        assert status == 200, body
        return json.loads(body)

    def trace(self, expression: str = "") -> str:
        """The newest trace that fits."""
        found = self.json(f"traces.json?range=30d&filter={urllib.request.quote(expression)}")
        return str(found["traces"][0]["trace_id"])


class _Plain(urllib.request.HTTPErrorProcessor):
    """Answers are answers, whatever their status."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


@contextmanager
def served(home: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[Page]:
    """`autotrace ui` on a home, once it has read the whole store."""
    command = [sys.executable, "-m", "autotrace", "ui", "--port", "0", "--no-open", *options]
    settings = {**by_hand(), "AUTOTRACE_HOME": str(home), **(environment or {})}
    with subprocess.Popen(command, env=settings, cwd=home.parent, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            line = process.stdout.readline() if ready else ""
            assert "http://" in line, "autotrace ui did not start"
            page = Page(line.split()[2], home, process)
            _wait_until_read(page, options)
            yield page
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_read(page: Page, options: tuple[str, ...]) -> None:
    if "--token" in options or not (page.home / "traces.db").exists():
        return
    deadline = time.monotonic() + PATIENCE_S
    while not page.json("status.json")["complete"]:
        assert time.monotonic() < deadline, "the store was not read"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def generated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the traces of a made-up shop's assistants."""
    home = tmp_path_factory.mktemp("generated") / "home"
    script = ROOT / "benchmarks" / "page_store.py"
    command = [sys.executable, str(script), "--home", str(home), "--traces", "400", "--days", "3", "--seed", "7"]
    subprocess.run(command, check=True, capture_output=True, env=by_hand())
    return home


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with what the demo's programs leave, with the scripted model."""
    from tests.examples.conftest import SCRIPTS, launch  # it wants openai, which no other test of the page does

    folder = tmp_path_factory.mktemp("demo")
    for model in launch(SCRIPTS["scripted"]):
        settings = {
            **by_hand(),
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "local",
            "OPENAI_MODEL": model.model,
            "OPENAI_EMBEDDING_MODEL": model.model,
            "AUTOTRACE_HOME": str(folder / "home"),
        }
        for file in PROGRAMS.values():
            command = [sys.executable, str(ROOT / "examples" / file)]
            subprocess.run(command, env=settings, cwd=folder, check=True, capture_output=True)
        break
    return folder / "home"


@pytest.fixture(scope="session")
def generated(generated_home: Path) -> Iterator[Page]:
    """The page on the generated store."""
    with served(generated_home) as page:
        yield page


@pytest.fixture(scope="session")
def demo(demo_home: Path) -> Iterator[Page]:
    """The page on what the demo leaves."""
    with served(demo_home) as page:
        yield page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright: for one module, because a process can drive it once at a time."""
    executable = shutil.which("chromium")
    if executable is None:
        _missing("there is no chromium (apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=executable, args=[*options, "--disable-component-update"])
        yield started
        started.close()


def _missing(reason: str) -> None:
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)
