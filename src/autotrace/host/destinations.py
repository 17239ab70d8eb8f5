"""Destinations that plugins add: found by their entry points, loaded when a setting names them.

The group's names are the destinations': what is installed is known without importing anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import PluginError
from .entries import Entry, entries

GROUP = "autotrace.destinations"


def names() -> dict[str, Entry]:
    """What is installed, by name; of several by one name the first on the path."""
    found: dict[str, Entry] = {}
    for entry in entries(GROUP):
        if entry.name:
            found.setdefault(entry.name.lower(), entry)
    return found


def maker(name: str) -> Callable[[Mapping[str, Any]], Any] | None:
    """What makes the destination of that name of its settings; None where no plugin adds it.

    Raises:
        PluginError: The plugin cannot be loaded, or does not offer what its entry point says.
    """
    entry = names().get(name)
    if entry is None:
        return None
    plugin = entry.distribution or entry.value
    try:
        offered = _offered(entry.load(), plugin)
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(plugin, f"it cannot be loaded: {type(error).__name__}: {error}") from error
    found = offered.get(name)
    if not callable(found):
        told = ", ".join(map(repr, offered)) or "nothing"
        raise PluginError(plugin, f"its entry point names the destination {name!r}; destinations() has {told}")
    return lambda settings: _made(found, settings, plugin, name)


def _offered(module: Any, plugin: str) -> dict[str, Any]:
    import pluggy

    from . import hookspecs

    manager = pluggy.PluginManager("autotrace")
    manager.add_hookspecs(hookspecs)
    manager.register(module, plugin)
    manager.check_pending()
    found: dict[str, Any] = {}
    for answer in manager.hook.destinations():
        if not isinstance(answer, Mapping):
            raise PluginError(plugin, f"destinations() must return a dict by name, not {type(answer).__name__}")
        found.update(answer)
    return found


def _made(make: Callable[[Mapping[str, Any]], Any], settings: Mapping[str, Any], plugin: str, name: str) -> Any:
    """What a plugin's function makes, with what every destination has."""
    try:
        made = make(settings)
    except Exception as error:
        raise PluginError(plugin, f"destination {name!r} cannot be made: {type(error).__name__}: {error}") from error
    lacking = [part for part in ("deliver", "close") if not callable(getattr(made, part, None))]
    if not isinstance(getattr(made, "name", None), str):
        lacking.append("name")
    if lacking:
        raise PluginError(plugin, f"destination {name!r} ({type(made).__qualname__}) lacks {', '.join(lacking)}")
    return made
