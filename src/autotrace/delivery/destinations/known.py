"""Destinations by name: those that there are, and those that plugins add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from autotrace.config import Config
from autotrace.errors import ConfigError
from autotrace.setting_values import DESTINATIONS

from . import Destination

#: Makes a destination of its settings.
Maker = Callable[[Mapping[str, Any]], Destination]

#: Where those are made that need no plugin: modules with a function `make(config)`, each imported when it is wanted.
_MODULES = {"store": "sqlite", "mlflow": "mlflow", "otlp": "otlp", "console": "console"}


def nothing_offered(name: str) -> Maker | None:
    """What plugins offer, where there are none."""
    return None


def make(name: str, config: Config, offered: Callable[[str], Maker | None] = nothing_offered) -> Destination:
    """The destination of that name; nothing is opened yet.

    Args:
        name: As in the setting `destination`.
        config: The settings.
        offered: What a plugin offers by that name.

    Raises:
        ConfigError: There is none.
        AutotraceError: A plugin's cannot be made.
    """
    module = _MODULES.get(name)
    if module is not None:
        found: Destination = import_module(f".{module}", __package__).make(config)
        return found
    maker = offered(name)
    if maker is None:
        source = config.sources.get("destination", "")
        there = ", ".join(DESTINATIONS)
        raise ConfigError(
            config.written("destination", source),
            source,
            f"{name!r}: no such destination; there are {there}, and what installed plugins add",
        )
    return maker({key: setting.value for key, setting in config.framework(name).settings.items()})
