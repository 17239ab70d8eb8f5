"""Settings: call arguments > AUTOTRACE_* > [tool.autotrace] in pyproject.toml > defaults.

The only reader of the environment. Nothing here runs when autotrace is imported: `load` is called when the
first plugin wakes, or when a command needs to know where the store lies.

A bad value in the environment or in a file never stops the program: it becomes an entry of
`Config.problems` (which the caller logs, once) and the next weaker source counts; only a bad `capture_content`
counts as `off`, for who sets it has something to hide. A bad call argument is the caller's mistake and raises
`ConfigError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from . import pyproject, setting_values, standard
from .errors import ConfigError
from .setting_values import Capture

PREFIX = "AUTOTRACE_"
#: Switches tracing on where `autotrace install-hook` has been, and off everywhere.
SWITCH = "AUTOTRACE"
#: Where settings are found, beside files (which go by their paths).
CALL, ENVIRONMENT = "autolog()", "environment"
#: Set by `autotrace run` for its children; a mark, not a setting.
INTERNAL = frozenset({"AUTOTRACE_AUTO"})


class Setting(NamedTuple):
    """A value and where it was found."""

    value: Any
    source: str


@dataclass(frozen=True)
class FrameworkConfig:
    """What is set for one framework: `[tool.autotrace.openai]`, `AUTOTRACE_OPENAI_*`, `autolog("openai", ...)`."""

    disabled: bool
    capture_content: Capture
    #: The plugin's own settings, as found; the plugin's Instrumentation says which ones exist.
    settings: Mapping[str, Setting]


@dataclass(frozen=True)
class Config:
    """Everything that can be set, resolved.

    Attributes:
        enabled: False when `OTEL_SDK_DISABLED` is true or `AUTOTRACE` false: no patch, no span.
        home: The folder of the journal and the store.
        disable: Frameworks that are switched off (`threading` is one of them: context in threads); `all` means all.
        capture_content: Whether inputs and outputs reach a span: whole, each text cut to `content_limit`
            characters, or not at all.
        content_limit: Characters of one text that `truncated` keeps.
        destination: Names of the destinations, in order. Where none is set, what other projects' variables name
            (`standard`) counts, and else the store.
        environment: `deployment.environment.name`, e.g. `production`; None: OpenTelemetry's variables say it, else
            what the program runs on.
        service: `service.name`, or None: OpenTelemetry's variables say it, else the platform or pyproject.toml.
        release: `service.version`, or None: likewise.
        sample: The share of the traces that is kept of those that nothing below keeps, from 0 to 1.
        keep_slow: Traces that took as many seconds or more are kept; None: none for that reason.
        keep_cost: Traces that cost as many USD or more are kept; None: none for that reason.
        journal_size: Bytes that the journal may take on the disk.
        journal_age: Seconds that the journal keeps what no destination takes.
        exit_timeout: Seconds that the exit of a process may wait for delivery.
        store_age: Seconds that the store keeps a trace; None: for ever.
        store_size: Bytes that the store may take on the disk; None: as many as there are.
        trace_header: Whether responses of served applications tell the trace's id.
        propagate_to: Hosts of the program's own services, which are told of traces: `name`, `*.domain`, `name:port`.
        feedback_endpoint: Whether served applications take feedback over HTTP.
        feedback_origins: Origins whose pages may send feedback from elsewhere than the application's own; `*`: all.
        feedback_rate: Posts of feedback a second that a process takes; 0: as many as come.
        plugins: Modules of the project's own that are plugins.
        session_headers: Headers in which a served request has the id of its conversation, in small letters.
        user_headers: Headers in which it has the id of its user.
        request_id_headers: Headers in which it has its own.
        input_fields: Where its body has the user's query: dotted paths, tried before the usual places.
        output_fields: Where its response has the answer, likewise.
        session_fields: Where its body has the id of its conversation, likewise.
        user_fields: Where its body has the id of its user, likewise.
        embedding_url: Base of the OpenAI-compatible API by which `autotrace ui` groups questions by their meaning.
        embedding_model: The model there; both or none.
        strict: Raise autotrace's own errors instead of counting them (for tests).
        problems: What could not be used, for the log and for `autotrace plugins`.
    """

    enabled: bool = True
    home: Path = Path(".autotrace")
    disable: frozenset[str] = frozenset()
    capture_content: Capture = "full"
    content_limit: int = 1000
    destination: tuple[str, ...] = ("store",)
    environment: str | None = None
    service: str | None = None
    release: str | None = None
    sample: float = 1.0
    keep_slow: float | None = None
    keep_cost: float | None = None
    journal_size: int = 1024**3
    journal_age: float = 7 * 86400.0
    exit_timeout: float = 2.0
    store_age: float | None = None
    store_size: int | None = None
    trace_header: bool = True
    propagate_to: tuple[str, ...] = ()
    feedback_endpoint: bool = True
    feedback_origins: tuple[str, ...] = ()
    feedback_rate: float = 100.0
    plugins: tuple[str, ...] = ()
    session_headers: tuple[str, ...] = setting_values.SESSION_HEADERS
    user_headers: tuple[str, ...] = setting_values.USER_HEADERS
    request_id_headers: tuple[str, ...] = setting_values.REQUEST_ID_HEADERS
    input_fields: tuple[str, ...] = ()
    output_fields: tuple[str, ...] = ()
    session_fields: tuple[str, ...] = ()
    user_fields: tuple[str, ...] = ()
    embedding_url: str | None = None
    embedding_model: str | None = None
    strict: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[ConfigError, ...] = ()
    #: Settings of frameworks from files and calls, by framework; from the environment, by the rest of the name.
    framework_settings: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    framework_environment: Mapping[str, Setting] = field(default_factory=dict)
    #: Variables of other projects that are honoured, passwords among them.
    standard: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: All variables, as they were when the settings were read: by them the platform is told.
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def is_disabled(self, *names: str) -> bool:
        """Whether what goes by these names is switched off.

        The stronger source counts; of one source, what is said of a framework counts more than what is said of all.
        """
        if not self.enabled:
            return True
        is_among = "all" in self.disable or not self.disable.isdisjoint(name.lower() for name in names)
        given = [found["disable"] for found in map(self._settings_of, names) if "disable" in found]
        own = max(given, key=_strength, default=None)
        if own is None or (is_among and self._outranks("disable", own)):
            return is_among
        return setting_values.flag(own.value)

    def is_asked_for(self, *names: str) -> bool:
        """Whether what goes by these names is switched on by one of them: for what is off otherwise."""
        return not self.is_disabled(*names) and any("disable" in self._settings_of(name) for name in names)

    def framework(self, name: str) -> FrameworkConfig:
        """The settings of one framework."""
        found = self._settings_of(name)
        found.pop("disable", None)
        found.pop("plugin", None)
        capture, own = self.capture_content, found.pop("capture_content", None)
        if own is not None and not self._outranks("capture_content", own):
            capture = setting_values.capture(own.value)
        return FrameworkConfig(self.is_disabled(name), capture, found)

    def plugin_for(self, names: set[str]) -> tuple[str, Setting] | None:
        """The plugin that is named for a framework that goes by these names, and how the user wrote the setting."""
        found = [(name, given["plugin"]) for name in sorted(names) if "plugin" in (given := self._settings_of(name))]
        if not found:
            return None
        name, setting = max(found, key=lambda one: _strength(one[1]))
        return self.written(f"{name}.plugin", setting.source), setting

    def written(self, key: str, source: str) -> str:
        """A setting as the user wrote it there: `capture_content`, `openai.plugin`, `AUTOTRACE_OPENAI_PLUGIN`."""
        if source == ENVIRONMENT:
            return PREFIX + key.upper().replace("-", "_").replace(".", "_")
        return key if source in (CALL, "") else f"tool.autotrace.{key}"

    def _settings_of(self, framework: str) -> dict[str, Setting]:
        found = dict(self.framework_settings.get(framework.lower(), {}))
        start = _start(framework)
        for key, setting in self.framework_environment.items():
            name = key[len(start) :].lower()
            if key.startswith(start) and (name not in found or _strength(setting) > _strength(found[name])):
                found[name] = setting
        return found

    def _outranks(self, key: str, own: Setting) -> bool:
        """Whether the general setting comes from a stronger source than a framework's own."""
        return key in self.sources and _strength(Setting(None, self.sources[key])) > _strength(own)

    def unclaimed(self, frameworks: set[str]) -> list[ConfigError]:
        """The settings that belong to no framework in `frameworks` and to no destination: most likely misspelt."""
        frameworks = frameworks | {*setting_values.DESTINATIONS, *self.destination}
        starts = [_start(name) for name in frameworks]
        known = {name.lower() for name in frameworks}
        lost = [
            ConfigError(PREFIX + key, setting.source, "no such setting, and no plugin of that name is installed")
            for key, setting in self.framework_environment.items()
            if not any(key.startswith(start) for start in starts)
        ]
        lost += [
            ConfigError(
                name, next(iter(settings.values())).source, "no such setting, and no plugin of that name is installed"
            )
            for name, settings in self.framework_settings.items()
            if name not in known and settings
        ]
        source = self.sources.get("disable", "")
        lost += [
            ConfigError(
                f"{PREFIX}DISABLE" if source == ENVIRONMENT else "disable",
                source,
                f"{name!r}: no plugin of that name is installed",
            )
            for name in sorted(self.disable - known - {"all"})
        ]
        return lost


def _start(framework: str) -> str:
    """How the environment's names of a framework's settings begin, after the prefix."""
    return framework.upper().replace("-", "_").replace(".", "_") + "_"


def _strength(setting: Setting) -> int:
    """Call arguments outrank the environment, the environment outranks a file."""
    return {CALL: 2, ENVIRONMENT: 1}.get(setting.source, 0)


#: Every general setting and how its value is read. `docs/configuration.md` is checked against it.
SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "home": setting_values.path,
    "disable": setting_values.disabled,
    "capture_content": setting_values.capture,
    "content_limit": setting_values.count,
    "destination": setting_values.destination_names,
    "environment": setting_values.text,
    "service": setting_values.text,
    "release": setting_values.text,
    "sample": setting_values.share,
    "keep_slow": setting_values.duration,
    "keep_cost": setting_values.amount,
    "journal_size": setting_values.size,
    "journal_age": setting_values.duration,
    "exit_timeout": setting_values.amount,
    "store_age": setting_values.duration,
    "store_size": setting_values.size,
    "trace_header": setting_values.flag,
    "propagate_to": setting_values.hosts,
    "feedback_endpoint": setting_values.flag,
    "feedback_origins": setting_values.origins,
    "feedback_rate": setting_values.amount,
    "plugins": setting_values.modules,
    "session_headers": setting_values.headers,
    "user_headers": setting_values.headers,
    "request_id_headers": setting_values.headers,
    "input_fields": setting_values.paths,
    "output_fields": setting_values.paths,
    "session_fields": setting_values.id_paths,
    "user_fields": setting_values.id_paths,
    "embedding_url": setting_values.text,
    "embedding_model": setting_values.text,
    "strict": setting_values.flag,
}


def is_named(framework: str) -> bool:
    """Whether the environment says of one framework whether it is switched off: quickly, and now."""
    return PREFIX + _start(framework) + "DISABLE" in os.environ


def load(
    arguments: Mapping[str, Any] | None = None,
    framework_arguments: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Config:
    """Resolves every setting.

    Args:
        arguments: General settings given in code.
        framework_arguments: Settings given in code for one framework, by framework.
        environ: The environment; `os.environ` when None.
        folder: Where the search for pyproject.toml starts, upwards; the working directory when None.

    Raises:
        ConfigError: An argument (not an environment variable or a file) is unknown or cannot be used.
    """
    environ = os.environ if environ is None else environ
    found = _Found()
    table, path = pyproject.table(folder, found.problems)
    found.in_file(table, path)
    found.in_environment(environ)
    found.in_calls(arguments or {}, framework_arguments or {})
    found.problems += _take_out_unusable(found.frameworks, found.environment)
    others = standard.taken(environ)
    found.values.setdefault("destination", standard.destinations(others) or ("store",))
    found.values["home"] = _absolute(found.values.get("home", Path(".autotrace")), folder)
    enabled = _is_enabled(environ, found.problems)
    return Config(
        enabled=enabled,
        sources=found.sources,
        problems=tuple(found.problems),
        framework_settings=found.frameworks,
        framework_environment=found.environment,
        standard=others,
        variables=dict(environ),
        **found.values,
    )


def _is_enabled(environ: Mapping[str, str], problems: list[ConfigError]) -> bool:
    """Whether neither OpenTelemetry's switch nor our own says that nothing is traced."""
    text = environ.get(SWITCH, "")
    try:
        is_off = text.strip() != "" and not setting_values.flag(text)
    except ValueError as error:
        problems.append(ConfigError(SWITCH, ENVIRONMENT, str(error)))
        is_off = False
    return not is_off and environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


class _Found:
    """What the sources say, read from the weakest to the strongest."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.frameworks: dict[str, dict[str, Setting]] = {}
        self.environment: dict[str, Setting] = {}
        self.problems: list[ConfigError] = []

    def in_file(self, table: Mapping[str, Any], path: str) -> None:
        for key, value in table.items():
            if key in SETTINGS:
                self._take(key, value, path, f"tool.autotrace.{key}")
            elif isinstance(value, dict):
                known = self.frameworks.setdefault(key.lower(), {})
                known.update({name: Setting(item, path) for name, item in value.items()})
            else:
                self.problems.append(ConfigError(f"tool.autotrace.{key}", path, "no such setting"))

    def in_environment(self, environ: Mapping[str, str]) -> None:
        for name, text in environ.items():
            if not name.startswith(PREFIX) or name in INTERNAL:
                continue
            key = name[len(PREFIX) :].lower()
            if text == "" and key != "disable":
                continue
            if key in SETTINGS:
                self._take(key, text, ENVIRONMENT, name)
            elif "_" in key:
                self.environment[key.upper()] = Setting(text, ENVIRONMENT)
            else:
                self.problems.append(ConfigError(name, ENVIRONMENT, "no such setting"))

    def in_calls(self, arguments: Mapping[str, Any], by_framework: Mapping[str, Mapping[str, Any]]) -> None:
        for name, value in arguments.items():
            self.values[name], self.sources[name] = _argument(name, value), CALL
        for framework, given in by_framework.items():
            known = self.frameworks.setdefault(framework.lower(), {})
            known.update({name: Setting(value, CALL) for name, value in given.items()})

    def _take(self, key: str, value: Any, source: str, shown: str) -> None:
        try:
            self.values[key] = SETTINGS[key](value)
            self.sources[key] = source
        except ValueError as error:
            self.problems.append(_problem(key, shown, source, error))
            if key == "capture_content":
                self.values[key], self.sources[key] = "off", source


def _problem(key: str, shown: str, source: str, error: ValueError) -> ConfigError:
    return ConfigError(shown, source, f"{error}; it counts as off" if key == "capture_content" else str(error))


def _argument(name: str, value: Any) -> Any:
    if name not in SETTINGS:
        raise ConfigError(name, CALL, f"no such setting; there are {', '.join(SETTINGS)}")
    try:
        return SETTINGS[name](value)
    except ValueError as error:
        raise ConfigError(name, CALL, str(error)) from None


def _absolute(path: Path, folder: Path | None) -> Path:
    try:
        return (folder or Path.cwd()) / path
    except OSError:  # the working directory is gone: nothing can be written there, and the journal says so
        return path


#: The settings that every framework has.
_COMMON: Mapping[str, Callable[[Any], Any]] = {
    "capture_content": setting_values.capture,
    "disable": setting_values.flag,
    "plugin": setting_values.text,
}


def _take_out_unusable(
    frameworks: Mapping[str, dict[str, Setting]], environment: dict[str, Setting]
) -> list[ConfigError]:
    """Takes out bad values of the settings that every framework has, so that the next weaker source counts.

    A bad `capture_content` becomes `off` instead.
    """
    rows = [(given, key, key, f"{name}.{key}") for name, given in frameworks.items() for key in _COMMON]
    rows += [
        (environment, name, key, PREFIX + name)
        for name in environment
        for key in _COMMON
        if name.endswith("_" + key.upper())
    ]
    problems = []
    for holder, name, key, shown in rows:
        setting = holder.get(name)
        if setting is None:
            continue
        try:
            _COMMON[key](setting.value)
        except ValueError as error:
            if setting.source == CALL:
                raise ConfigError(shown, CALL, str(error)) from None
            problems.append(_problem(key, shown, setting.source, error))
            if key == "capture_content":
                holder[name] = Setting("off", setting.source)
            else:
                del holder[name]
    return problems
