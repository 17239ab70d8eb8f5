"""What autotrace works in: its settings, its home, its store, the versions of what it is built on."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from autotrace._version import __version__
from autotrace.config import ENVIRONMENT, SETTINGS, SWITCH, Config
from autotrace.errors import AutotraceError, ConfigError, StoreCorrupt, StoreTooNew

from .findings import Finding

#: What the versions are told of, beside autotrace and Python.
DISTRIBUTIONS = ("opentelemetry-api", "opentelemetry-sdk", "wrapt")
#: Bytes of free disk space below which something is wrong.
LEAST_FREE = 100 * 1024 * 1024


@dataclass(frozen=True)
class SettingRow:
    """One setting: its value, and where that comes from: `default`, a variable's name, a file's path."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True)
class Home:
    """The folder of the journal and the store.

    Attributes:
        path: Where it is.
        exists: Whether it is there.
        writable: Whether it, or the folder that it would be made in, can be written.
        free_bytes: Free space there; None: not known.
    """

    path: str
    exists: bool
    writable: bool
    free_bytes: int | None


@dataclass(frozen=True)
class Store:
    """The store's file.

    Attributes:
        path: Where it is.
        exists: Whether it is there.
        schema: How many migrations it has been through; None: not known.
        problem: Why it cannot be opened; None: it can.
        what_to_do: What to do about that.
    """

    path: str
    exists: bool
    schema: int | None
    problem: str | None = None
    what_to_do: str = ""


def versions() -> dict[str, str | None]:
    """Versions by name; None: not installed."""
    found: dict[str, str | None] = {"autotrace": __version__, "python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def setting_rows(config: Config) -> list[SettingRow]:
    """Every general setting, then those of frameworks that are set."""
    rows = [SettingRow(name, _shown(getattr(config, name)), _source(config, name)) for name in SETTINGS]
    for framework, settings in sorted(config.framework_settings.items()):
        rows += [
            SettingRow(f"{framework}.{name}", _unless_secret(name, one.value), one.source)
            for name, one in settings.items()
        ]
    for name, one in sorted(config.framework_environment.items()):
        written = config.written(name, ENVIRONMENT)
        rows.append(SettingRow(written, _unless_secret(name, one.value), written))
    return rows


def _unless_secret(name: str, value: Any) -> str:
    """A value as it is shown; not that of a setting whose name says that nobody may see it."""
    return "***" if _SECRET.search(name) else _shown(value)


_SECRET = re.compile("key|token|secret|passw|auth|header|credential|cookie", re.IGNORECASE)


def look_at_home(path: Path) -> Home:
    """The home as it is; nothing is made."""
    there = next((folder for folder in (path, *path.parents) if _is_folder(folder)), Path("/"))
    places = [there, *(part for part in (path / "journal",) if _is_folder(part))]
    try:
        free: int | None = shutil.disk_usage(there).free
    except OSError:
        free = None
    below = [part for part in (path, *path.parents) if part != there and part.is_relative_to(there)]
    is_writable = not any(os.path.lexists(part) for part in below)  # a file where a folder is to be made
    return Home(
        str(path), there == path, is_writable and all(os.access(one, os.W_OK | os.X_OK) for one in places), free
    )


def look_at_store(path: Path) -> Store:
    """The store as it is; it is only read."""
    from autotrace.store.reader import Reader

    try:
        if not path.exists():
            return Store(str(path), False, None)
        with Reader(path) as reader:
            return Store(str(path), True, reader.schema_version)
    except StoreTooNew as error:
        return Store(str(path), True, None, str(error), "Upgrade autotrace-ai, or set AUTOTRACE_HOME elsewhere.")
    except StoreCorrupt as error:
        return Store(str(path), True, None, str(error), "Move the file away: the next delivery makes a new one.")
    except (AutotraceError, OSError) as error:
        return Store(str(path), True, None, str(error), "See that it can be read, and that the disk works.")


def surrounding_findings(config: Config, home: Home, store: Store) -> Iterator[Finding]:
    """What is wrong with settings, home and store."""
    for problem in config.problems:
        yield setting_finding(problem, "Mend or remove it; docs/configuration.md.")
    if not config.enabled:
        by_otel = config.standard.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        switch = "OTEL_SDK_DISABLED is true" if by_otel else f"{SWITCH} is false"
        yield Finding("note", "settings", f"{switch}: nothing is traced", "Unset it to trace.")
    elif config.is_disabled():
        yield Finding("note", "settings", "`disable` says all: nothing is traced", "Take it out of `disable` to trace.")
    if not home.writable:
        yield Finding(
            "problem",
            f"home {home.path}",
            "it cannot be written: spans are kept in memory, within bounds, and lost when the process ends",
            "chmod or chown it, or set AUTOTRACE_HOME to a folder that can be written.",
        )
    if home.free_bytes is not None and home.free_bytes < LEAST_FREE:
        free = home.free_bytes // 1024**2
        yield Finding("problem", f"home {home.path}", f"only {free} MiB are free", "Free disk space.")
    if store.problem is not None:
        yield Finding("problem", f"store {store.path}", store.problem, store.what_to_do)


def unclaimed_findings(config: Config, frameworks: Sequence[str]) -> Iterator[Finding]:
    """Settings of frameworks that no installed plugin has."""
    for problem in config.unclaimed({*frameworks, "threading", "autotrace"}):
        yield setting_finding(problem, "Install the plugin, or mend the name.")


def setting_finding(problem: ConfigError, what_to_do: str) -> Finding:
    """A setting that cannot be used."""
    return Finding("problem", f"setting {problem.key} ({problem.source})", problem.problem, what_to_do)


def _source(config: Config, name: str) -> str:
    source = config.sources.get(name)
    if source is None:
        return "default"
    return config.written(name, source) if source == ENVIRONMENT else source


def _shown(value: Any) -> Any:
    if isinstance(value, frozenset | set | tuple | list):
        return sorted(map(str, value)) if isinstance(value, frozenset | set) else [str(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
