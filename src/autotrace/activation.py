"""The composition root: settings -> delivery -> host; the toggles; flush.

Heavy parts (OpenTelemetry's SDK, wrapt, pluggy, the journal) are imported when the first plugin wakes or the
first manual span starts, never before.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import ConfigError
from .host.discovery import OWN, Host
from .recording.guard import guard

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from .config import Config
    from .delivery.destinations import Destination
    from .delivery.pipeline import Arrival, Pipeline
    from .host.status import HookPoint, PluginStatus
    from .recording.feedback import Feedback
    from .recording.recorder import Recorder
    from .serving.service import Service

logger = logging.getLogger("autotrace")

#: Settings that the pipeline is built by.
PIPELINE = frozenset({"home", "destination", "environment", "service", "release", "exit_timeout"}) | {
    *("sample", "keep_slow", "keep_cost", "journal_size", "journal_age", "store_age", "store_size")
}


class Activation:
    """The one active composition of settings, delivery and host in this process."""

    def __init__(self) -> None:
        self.host = Host(self.config, self.provider, self.glance, self.service)
        self.arguments: dict[str, Any] = {}
        self.framework_arguments: dict[str, dict[str, Any]] = {}
        self.given_provider: TracerProvider | None = None
        self._config: Config | None = None
        self._pipeline: Pipeline | None = None
        #: The recorder of the program's own spans, in a tuple once it is known: None stands for switched off.
        self._recorder: tuple[Recorder | None] | None = None
        self._service: Service | None = None
        #: The servers that have handed the program a request, by name.
        self._servers: set[str] = set()
        self._lock = threading.RLock()
        self._is_on = False

    @property
    def is_on(self) -> bool:
        """Whether imports are watched."""
        return self._is_on

    def config(self) -> Config:
        """The settings in force; read on first use."""
        if self._config is None:
            from .config import load

            self._config = load(self.arguments, self.framework_arguments)
            guard.strict = self._config.strict
            for problem in self._config.problems:
                guard.tell(problem)
        return self._config

    def glance(self) -> Config:
        """The settings as they are now, before any traced framework is there to make them count."""
        from .config import load

        return self._config or load(self.arguments, self.framework_arguments)

    def provider(self) -> TracerProvider:
        """Where spans come from: the app's own provider where it gave one, else a private one."""
        if self._pipeline is None:
            with self._lock:
                if self._pipeline is None:
                    from .delivery.pipeline import Pipeline

                    pipeline = Pipeline(self.config(), self.given_provider, offered_destination)
                    for server in self._servers:
                        pipeline.served_by(server)
                    self._pipeline = pipeline
                    atexit.register(self._exit, self._pipeline)
        return self._pipeline.provider

    def recorder(self) -> Recorder | None:
        """The recorder of the program's own spans; None when they are switched off."""
        if self._recorder is None:
            self._recorder = (self._new_recorder(self.config()),)
        return self._recorder[0]

    def _new_recorder(self, config: Config) -> Recorder | None:
        own = config.framework(OWN)
        if own.disabled:
            return None
        from .recording.privacy import Policy
        from .recording.recorder import Recorder

        policy = Policy(own.capture_content, config.content_limit)
        policy.redactors = self.host.redactors
        return Recorder(OWN, self.provider().get_tracer(OWN, __version__), policy, owns_model_calls=False)

    def service(self) -> Service:
        """What concerns the requests to served applications, and the work that they send on."""
        if self._service is None:
            from .serving.settings import service_of

            self._service = service_of(self.config(), self.log, self.served_by, self.flush)
        return self._service

    def log(self, feedback: Feedback) -> bool:
        """Journals a verdict, unless the program's own spans are switched off; whether it did."""
        with guard("autotrace.log_feedback"):
            recorder = self.recorder()
            return recorder is not None and self.note("F", feedback.key, feedback.body(recorder.policy))
        return False

    def note(self, kind: str, key: str, body: Mapping[str, Any]) -> bool:
        """Journals feedback (`F`) or an update of a trace (`U`), where autotrace has a journal; whether it did."""
        with guard("journal"):
            self.provider()
            if self._pipeline is not None and self._pipeline.note(kind, key, body):
                return True
            guard.tell("feedback and later changes need a destination: the app's own tracer provider takes none")
        return False

    def served_by(self, server: str) -> None:
        """Takes note that a server hands the program requests; for every request, and only the first takes time.

        A program that calls its server itself (`uvicorn.run(app)`) counts as production from then on, where nothing
        says otherwise. Not to be called for a server that reloads the program when its code changes.

        Args:
            server: The server's name, such as `uvicorn`; a version behind a slash does not matter.
        """
        if server in self._servers:
            return
        with guard("environment"), self._lock:
            self._servers.add(server)
            if self._pipeline is not None:
                self._pipeline.served_by(server)

    def switch_on(self) -> None:
        """Watches imports, and applies the settings to what has been imported."""
        self._is_on = True
        with guard("activation"):
            self.host.activate()

    def change(self, arguments: dict[str, Any], framework: str | None, provider: TracerProvider | None) -> None:
        """Takes over settings given in code.

        Raises:
            ConfigError: One of them cannot be used; nothing is changed then.
        """
        if framework is None:
            merged, frameworks = {**self.arguments, **arguments}, self.framework_arguments
            if "disable" in arguments:  # the last word on everything; what is off by itself stays on where it was
                kept = False if arguments["disable"] == "" else None
                frameworks = {
                    name: {key: value for key, value in given.items() if key != "disable" or value is kept}
                    for name, given in frameworks.items()
                }
        else:
            framework = framework.lower()
            known = self.framework_arguments.get(framework, {})
            merged, frameworks = self.arguments, {**self.framework_arguments, framework: {**known, **arguments}}
        if arguments:
            from .config import load

            # Raises before anything is changed.
            _refuse_unknown(load(merged, frameworks, environ={}), arguments)
        self.arguments, self.framework_arguments = merged, frameworks
        if arguments:
            self._config = self._recorder = self._service = None
        if provider is not None and provider is not self.given_provider:
            self.given_provider = provider
            self._renew_pipeline()
        elif PIPELINE & arguments.keys() and framework is None:
            self._renew_pipeline()

    def _renew_pipeline(self) -> None:
        """Closes what is open and lets the next span build anew."""
        self._config = self._recorder = self._service = None
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()

    def flush(self, timeout: float) -> bool:
        """Delivers what has been recorded; see autotrace.flush."""
        return self._pipeline is None or self._pipeline.flush(timeout)

    def finish(self, timeout: float) -> list[Arrival]:
        """Delivers once what has been recorded, and closes: for commands; see `Pipeline.finish`."""
        pipeline, self._pipeline, self._recorder = self._pipeline, None, None
        return [] if pipeline is None else pipeline.finish(timeout)

    def reset(self) -> None:
        """Takes every patch off and forgets every setting (for tests)."""
        self.host.deactivate()
        self._renew_pipeline()
        self.__init__()  # type: ignore[misc]
        guard.reset()

    def _exit(self, pipeline: Pipeline) -> None:
        if pipeline is self._pipeline:
            from .recording.recorder import end_open_operations

            with guard("exit"):
                end_open_operations()
                pipeline.close()


_active = Activation()


def offered_destination(name: str) -> Callable[[Mapping[str, Any]], Destination] | None:
    """What an installed plugin offers by the name of a destination."""
    from .host.destinations import maker

    return maker(name)


def _refuse_unknown(config: Config, arguments: Mapping[str, Any]) -> None:
    """Refuses a destination in a call that there is not."""
    if "destination" not in arguments:
        return
    from .host.destinations import names
    from .setting_values import DESTINATIONS

    for name in config.destination:
        if name not in DESTINATIONS and name not in names():
            there = ", ".join((*DESTINATIONS, *names()))
            raise ConfigError("destination", "autolog()", f"{name!r}: no such destination; there are {there}")


def active() -> Activation:
    """The one active composition."""
    return _active


def autolog(
    framework: str | None = None,
    *,
    disable: bool | None = None,
    tracer_provider: TracerProvider | None = None,
    **options: Any,
) -> None:
    """Switches tracing on, for every framework with a plugin or for one; or off; or changes its settings.

    Example:
        >>> import autotrace
        >>> autotrace.autolog(capture_content="truncated")
        >>> autotrace.autolog("openai", disable=True)
        >>> autotrace.autolog("openai", disable=False)

    Args:
        framework: What to switch, e.g. `openai`; everything when None.
        disable: True switches off (restoring the framework's functions), False on again. A framework's name alone
            switches it on.
        tracer_provider: The app's own OpenTelemetry provider: spans go through it, and nowhere else unless a
            `destination` is named too.
        **options: Any setting of docs/configuration.md, such as `capture_content`, `home`, `destination`.

    Raises:
        ConfigError: An option is unknown or its value cannot be used.
    """
    if framework is not None and tracer_provider is not None:
        raise ConfigError("tracer_provider", "autolog()", "goes for all frameworks: leave out the framework's name")
    if tracer_provider is not None and not callable(getattr(tracer_provider, "get_tracer", None)):
        raise ConfigError("tracer_provider", "autolog()", f"{type(tracer_provider).__qualname__} has no get_tracer")
    arguments = dict(options)
    if disable is None and framework is not None and not options:
        disable = False  # autolog("openai"), with nothing else said, switches it on
    if disable is not None:
        everything = "all" if disable else ""
        arguments["disable"] = everything if framework is None and isinstance(disable, bool) else disable
    _active.change(arguments, framework, tracer_provider)
    if framework is not None and arguments and not _active.host.knows(framework):
        logger.warning("autolog(%r): no plugin of that name is installed", framework)
    _active.switch_on()


def flush(timeout: float = 5.0) -> bool:
    """Delivers what has been recorded so far to every destination.

    Example:
        >>> import autotrace
        >>> autotrace.flush()
        True

    Args:
        timeout: Seconds to wait at most.

    Returns:
        Whether everything was delivered. What was not stays in the journal.
    """
    return _active.flush(timeout)


def plugin_statuses(with_core: bool = False) -> list[PluginStatus]:
    """The plugins installed here, each tried on its framework: what is installed is imported and patched.

    Args:
        with_core: Whether to import what the core traces itself, too: applications, workers, clients.
    """
    from importlib import import_module

    from .host import inspection

    _active.host.activate()
    inspection.wake_installed(_active.host, import_module, with_core)
    return inspection.statuses(_active.host)


def hook_points() -> list[HookPoint]:
    """What became of each function that the plugins wrap; call `plugin_statuses` first, which tries them."""
    from .host import inspection

    return inspection.hook_points(_active.host)


def plugin_names() -> set[str]:
    """Every name by which a framework with an installed plugin goes."""
    return _active.host.names()


def plugin_problems() -> list[ConfigError]:
    """Settings that name a plugin which is not there, once the plugins have been tried."""
    from .host import inspection

    return inspection.problems(_active.host)


def complaints() -> list[str]:
    """What the user has been told of and can mend, such as settings that cannot be used."""
    return guard.told
