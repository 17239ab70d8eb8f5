"""Laws: a plugin imports nothing before its time, and leaves a framework as it was."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import typing
from importlib import import_module
from typing import Any

import pytest

import autotrace
from autotrace.activation import active
from autotrace.host.tracing import TracedFramework

from ..recorded import Spans
from .forms import ALL, Forms, every_form
from .snapshots import changes, held, wrapped


@pytest.mark.usefixtures("_framework_before")
class Patches(Forms):
    """Waking, patching, restoring."""

    def test_the_plugin_imports_no_framework(self) -> None:
        """The plugin can be imported without its framework, and does not import it (law L31)."""
        code = f"import sys; import {self.plugin}; print({self.framework!r} in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=_environment()
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "False", f"importing {self.plugin} imports {self.framework}"

    def test_every_hook_point_is_there(self, spans: Spans) -> None:
        """Each function that the plugin patches is in the installed version of the framework (law L49)."""
        assert [problem for traced in self._traced() for problem in traced.missing] == []

    def test_the_plugin_names_what_it_supports(self, spans: Spans) -> None:
        """The installed version of the framework is one that the plugin's metadata name (law L33)."""
        import_module(self.framework)
        plugin = next(plugin for plugin in active().host.discover() if plugin.entry.value == self.plugin)
        requirements = plugin.requirements
        if requirements.framework is None:
            pytest.skip(f"{plugin.distribution} has no extra `instruments`: it works with any version")
        assert requirements.framework_version() is not None, f"{requirements.framework} is not installed"
        assert requirements.unsupported_framework(plugin.distribution) is None

    def test_functions_look_as_before(self, spans: Spans) -> None:
        """A patched function has the signature, name, text, and kind that it has without tracing (law L24)."""
        patches = [patch for traced in self._traced() for patch in traced.applied]
        assert patches, "the plugin has patched nothing"
        traced = {patch.label: _looks(patch.current()) for patch in patches}
        self._untraced(spans)
        assert traced == {patch.label: _looks(patch.current()) for patch in patches}

    def test_switching_off_restores(self, spans: Spans) -> None:
        """Switched off, every class and module of the framework holds what it held before the plugin woke (law L26)."""
        self._complete(self._any_form())
        for _ in range(3):
            spans.off()
            spans.on()
        spans.off()
        left = wrapped(held(self.framework))
        assert left == [], f"wrappers are left on {left}"
        changed = changes(self._before, held(self.framework))
        assert changed == [], f"these are not what they were: {changed}"

    @every_form
    def test_toggles(self, spans: Spans, form: str) -> None:
        """Switched off or suppressed, a call leaves no span; on again, it does (laws L34, L35)."""
        self._needs(form)
        names = [traced.instrumentation.name for traced in self._traced()]
        spans.off()
        self._complete(form)
        spans.on()
        for name in names:
            autotrace.autolog(name, disable=True)
        self._complete(form)
        for name in names:
            autotrace.autolog(name, disable=False)
        with autotrace.suppress(*names):
            self._complete(form)
        assert [span.name for span in spans.all() if span.framework in names] == []
        spans.clear()  # what lies beneath may be another plugin's
        self._complete(form)
        self._calls(spans)

    def test_a_stream_that_is_switched_off_half_way(self, spans: Spans) -> None:
        """A stream that is under way when tracing is switched off goes on as it would have (law L27)."""
        self._needs("stream")
        stream = iter(self.stream(self.prompt))
        pieces = [next(stream)]
        spans.off()
        pieces += stream
        self._untraced(spans)
        assert [self.value(one) for one in pieces] == [self.value(one) for one in self.stream(self.prompt)]

    def test_objects_can_be_copied(self, spans: Spans) -> None:
        """The framework's objects survive copying and pickling as they do without tracing (law L25)."""
        self._needs("objects")
        ways = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}

        def survivors() -> list[tuple[str, str, str]]:
            return [
                (type(one).__name__, name, _outcome(way, one)) for one in self.objects() for name, way in ways.items()
            ]

        traced = survivors()
        self._untraced(spans)
        assert traced == survivors()

    def _traced(self) -> list[TracedFramework]:
        """What the plugin traces, awake."""
        import_module(self.framework)
        active().host.wake_imported()
        plugins = [plugin for plugin in active().host.discover() if plugin.entry.value == self.plugin]
        assert plugins, f"no plugin {self.plugin} is installed (autotrace plugins shows which are)"
        traced = [traced for plugin in plugins for traced in plugin.frameworks]
        assert traced, f"{self.plugin} is not awake: {plugins[0].state} {plugins[0].reason}"
        return traced

    def _any_form(self) -> str:
        return next(form for form in ALL if getattr(type(self), form) is not getattr(Forms, form))


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _looks(function: Any) -> dict[str, Any]:
    """How a function presents itself."""
    try:
        hints: Any = typing.get_type_hints(function)
    except Exception as error:  # noqa: BLE001 (annotations of any kind)
        hints = type(error)
    return {
        "signature": str(inspect.signature(function)),
        "is_coroutine": inspect.iscoroutinefunction(function),
        "is_generator": inspect.isgeneratorfunction(function),
        "name": function.__name__,
        "qualname": function.__qualname__,
        "doc": function.__doc__,
        "module": function.__module__,
        "hints": hints,
    }


def _outcome(way: Any, one: Any) -> str:
    """Whether a copy can be made, and of which class it is."""
    try:
        return type(way(one)).__qualname__
    except Exception as error:  # noqa: BLE001 (the object's own)
        return f"raises {type(error).__qualname__}"
