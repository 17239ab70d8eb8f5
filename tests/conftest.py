"""What the tests of the core share: fresh interpreters, folders of installed packages, and a provider that collects."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import none
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autotrace import activation
from autotrace.config import PREFIX
from autotrace.delivery.platform import CI_MARKS, TEST_MARKS
from autotrace.recording.guard import guard
from autotrace.testing import fake_framework

#: Holds, while the tests run, the fake framework as `acme`, a plugin for it, and what else can be imported.
_FAKES = tempfile.TemporaryDirectory(prefix="autotrace-fakes-")
FAKES = Path(_FAKES.name)
shutil.copytree(Path(__file__).parent / "fakes", FAKES, dirs_exist_ok=True)
fake_framework("acme", FAKES, "1.4.0")


# Set by pytest-xdist in its workers, for a terminal that the programs under test do not have.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COLUMNS", None)


def pytest_collection_finish() -> None:
    """Spares what collects garbage the whole suite: many tests do so, and each looked at all of it for a second."""
    # Hypothesis looks for who refers to NumPy's random numbers, and would not find what is frozen.
    importlib.import_module("numpy")
    given(none())(lambda _: None)()
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Likewise what a file's tests have left, its imports above all."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def by_hand(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables as a person's shell has them: without what tells of a test, of continuous integration, or of us."""
    marks = {*TEST_MARKS, *CI_MARKS, "AUTOTRACE"}
    given = os.environ if environ is None else environ
    return {name: text for name, text in given.items() if name not in marks and not name.startswith((PREFIX, "OTEL_"))}


@pytest.fixture(autouse=True)
def context_is_left_in_order() -> Iterator[None]:
    """Whatever a test does, OpenTelemetry never complains that a context was left out of order (law L08)."""
    complaints: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    logger, listener = logging.getLogger("opentelemetry.context"), Listener()
    logger.addHandler(listener)
    yield
    logger.removeHandler(listener)
    assert complaints == []


@pytest.fixture(autouse=True)
def warnings_are_heard() -> None:
    """A Celery worker that has run in this process has set logging to errors alone, and later tests listen to more."""
    logging.getLogger().setLevel(logging.WARNING)


class Interpreter:
    """Starts Python afresh.

    Attributes:
        path: Folders that its imports are looked for in.
        environment: What else its environment holds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = [FAKES]
        self.environment: dict[str, str] = {}
        self.errors = ""

    def run(self, code: str, *flags: str) -> str:
        """Runs `code` to its end, which must be a good one; answers what it printed."""
        inherited = {key: text for key, text in os.environ.items() if not key.startswith((PREFIX, "OTEL_", "PYTHON"))}
        environment = {
            **inherited,
            "PYTHONPATH": os.pathsep.join(map(str, self.path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AUTOTRACE_HOME": str(self.folder / "home"),
            **self.environment,
        }
        program = self.folder / "program.py"
        program.write_text(textwrap.dedent(code))
        done = subprocess.run(
            [sys.executable, "-W", "error", *flags, str(program)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.errors = done.stderr
        return done.stdout

    def json(self, code: str, *flags: str) -> Any:
        """Runs `code`, whose last line of output is JSON; answers its value."""
        return json.loads(self.run(code, *flags).splitlines()[-1])


@pytest.fixture
def python(tmp_path: Path) -> Interpreter:
    """A fresh interpreter that finds the fakes."""
    folder = tmp_path / "run"
    folder.mkdir()
    return Interpreter(folder)


class Site:
    """A folder of installed packages, written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def module(self, name: str, source: str) -> Path:
        """Installs a module, or a package's `__init__` when `name` ends in `/`."""
        path = self.folder / (f"{name}__init__.py" if name.endswith("/") else f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    def distribution(self, name: str, version: str, metadata: str = "", entry_points: str = "") -> None:
        """Installs what `importlib.metadata` reads of a distribution."""
        folder = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}")
        if entry_points:
            (folder / "entry_points.txt").write_text(f"[autotrace]\n{entry_points}\n")

    def plugin(
        self, name: str, source: str, wakes: str = "acme", instruments: str | None = None, version: str = "1.0"
    ) -> None:
        """Installs a plugin of one module."""
        module = name.replace("-", "_")
        self.module(module, source)
        metadata = ""
        if instruments is not None:
            metadata = f'Provides-Extra: instruments\nRequires-Dist: {instruments} ; extra == "instruments"\n'
        self.distribution(name, version, metadata, f"{wakes} = {module}")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder of installed packages; empty."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


class Collected:
    """A provider, and the spans that came out of it."""

    provider: Any

    @property
    def finished(self) -> list[Any]:
        """Spans that have ended, in the order of their ends."""
        raise NotImplementedError

    def one(self) -> Any:
        """The only span."""
        assert len(self.finished) == 1, [span.name for span in self.finished]
        return self.finished[0]

    def named(self, name: str) -> Any:
        """The only span of that name."""
        found = [span for span in self.finished if span.name == name]
        assert len(found) == 1, [span.name for span in self.finished]
        return found[0]


class LightCollected(Collected):
    """Spans of autotrace's own provider."""

    def __init__(self) -> None:
        from autotrace.recording.tracer import LeanTracerProvider

        self._finished: list[Any] = []
        self.provider = LeanTracerProvider(self)

    def started(self, span: Any) -> None:
        """A span without a parent has started."""

    def ended(self, span: Any) -> None:
        """A span has ended."""
        self._finished.append(span)

    @property
    def finished(self) -> list[Any]:
        return self._finished


class SdkCollected(Collected):
    """Spans of OpenTelemetry's SDK, as an application's own provider makes them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def finished(self) -> list[Any]:
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Autotrace as it is before anything was asked of it, in a folder of its own; and left so."""
    for name in list(os.environ):
        if name.startswith((PREFIX, "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOTRACE_HOME", str(tmp_path / "home"))
    activation.active().reset()
    yield
    activation.active().reset()


@pytest.fixture(params=["light", "sdk"])
def spans(request: pytest.FixtureRequest, clean: None, fakes_on_path: None) -> Iterator[Collected]:
    """Collects the spans of this test, from autotrace's light spans and from OpenTelemetry's own; no error of ours."""
    collected: Collected = LightCollected() if request.param == "light" else SdkCollected()
    activation.autolog(tracer_provider=collected.provider)
    yield collected
    assert guard.failures == {}


@pytest.fixture
def fakes_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes can be imported."""
    monkeypatch.syspath_prepend(FAKES)
