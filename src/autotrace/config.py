"""Settings: call arguments > AUTOTRACE_* > [tool.autotrace] in pyproject.toml > defaults.

The only reader of the environment. Nothing here runs when autotrace is imported: `load` is called when the
first plugin wakes, or when a command needs to know where the store lies.

A bad value in the environment or in a file never stops the program: it becomes an entry of
`Config.problems` (which the caller logs, once) and the next weaker source counts. A bad call argument is the
caller's mistake and raises `ConfigError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from .errors import ConfigError

Capture = Literal["full", "truncated", "off"]

PREFIX = "AUTOTRACE_"
#: Set by `autotrace run` for its children; a mark, not a setting.
INTERNAL = frozenset({"AUTOTRACE_AUTO"})
DESTINATIONS = ("store", "console")
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


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
        enabled: False when `OTEL_SDK_DISABLED` is true: no patch, no span.
        home: The folder of the journal and the store.
        disable: Frameworks that are switched off (`threading` is one of them: context in threads); `all` means all.
        capture_content: Whether inputs and outputs reach a span: whole, each text cut to `content_limit`
            characters, or not at all.
        content_limit: Characters of one text that `truncated` keeps.
        destination: Names of the destinations, in order.
        environment: `deployment.environment.name`, e.g. `production`.
        service: `service.name`, or None: OpenTelemetry's own rules apply (`OTEL_SERVICE_NAME`, ...).
        release: `service.version`, or None.
        strict: Raise autotrace's own errors instead of counting them (for tests).
        problems: What could not be used, for the log and for `autotrace plugins`.
    """

    enabled: bool = True
    home: Path = Path(".autotrace")
    disable: frozenset[str] = frozenset()
    capture_content: Capture = "full"
    content_limit: int = 1000
    destination: tuple[str, ...] = ("store",)
    environment: str = "development"
    service: str | None = None
    release: str | None = None
    strict: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[ConfigError, ...] = ()
    #: Settings of frameworks from files and calls, by framework; from the environment, by the rest of the name.
    framework_settings: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    framework_environment: Mapping[str, Setting] = field(default_factory=dict)

    def is_disabled(self, framework: str) -> bool:
        """Whether a framework is switched off by the general `disable` setting."""
        return not self.enabled or "all" in self.disable or framework in self.disable

    def framework(self, name: str) -> FrameworkConfig:
        """The settings of one framework.

        Raises:
            Nothing: a value that cannot be used leaves the general setting in force (and is in `problems`).
        """
        found: dict[str, Setting] = dict(self.framework_settings.get(name, {}))
        start = name.upper().replace("-", "_").replace(".", "_") + "_"
        for key, setting in self.framework_environment.items():
            if key.startswith(start):
                # A call argument outranks the environment; the environment outranks a file.
                known = found.get(key[len(start) :].lower())
                if known is None or known.source != "autolog()":
                    found[key[len(start) :].lower()] = setting
        capture, disabled = self.capture_content, self.is_disabled(name)
        if "capture_content" in found:
            capture = _usable(_capture, found.pop("capture_content"), capture)
        if "disable" in found:
            disabled = disabled or _usable(_flag, found.pop("disable"), False)
        return FrameworkConfig(disabled, capture, found)

    def unclaimed(self, frameworks: set[str]) -> list[ConfigError]:
        """The settings that belong to no framework in `frameworks`: most likely misspelt."""
        starts = [name.upper().replace("-", "_").replace(".", "_") + "_" for name in frameworks]
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
            if name not in frameworks and settings
        ]
        return lost


def _usable(parse: Callable[[Any], Any], setting: Setting, otherwise: Any) -> Any:
    try:
        return parse(setting.value)
    except ValueError:
        return otherwise


def _capture(value: Any) -> Capture:
    if value not in ("full", "truncated", "off"):
        raise ValueError(f"{value!r} is not one of full, truncated, off")
    return cast(Capture, value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in TRUE | FALSE:
        return value.strip().lower() in TRUE
    raise ValueError(f"{value!r} is neither true nor false")


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError(f"{value!r} is neither a name, names with commas between them, nor a list of names")


def _destination_names(value: Any) -> tuple[str, ...]:
    names = _names(value)
    unknown = [name for name in names if name not in DESTINATIONS]
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))}: no such destination; there are {', '.join(DESTINATIONS)}")
    return names


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a text")
    return value.strip()


def _count(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a whole number") from None
    if number < 1:
        raise ValueError(f"{value!r} is less than 1")
    return number


def _path(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    return Path(_text(value)).expanduser()


#: Every general setting and how its value is read. `docs/configuration.md` is checked against it.
SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "home": _path,
    "disable": lambda value: frozenset(_names(value)),
    "capture_content": _capture,
    "content_limit": _count,
    "destination": _destination_names,
    "environment": _text,
    "service": _text,
    "release": _text,
    "strict": _flag,
}


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
    problems: list[ConfigError] = []
    table, path = _pyproject(folder, environ, problems)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    frameworks: dict[str, dict[str, Setting]] = {}
    environment: dict[str, Setting] = {}

    def take(key: str, value: Any, source: str, shown: str) -> None:
        try:
            values[key] = SETTINGS[key](value)
            sources[key] = source
        except ValueError as error:
            problems.append(ConfigError(shown, source, str(error)))

    for key, value in table.items():
        if key in SETTINGS:
            take(key, value, path, f"tool.autotrace.{key}")
        elif isinstance(value, dict):
            frameworks[key] = {name: Setting(item, path) for name, item in value.items()}
        else:
            problems.append(ConfigError(f"tool.autotrace.{key}", path, "no such setting"))
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in INTERNAL:
            continue
        key = name[len(PREFIX) :].lower()
        if key in SETTINGS:
            if text != "" or key == "disable":
                take(key, text, "environment", name)
        elif "_" in key:
            environment[key.upper()] = Setting(text, "environment")
        else:
            problems.append(ConfigError(name, "environment", "no such setting"))
    for name, value in (arguments or {}).items():
        values[name], sources[name] = _argument(name, value), "autolog()"
    for framework, given in (framework_arguments or {}).items():
        merged = frameworks.setdefault(framework, {})
        merged.update({name: Setting(value, "autolog()") for name, value in given.items()})
    problems += _framework_problems(frameworks, environment)
    if "home" in values:
        values["home"] = Path(values["home"]).absolute()
    else:
        values["home"] = (folder or Path.cwd()) / ".autotrace"
    return Config(
        enabled=environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true",
        sources=sources,
        problems=tuple(problems),
        framework_settings=frameworks,
        framework_environment=environment,
        **values,
    )


def _argument(name: str, value: Any) -> Any:
    if name not in SETTINGS:
        raise ConfigError(name, "autolog()", f"no such setting; there are {', '.join(SETTINGS)}")
    try:
        return SETTINGS[name](value)
    except ValueError as error:
        raise ConfigError(name, "autolog()", str(error)) from None


def _framework_problems(
    frameworks: Mapping[str, Mapping[str, Setting]], environment: Mapping[str, Setting]
) -> list[ConfigError]:
    """Bad values of the two settings that every framework has."""
    parsers: dict[str, Callable[[Any], Any]] = {"capture_content": _capture, "disable": _flag}
    rows = [(f"{name}.{key}", key, s) for name, given in frameworks.items() for key, s in given.items()]
    rows += [
        (PREFIX + name, key, s)
        for name, s in environment.items()
        for key in parsers
        if name.endswith("_" + key.upper())
    ]
    problems = []
    for shown, key, setting in rows:
        if key not in parsers:
            continue
        try:
            parsers[key](setting.value)
        except ValueError as error:
            if setting.source == "autolog()":
                raise ConfigError(shown, setting.source, str(error)) from None
            problems.append(ConfigError(shown, setting.source, str(error)))
    return problems


def _pyproject(
    folder: Path | None, environ: Mapping[str, str], problems: list[ConfigError]
) -> tuple[dict[str, Any], str]:
    """The `[tool.autotrace]` table of the nearest pyproject.toml, and that file's path."""
    try:
        start = (folder or Path.cwd()).absolute()
    except OSError:  # the working directory is gone
        return {}, ""
    for parent in (start, *start.parents):
        path = parent / "pyproject.toml"
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(ConfigError("[tool.autotrace]", str(path), f"the file cannot be read: {error}"))
            return {}, str(path)
        return _table(text, path, problems), str(path)
    return {}, ""


def _table(text: str, path: Path, problems: list[ConfigError]) -> dict[str, Any]:
    if "autotrace" not in text:  # spares most programs the parser
        return {}
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]
    try:
        table = tomllib.loads(text).get("tool", {}).get("autotrace", {})
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        problems.append(ConfigError("[tool.autotrace]", str(path), f"the file is not valid TOML: {error}"))
        return {}
    if not isinstance(table, dict):
        problems.append(ConfigError("[tool.autotrace]", str(path), f"{table!r} is not a table"))
        return {}
    return table
