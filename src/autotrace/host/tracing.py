"""One instrumentation at work: its recorder, its patches, and its switch."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.trace import TracerProvider

from ..config import Config, FrameworkConfig
from ..errors import ConfigError
from ..recording.boundaries import BoundaryFunction, CarryingFunction
from ..recording.calls import TracedFunction, follow_stream
from ..recording.guard import guard
from ..recording.mapping import Mappers
from ..recording.observing import ClosingFunction, ObservedFunction
from ..recording.privacy import Policy
from ..recording.recorder import Recorder
from ..recording.reports import EndFunction, RunFunction, StartFunction
from ..recording.runs import Runs
from ..recording.semconv import SCHEMA_URL
from ..recording.streams import Pieces
from ..serving.asgi import AsgiFunction
from ..serving.senders import SendingFunction
from ..serving.service import Service
from ..serving.tasks import TaskEndFunction, TaskFunction
from ..serving.wsgi import WsgiFunction
from .delegation import SETTING, Delegation
from .imports import is_imported
from .instrumentation import (
    Application,
    Boundary,
    Event,
    Instrumentation,
    Patch,
    RunContext,
    RunEnd,
    RunStart,
    Sender,
    StreamClass,
    Task,
    TaskEnd,
)
from .patching import AppliedPatch, MissingTarget, aliases, resolve
from .status import HookPoint, HookState
from .subclasses import Descendants

RunTarget = RunStart | RunEnd | RunContext | Boundary
ServedTarget = Application | Task | TaskEnd | Sender
Target = Patch | StreamClass | Event | RunTarget | ServedTarget


class TracedFramework:
    """A framework under an instrumentation, switched on or off.

    Args:
        instrumentation: What the plugin offers.
        version: The plugin's version, for the scope of its spans.
        redactors: Every plugin's redactors; the list may grow.

    Attributes:
        modules: Modules that it patches, when they are imported or reloaded.
        is_wanted: Whether the settings want it on, when they were last looked at.
        delegation: What traces it in place of patches, where that is another project's.
    """

    def __init__(self, instrumentation: Instrumentation, version: str, redactors: list[Any]) -> None:
        self.instrumentation = instrumentation
        self._targets: tuple[Target, ...] = (
            *instrumentation.streams,
            *instrumentation.events,
            *instrumentation.runs,
            *instrumentation.patches,
            *instrumentation.entries,
            *instrumentation.senders,
        )
        #: Whether all that it does is to tell hosts of the user's of a trace.
        self._only_tells = bool(self._targets) and all(
            isinstance(target, Sender) and target.host is not None for target in self._targets
        )
        delegates = instrumentation.delegates
        self.modules = frozenset(target.module for target in (*self._targets, *delegates))
        self.delegation = Delegation(instrumentation.name, delegates) if delegates else None
        self.is_on = False
        self.is_wanted = True
        self.missing: list[str] = []
        self._not_there: list[Target] = []
        self._version = version
        self._redactors = redactors
        self._recorder: Recorder | None = None
        self._settings: dict[str, Any] = {}
        self._waiting: list[Target] = []
        self._functions: list[RunFunction] = []
        self._service: Callable[[], Service] | None = None
        self._runs: Runs | None = None
        self._descendants: list[Descendants] = []
        self._applied: dict[AppliedPatch, Target] = {}
        self._streams: list[tuple[type, str]] = []

    @property
    def applied(self) -> list[AppliedPatch]:
        """What it has wrapped, now or before it was switched off."""
        return list(self._applied)

    @property
    def others(self) -> list[str]:
        """Other tools that have wrapped the same functions; the framework's own wrappers are none."""
        return sorted({name for patch in self._applied for name in patch.others()} - self.modules)

    def look(self, config: Config) -> bool:
        """Whether the settings want it on; what is optional has to be named."""
        name = self.instrumentation.name
        is_optional = self.instrumentation.is_optional
        self.is_wanted = config.is_asked_for(name) if is_optional else not config.is_disabled(name)
        if self._only_tells and not config.propagate_to:
            self.is_wanted = False
        return self.is_wanted

    def hook_points(self, distribution: str, gone: frozenset[str] = frozenset()) -> list[HookPoint]:
        """What became of each function that the plugin wraps.

        Args:
            distribution: The plugin's.
            gone: Modules that the installed framework does not have.
        """
        found = []
        for target in self._targets:
            name = target.name if isinstance(target, StreamClass) else target.target
            others = {one for patch, known in self._applied.items() if known == target for one in patch.others()}
            found.append(
                HookPoint(
                    self.instrumentation.name,
                    distribution,
                    f"{target.module}.{name}",
                    self._state_of(target, gone),
                    tuple(sorted(others - self.modules)),
                )
            )
        return found

    def _state_of(self, target: Target, gone: frozenset[str]) -> HookState:
        if not self.is_on:
            return "off"
        if target in self._waiting and target.module not in gone:
            return "waiting"
        if target in self._waiting or target in self._not_there:
            return "absent" if getattr(target, "optional", False) else "missing"
        patches = [patch for patch, known in self._applied.items() if known == target]
        return "found" if not patches or any(patch.is_reached() for patch in patches) else "replaced"

    def switch_on(
        self, config: Config, provider: TracerProvider, service: Callable[[], Service] | None = None
    ) -> list[ConfigError]:
        """Starts tracing, or takes over changed settings. Returns what could not be used of them.

        Args:
            config: The settings.
            provider: Where spans come from.
            service: The settings that concern requests, as they are when one arrives.
        """
        self._service = service
        settings = config.framework(self.instrumentation.name)
        problems = self._configure(config, settings, provider)
        if not self.is_on:
            self.is_on = True
            for function in self._functions:
                function.enabled = True
            for patch in self._applied:
                patch.put_on()
            for descendants in self._descendants:
                descendants.watch()
            if not self._applied:
                self._waiting = list(self._targets)
            self._apply_waiting()
        self._delegate()
        return problems

    def switch_off(self) -> None:
        """Stops tracing at once and restores the framework's functions."""
        self.is_on = False
        for function in self._functions:
            function.enabled = False
        for descendants in reversed(self._descendants):
            descendants.ignore()
        for patch in reversed(list(self._applied)):
            with guard(f"{self.instrumentation.name}: restoring {patch.label}"):
                patch.take_off()
        if self.delegation is not None:
            self.delegation.switch_off()
        if self._runs is not None:
            self._runs.end_all("switched_off")

    def imported(self, module: str) -> None:
        """A module has been executed, perhaps not for the first time: then what it holds has to be patched anew."""
        lost = [patch for patch in self._applied if patch.module == module and not patch.is_current()]
        for target in dict.fromkeys(self._applied[patch] for patch in lost):
            if target not in self._waiting:
                self._waiting.append(target)
        for patch in lost:
            if patch.is_of_module:  # a class of before may still be in use
                del self._applied[patch]
        if self._waiting:
            self._apply_waiting(module)
        self._delegate(module)

    def _delegate(self, executed: str = "") -> None:
        """Switches on what traces the framework in place of patches, if its module has been imported by now."""
        delegation = self.delegation
        if delegation is None or self._recorder is None or not self.is_on:
            return
        module = delegation.chosen.module
        if module == executed or is_imported(module):
            delegation.switch_on(self._recorder)

    def _apply_waiting(self, executed: str = "") -> None:
        """Puts on the patches whose modules have been imported by now; that of `executed` is about to end."""
        if not self.is_on:
            return
        waiting, self._waiting = self._waiting, []
        for target in waiting:
            if target.module != executed and not is_imported(target.module):
                self._waiting.append(target)
                continue
            try:
                self._apply(target)
            except MissingTarget as error:
                self._not_there.append(target)
                if not getattr(target, "optional", False):
                    self.missing.append(str(error))
                    guard.count(f"{self.instrumentation.name}: patch", error)
            except Exception as error:  # noqa: BLE001 (a plugin's data)
                self._not_there.append(target)
                self.missing.append(f"{target.module}: {error}")
                guard.count(f"{self.instrumentation.name}: patch", error)

    def _configure(self, config: Config, settings: FrameworkConfig, provider: TracerProvider) -> list[ConfigError]:
        known, problems = self._plugin_settings(settings)
        # In place: the functions that are wrapped already hold it.
        self._settings.clear()
        self._settings.update(known)
        if self.delegation is not None:
            self.delegation.choose(known.get(SETTING))
        policy = Policy(settings.capture_content, config.content_limit)
        policy.redactors = self._redactors
        tracer = provider.get_tracer(f"autotrace.plugins.{self.instrumentation.name}", self._version, SCHEMA_URL)
        if self._recorder is None:
            instrumentation = self.instrumentation
            self._recorder = Recorder(
                instrumentation.name,
                tracer,
                policy,
                instrumentation.provider,
                owns_model_calls=self.delegation is None,
                is_layered=instrumentation.is_layered,
            )
            self._runs = Runs(self._recorder)
        else:
            self._recorder.policy, self._recorder.tracer = policy, tracer
        self._recorder.tracer_provider = provider
        return problems

    def _plugin_settings(self, settings: FrameworkConfig) -> tuple[Mapping[str, Any], list[ConfigError]]:
        """The plugin's own settings, those that cannot be used at their defaults."""
        allowed = self.instrumentation.settings
        found: dict[str, Any] = {name: values[0] if values else None for name, values in allowed.items()}
        problems = []
        for name, setting in settings.settings.items():
            shown = f"{self.instrumentation.name}.{name}"
            if name not in allowed:
                there = ", ".join(["capture_content", "disable", "plugin", *allowed])
                problems.append(ConfigError(shown, setting.source, f"no such setting; there are {there}"))
            elif allowed[name] and setting.value not in allowed[name]:
                wanted = ", ".join(allowed[name])
                problems.append(ConfigError(shown, setting.source, f"{setting.value!r} is not one of {wanted}"))
            else:
                found[name] = setting.value
        return found, problems

    def _apply(self, target: Target) -> None:
        if isinstance(target, StreamClass):
            self._apply_stream(target)
            return
        if not getattr(target, "subclasses", False):
            self._wrap(target, target.module, target.target)
            return
        owner, name = resolve(target.module, target.target)

        # A class that has a target of its own is left to that.
        named = {known.target for known in self._targets if isinstance(known, Boundary) and not known.subclasses}

        def wrap(kind: type) -> None:
            if f"{kind.__qualname__}.{name}" not in named:
                self._wrap(target, kind.__module__, f"{kind.__qualname__}.{name}", kind)

        self._descendants.append(Descendants(owner, name, wrap))

    def _wrap(
        self, target: Patch | Event | RunTarget | ServedTarget, module: str, name: str, owner: type | None = None
    ) -> None:
        label = f"{self.instrumentation.name}: {module}.{name}"
        holder, attribute = (owner, name.rpartition(".")[2]) if owner else resolve(module, name)
        original = inspect.getattr_static(holder, attribute)
        if isinstance(holder, type) and self._is_wrapped(original):
            return  # a class that goes by several modules' names, or another tool's wrapper around ours
        function = self._function(label, target, getattr(original, "__func__", original))  # a static or class method
        self._applied[AppliedPatch(module, name, function, owner)] = target
        self._functions.append(function)
        for alias_module, alias in aliases(holder, attribute, original):
            self._applied[AppliedPatch(alias_module, alias, function)] = target

    def _is_wrapped(self, function: Any) -> bool:
        while function is not None:
            if getattr(function, "_self_wrapper", None) in self._functions:
                return True
            function = getattr(function, "__wrapped__", None)
        return False

    def _function(self, label: str, target: Patch | Event | RunTarget | ServedTarget, original: Any) -> Any:
        if isinstance(target, ServedTarget):
            return self._served_function(label, target, original)
        if isinstance(target, Event):
            return ObservedFunction(label, target.name, target.describe, original)
        if isinstance(target, RunTarget):
            return self._run_function(label, target, original)
        assert self._recorder is not None
        mappers = Mappers(
            target.operation,
            target.request,
            target.response,
            target.fold,
            target.amend,
            target.body,
            digest=target.digest,
        )
        function = TracedFunction(label, mappers, self._recorder, original, self._settings)
        function.streams = tuple(self._streams)
        return function

    def _served_function(self, label: str, target: ServedTarget, original: Any) -> Any:
        recorder, service = self._recorder, self._service
        assert recorder is not None
        assert service is not None
        if isinstance(target, Task):
            return TaskFunction(
                label,
                recorder,
                service,
                original,
                describe=target.describe,
                response=target.response,
                makes=target.makes,
                takes=target.takes,
                flushes=target.flushes,
            )
        if isinstance(target, TaskEnd):
            return TaskEndFunction(label, original, target.describe)
        if isinstance(target, Sender):
            return SendingFunction(label, recorder, service, original, target.put, target.host)
        kind = AsgiFunction if target.protocol == "asgi" else WsgiFunction
        return kind(label, recorder, service, target.route)

    def _run_function(self, label: str, target: RunTarget, original: Any) -> RunFunction:
        runs, settings = self._runs, self._settings
        assert runs is not None
        if isinstance(target, RunStart):
            return StartFunction(label, runs, target.describe, original, settings, target.make_current)
        if isinstance(target, RunContext):
            return CarryingFunction(label, runs, target.run, original)
        if isinstance(target, Boundary):
            return BoundaryFunction(
                label,
                runs,
                original,
                settings,
                run=target.run,
                values=target.values,
                waits=target.waits,
                is_family=target.is_family,
                failed=target.failed,
                digest=target.digest,
                partial=target.partial,
            )

        def follow(operation: Any, stream: Any) -> None:
            pieces = Pieces(operation, label, target.fold, target.response)
            if not follow_stream(stream, pieces, self._streams):
                pieces.end()

        return EndFunction(label, runs, target.describe, original, settings, follow)

    def _apply_stream(self, target: StreamClass) -> None:
        kind = getattr(sys.modules[target.module], target.name, None)
        if not isinstance(kind, type):
            raise MissingTarget(f"{target.module} has no class {target.name}")
        for method in target.close:
            closing = ClosingFunction(target.iterator)
            self._applied[AppliedPatch(target.module, f"{target.name}.{method}", closing)] = target
        if "." in target.iterator:
            return  # it wraps a stream that is followed by itself: only its close concerns us
        self._streams.append((kind, target.iterator))
        for function in self._functions:
            if isinstance(function, TracedFunction):
                function.streams = tuple(self._streams)
