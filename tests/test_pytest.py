"""`pytest -p autotrace.pytest`, run as a user runs it: each test that leads to traced calls is a trace of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrace.store.reader import Reader

from .conftest import FAKES, by_hand

TESTS = '''
import asyncio
import os
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

import acme
import pytest

import autotrace


def ask(text):
    acme.Client().complete(text)


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(1) as found:
        found.submit(ask, "warm").result()
        yield found


@pytest.fixture
def around():
    ask("set up")
    yield
    ask("tear down")


@pytest.fixture
def fragile():
    yield
    raise OSError("left over")


def test_asks(around):
    """Set up and torn down with calls."""
    ask("first")
    ask("second")


def test_nothing(pool):
    """Its session's fixture calls."""


def test_no_call():
    """Leads to no traced call."""


def test_fails():
    ask("first")
    assert 1 == 2


def test_fails_late(fragile):
    ask("first")


def test_is_left():
    ask("first")
    pytest.skip("enough")


@pytest.mark.xfail
def test_is_known_to_fail():
    ask("first")
    raise LookupError


@pytest.mark.parametrize("city", ["Paris", "K\\u00f6ln"])
def test_city(city, pool):
    ask(city)


class TestGroup:
    def test_method(self):
        ask("first")


class Case(unittest.TestCase):
    def setUp(self):
        ask("set up")

    def test_case(self):
        ask("first")


def test_threads(pool):
    pool.submit(ask, "in the pool").result()
    thread = threading.Thread(target=ask, args=("in a thread",))
    thread.start()
    thread.join()


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.asyncio(loop_scope="session")
async def test_asyncio(number):
    client = acme.Client()
    await asyncio.gather(client.complete_async(f"a{number}"), client.complete_async(f"b{number}"))


@pytest.mark.anyio
async def test_anyio(anyio_backend):
    acme.Client().complete(anyio_backend)


def test_labels():
    with autotrace.context(session="s-1"):
        ask("first")
    autotrace.update_trace(user="ann", tags={"kind": "smoke"})


def test_the_fixture_spans(spans):
    ask("first")
    assert [span.parent_id for span in spans.all()] == [None]


def test_after_the_fixture_spans():
    ask("first")


def test_forks():
    pid = os.fork()
    if pid == 0:
        ask("forked")
        os._exit(0)
    os.waitpid(pid, 0)
    ask("first")
'''


_PLUGINS = [f"-p{name}" for name in ("pytest_asyncio.plugin", "anyio.pytest_plugin", "autotrace.testing.pytest_plugin")]


class Run:
    """Runs pytest in a folder, and reads the traces that it left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **by_hand(),
            "PYTHONPATH": str(FAKES),
            # Those of the environment that tests here use: some others take seconds to import.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            # Where nothing of it may go.
            "AUTOTRACE_HOME": str(folder / "program"),
            "AUTOTRACE_DESTINATION": "console",
            "AUTOTRACE_SAMPLE": "0",
        }
        settings = ["asyncio_default_fixture_loop_scope = function", "filterwarnings =", "  error"]
        settings += ["  ignore:.*fork:DeprecationWarning", "  ignore:Module already imported"]
        (folder / "pytest.ini").write_text("\n".join(["[pytest]", *settings]))

    def write(self, tests: str, name: str = "test_agent.py") -> None:
        """Writes a file of the project."""
        (self.folder / name).write_text(tests)

    def pytest(self, *arguments: str, status: int = 0, plugin: tuple[str, ...] = ("-p", "autotrace.pytest")) -> str:
        """Runs the tests; what was printed."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "pytest", "-q", *_PLUGINS, *plugin, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def traces(self, home: str = ".autotrace/tests") -> dict[str, dict[str, Any]]:
        """The traces in a store, whole, by name."""
        subprocess.run(
            [sys.executable, "-m", "autotrace", "drain"],
            cwd=self.folder,
            env={**self.environment, "AUTOTRACE_HOME": home, "AUTOTRACE_DESTINATION": "store"},
            timeout=60,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with Reader(self.folder / home / "traces.db") as reader:
            found = [reader.trace(trace_id) for trace_id in reader.trace_ids()]
            return {trace.summary.name: trace.as_json() for trace in found if trace is not None}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run of all the tests above, and what it printed."""
    run = Run(tmp_path_factory.mktemp("project"))
    run.write(TESTS)
    return run, run.pytest(status=1)


@pytest.fixture(scope="module")
def traces(whole: tuple[Run, str]) -> dict[str, dict[str, Any]]:
    """Its traces, by name without the file's."""
    return {name.removeprefix("test_agent.py::"): trace for name, trace in whole[0].traces().items()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A project without tests."""
    return Run(tmp_path)


def asked(trace: dict[str, Any]) -> list[str]:
    """What the calls of a trace asked, in order; the first span is the test itself."""
    found = []
    for span in trace["spans"]:
        messages = span["attributes"].get("gen_ai.input.messages")
        found += [] if messages is None else [json.loads(messages)[0]["parts"][0]["content"]]
    return found


def test_each_test_is_a_trace(traces: dict[str, dict[str, Any]]) -> None:
    """Each test that leads to traced calls, by its id, with what fixtures call for it; no other."""
    assert {name: asked(trace) for name, trace in traces.items()} == {
        "test_asks": ["set up", "first", "second", "tear down"],
        "test_nothing": ["warm"],
        "test_fails": ["first"],
        "test_fails_late": ["first"],
        "test_is_left": ["first"],
        "test_is_known_to_fail": ["first"],
        "test_city[Paris]": ["Paris"],
        "test_city[K\\xf6ln]": ["Köln"],
        "TestGroup::test_method": ["first"],
        "Case::test_case": ["set up", "first"],
        "test_threads": ["in the pool", "in a thread"],
        "test_asyncio[1]": ["a1", "b1"],
        "test_asyncio[2]": ["a2", "b2"],
        "test_anyio[asyncio]": ["asyncio"],
        "test_anyio[trio]": ["trio"],
        "test_labels": ["first"],
        "test_after_the_fixture_spans": ["first"],
        "test_forks": ["first"],
        "chat acme-1": ["forked"],  # another process, which cannot speak for the test
    }


def test_what_became_of_it(traces: dict[str, dict[str, Any]]) -> None:
    """A test that failed has failed, with its assertion; one that was left has neither failed nor passed."""
    told = {name: (trace["status"], trace["error"] and trace["error"]["type"]) for name, trace in traces.items()}
    assert {name: one for name, one in told.items() if one != ("ok", None)} == {
        "test_fails": ("error", "AssertionError"),
        "test_fails_late": ("error", "OSError"),
        "test_is_left": ("skipped", None),
        "test_is_known_to_fail": ("xfailed", None),
    }
    assert traces["test_fails"]["error"]["message"] == "assert 1 == 2"


def test_its_id(traces: dict[str, dict[str, Any]]) -> None:
    """The id of the test is a tag of its trace; labels of the program stand beside it."""
    root = traces["TestGroup::test_method"]["spans"][0]
    assert {key: value for key, value in root["attributes"].items() if key.startswith("test.")} == {
        "test.id": "test_agent.py::TestGroup::test_method",
        "test.case.name": "test_method",
        "test.suite.name": "test_agent.py",
        "test.case.result.status": "pass",
    }
    labels = traces["test_labels"]
    assert labels["tags"] == {"test.id": "test_agent.py::test_labels", "kind": "smoke"}
    assert (labels["user"], labels["spans"][1]["attributes"]["session.id"]) == ("ann", "s-1")
    assert {trace["environment"] for trace in traces.values()} == {"development"}


def test_in_a_store_of_their_own(whole: tuple[Run, str]) -> None:
    """Whatever the settings say; the last lines tell where."""
    run, printed = whole
    assert (
        "autotrace: 18 traces in .autotrace/tests; to see them: AUTOTRACE_HOME=.autotrace/tests autotrace traces"
        in printed.splitlines()
    )
    assert not (run.folder / "program").exists()
    assert "chat" not in printed  # the destination `console`


def test_a_home_that_cannot_be(run: Run) -> None:
    """What is not kept is not said to be."""
    run.write("import autotrace\ndef test_it():\n    with autotrace.span('chat'): pass\n")
    (run.folder / "file").write_text("")
    printed = run.pytest("--autotrace-home", "file/traces")
    assert "autotrace: 1 trace, and none is kept: file/traces cannot be written" in printed


def test_workers(run: Run) -> None:
    """With pytest-xdist: the traces of all workers, counted together, in the folder that was asked for."""
    run.write(
        "import autotrace, pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n):\n"
        "    with autotrace.span('chat'): pass\n"
    )
    printed = run.pytest("-p", "xdist.plugin", "-n", "2", "--autotrace-home", "my traces")
    assert "autotrace: 6 traces in my traces; to see them: AUTOTRACE_HOME='my traces' autotrace traces" in printed
    assert sorted(run.traces("my traces")) == [f"test_agent.py::test_it[{n}]" for n in range(6)]
    assert not (run.folder / ".autotrace").exists()


def test_named_by_a_conftest(run: Run) -> None:
    """Named by the project's conftest.py, it comes late, but not too late; programs that tests start are told of it."""
    run.write("pytest_plugins = ['autotrace.pytest']", "conftest.py")
    run.write(
        "import subprocess, sys\n"
        "def test_it():\n"
        "    code = 'import autotrace.auto, acme; acme.Client().complete(\"hi\")'\n"
        "    subprocess.run([sys.executable, '-c', code], check=True)\n"
    )
    assert "autotrace: 0 traces" in run.pytest(plugin=()).splitlines()
    assert [asked(trace) for trace in run.traces().values()] == [["hi"]]


def test_off_by_default(run: Run) -> None:
    """Without it nothing is traced, nothing is told, and nothing is written."""
    run.write("import acme\ndef test_it():\n    acme.Client().complete('hi')\n")
    assert "autotrace" not in run.pytest(plugin=())
    found = sorted(path.name for path in run.folder.iterdir() if path.name != "__pycache__")
    assert found == [".pytest_cache", "pytest.ini", "test_agent.py"]


def test_switched_off(run: Run) -> None:
    """OTEL_SDK_DISABLED counts here as everywhere."""
    run.write("import acme\ndef test_it():\n    acme.Client().complete('hi')\n")
    run.environment["OTEL_SDK_DISABLED"] = "true"
    assert "autotrace: 0 traces" in run.pytest().splitlines()


def test_leaves_all_as_it_was(run: Run) -> None:
    """A program that runs pytest goes on as before: its settings, its environment."""
    run.write("import acme\ndef test_it():\n    acme.Client().complete('hi')\n")
    run.write(
        """
import autotrace.auto, acme, os, pytest
before = dict(os.environ)
assert pytest.main(["-q", "-p", "pytest_asyncio.plugin", "-p", "autotrace.pytest"]) == 0
assert dict(os.environ) == before
autotrace.autolog(home="mine", destination="store", sample=1.0)
acme.Client().complete("after")
""",
        "program.py",
    )
    subprocess.run([sys.executable, "program.py"], cwd=run.folder, env=run.environment, check=True, timeout=60)
    assert list(run.traces()) == ["test_agent.py::test_it"]
    assert [asked(trace) for trace in run.traces("mine").values()] == [["after"]]
