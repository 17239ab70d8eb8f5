"""What the host's commands ask it: what each plugin can do here, and what became of each function that it wraps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from ..recording.guard import guard
from .requirements import CORE

if TYPE_CHECKING:
    from ..errors import ConfigError
    from .discovery import Host
    from .plugins import InstalledPlugin
    from .status import HookPoint, PluginStatus


def wake_installed(host: Host, load: Callable[[str], object], with_core: bool = False) -> None:
    """Imports each plugin's framework, where it is installed, so that every plugin shows what it can do.

    Args:
        host: The host.
        load: Imports a module.
        with_core: Whether to import what the core traces itself, too: a web framework is soon installed, and few ask.
    """
    for plugin in host.discover():
        if plugin.distribution == CORE and not with_core:
            continue
        for module in sorted(plugin.waking_modules) if plugin.is_usable else ():
            if PathFinder.find_spec(module.partition(".")[0]) is not None:
                _try(load, module)
    for plugin in host.discover():
        for traced in plugin.frameworks:
            delegation = traced.delegation
            if delegation is None or not delegation.is_usable or not traced.look(host.config()):
                continue
            _try(load, delegation.chosen.module)


def _try(load: Callable[[str], object], module: str) -> None:
    if module not in sys.modules:
        try:
            _import(load, module)
        except (KeyboardInterrupt, SystemExit) as error:
            if isinstance(error, KeyboardInterrupt):
                raise
        except BaseException as error:  # noqa: BLE001 (a framework's code; what panics in an extension is no Exception)
            problem = error if isinstance(error, Exception) else ImportError(f"{type(error).__name__}: {error}")
            guard.count(f"import of {module}", problem)


def hook_points(host: Host) -> list[HookPoint]:
    """What became of each function that the loaded plugins wrap; their modules are imported for that."""
    found: list[HookPoint] = []
    for plugin in host.discover():
        for traced in plugin.frameworks:
            modules = sorted(traced.modules) if traced.is_on else ()
            gone = frozenset(module for module in modules if _is_gone(module))
            found += traced.hook_points(plugin.distribution, gone)
    return found


def _is_gone(module: str) -> bool:
    """Imports a module; whether the distribution that should have it is there and has none of that name."""
    if module in sys.modules or PathFinder.find_spec(module.partition(".")[0]) is None:
        return False
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        return error.name is not None and f"{module}.".startswith(f"{error.name}.")
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a framework's code)
        if isinstance(error, Exception):
            guard.report(f"import of {module}", error)
    return False


def problems(host: Host) -> list[ConfigError]:
    """Settings that name a plugin which is not there."""
    config = host.config()
    found = [candidates.problem(config) for candidates in host.candidates()]
    return [problem for problem in found if problem is not None]


def statuses(host: Host) -> list[PluginStatus]:
    """What `autotrace plugins` shows."""
    for plugin in host.discover():
        for traced in plugin.frameworks:
            traced.look(host.config())
    # A plugin that several modules wake is shown once: as that of the one that has woken it.
    shown: dict[tuple[str, str], InstalledPlugin] = {}
    config = host.config()
    for candidates in host.candidates():
        candidates.explain(config)
    for plugin in host.discover():
        key = plugin.distribution, plugin.name if plugin.is_local else plugin.entry.value
        if key not in shown or (plugin.frameworks and not shown[key].frameworks):
            shown[key] = plugin
    return [status for plugin in shown.values() if _is_of_interest(plugin) for status in plugin.statuses()]


def _is_of_interest(plugin: InstalledPlugin) -> bool:
    """Not so of what comes with the core while nobody uses what it is for."""
    return plugin.distribution != CORE or plugin.is_loaded or plugin.state == "failed"


def _import(load: Callable[[str], object], module: str) -> None:
    """Imports a framework. That it is not there, where others share its namespace package (`google`), is no failure."""
    try:
        load(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
