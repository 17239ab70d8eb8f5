"""`pytest -p autotrace.pytest`: the agent under test is traced, in a store of its own; each test is a trace.

A test whose code leads to no traced call leaves none. What fixtures call while they are set up or torn down belongs to
the test for which pytest does that: what a session's fixture calls, to the first test that wants it, and to the last.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import autotrace

from .activation import active
from .recording.current import current_context, surround
from .recording.failures import type_name
from .recording.guard import guard
from .recording.held import Description, Held
from .recording.labels import Labels
from .recording.messages import ResponseValues

#: Below the project's folder.
HOME = Path(".autotrace", "tests")
#: Whatever the settings say otherwise, also to the programs that tests start.
_SETTINGS = {"destination": "store", "sample": 1.0}
#: How a test ends that has neither passed nor failed, by whether that was expected.
_OUTCOMES = {True: "xfailed", False: "skipped"}
#: Seconds that the end of the run waits for delivery; what is left is in the journal.
_PATIENCE = 5.0
#: The plugin of one run; what a worker of pytest-xdist tells its number of traces by.
_NAME, _IN_WORKER = "autotrace-traces", "autotrace_traces"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    group = parser.getgroup("autotrace")
    group.addoption(
        "--autotrace-home",
        metavar="DIR",
        help=f"where the traces of the tests go (default: {HOME} below the rootdir)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Switches tracing on before any conftest.py imports what is traced."""
    _begin(early_config, early_config.known_args_namespace.autotrace_home)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Switches tracing on where that comes too late: in workers of pytest-xdist, or named by a conftest.py."""
    _begin(config, config.option.autotrace_home)


def _begin(config: pytest.Config, given: str | None) -> None:
    if not config.pluginmanager.has_plugin(_NAME):
        home = config.rootpath / HOME if given is None else config.invocation_params.dir / given
        config.pluginmanager.register(Traces(home), _NAME)


class Traces:
    """The traces of one run of tests.

    Args:
        home: The folder of their journal and their store.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._count = 0
        self._test: _Test | None = None
        settings: dict[str, Any] = {"home": str(home), **_SETTINGS}
        variables = {f"AUTOTRACE_{name.upper()}": str(value) for name, value in settings.items()}
        self._before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        activation = active()
        self._activation = activation.is_on, activation.arguments, activation.framework_arguments
        autotrace.autolog(**settings)
        # pytest reads the modules of all its plugins' distributions anew as it imports them, which Python 3.11.7 cannot
        # do in two threads at a time (python/cpython#106905): what the delivering thread would import, is imported now.
        import_module("autotrace.store.writer")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """One test, with what is set up for it and torn down."""
        test = self._test = _Test.begun(item, self._recorded)
        try:
            return (yield)
        finally:
            self._test = None
            if test is not None:
                test.end()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        """What became of a phase of the test."""
        report = yield
        if self._test is not None:
            self._test.reported(report, call)
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Everything is delivered; a worker of pytest-xdist tells how much that is."""
        autotrace.flush(_PATIENCE)
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_IN_WORKER] = self._count

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist is done."""
        self._count += getattr(node, "workeroutput", {}).get(_IN_WORKER, 0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Where the traces are."""
        folder = Path.cwd()
        home = str(self._home.relative_to(folder) if self._home.is_relative_to(folder) else self._home)
        told = f"autotrace: {self._count} trace{'s' * (self._count != 1)}"
        if self._count and not self._home.is_dir():
            told += f", and none is kept: {home} cannot be written"
        elif self._count:
            told += f" in {home}; to see them: AUTOTRACE_HOME={shlex.quote(home)} autotrace traces"
        if not terminalreporter.config.option.collectonly:
            terminalreporter.write_line(told)

    def pytest_unconfigure(self) -> None:
        """Leaves tracing, and the environment, as they were before."""
        for name, text in self._before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text
        activation = active()
        activation.reset()
        is_on, activation.arguments, activation.framework_arguments = self._activation
        if is_on:
            activation.switch_on()

    def _recorded(self, _: str) -> None:
        self._count += 1


class _Test:
    """One test that is running.

    Args:
        held: Its root.
        around: What everything lay in before.
    """

    def __init__(self, held: Held, around: Any) -> None:
        self._held = held
        self._around = around
        #: By phase, of the last time that it ran.
        self._reports: dict[str, tuple[pytest.TestReport, BaseException | None]] = {}

    @classmethod
    def begun(cls, item: pytest.Item, recorded: Callable[[str], None]) -> _Test | None:
        """A test is about to run; None where the program's own spans are switched off, or nothing can be recorded."""
        with guard("autotrace.pytest: start of a test"):
            recorder = active().recorder()
            if recorder is not None:
                held = Held(recorder, current_context(), lambda: _description(item), recorded=recorded)
                return cls(held, surround(held.context))
        return None

    def reported(self, report: pytest.TestReport, call: pytest.CallInfo[Any]) -> None:
        """A phase is over."""
        self._reports[report.when] = report, None if call.excinfo is None else call.excinfo.value

    def end(self) -> None:
        """The test is over."""
        surround(self._around)
        with guard("autotrace.pytest: end of a test"):
            values, outcome = self._ended()
            self._held.finish(lambda: values, outcome)

    def _ended(self) -> tuple[ResponseValues, str | None]:
        """What to say of it, and how it ended where it neither passed nor failed."""
        for report, error in self._reports.values():
            if report.failed:
                told = (type_name(error), str(error)) if error is not None else ("failed", str(report.longrepr))
                return {"error": told, "attributes": {"test.case.result.status": "fail"}}, None
        for report, _ in self._reports.values():
            if report.skipped:
                return {}, _OUTCOMES[hasattr(report, "wasxfail")]
        if "teardown" not in self._reports:  # the run was broken off
            return {}, "exited"
        return {"attributes": {"test.case.result.status": "pass"}}, None


def _description(item: pytest.Item) -> Description:
    attributes = {"test.id": item.nodeid, "test.case.name": item.name, "test.suite.name": item.location[0]}
    return Description({"name": item.nodeid, "attributes": attributes}, Labels(tags={"test.id": item.nodeid}))
