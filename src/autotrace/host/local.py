"""Plugins of the project's own: modules that the setting `plugins` names, with no packaging and no metadata."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConfigError, PluginError
from ..recording.guard import guard
from .entries import Entry
from .plugins import InstalledPlugin
from .tracing import TracedFramework


class LocalPlugin(InstalledPlugin):
    """What a module of the project's own offers for one framework, or why it offers nothing.

    There is no metadata that says what wakes it, so it has been loaded when it comes here; each of its patches waits
    for its own module.

    Args:
        module: The module's name.
        order: Its place in the settings.
        frameworks: What it offers, as far as this one goes.
    """

    is_local = True

    def __init__(self, module: str, order: int, frameworks: Sequence[TracedFramework] = ()) -> None:
        super().__init__(Entry(module, module))
        self.place = order
        self.frameworks = list(frameworks)

    @property
    def order(self) -> tuple[int, str]:
        """As the user listed them."""
        return self.place, self.distribution

    @property
    def name(self) -> str:
        """The framework's name as the plugin gives it."""
        return self.frameworks[0].instrumentation.name if self.frameworks else self.module

    @property
    def waking_modules(self) -> frozenset[str]:
        """What it patches."""
        return frozenset(module for traced in self.frameworks for module in traced.modules)

    def concerns(self, module: str) -> bool:
        """Whether the import of `module` matters: it holds a function that is patched."""
        return any(module in traced.modules for traced in self.frameworks)

    def is_woken_by(self, module: str) -> bool:
        """Whether the import of `module`, which has just been executed, wakes the plugin."""
        return self.concerns(module)


def load(
    module: str,
    order: int,
    key: str,
    source: str,
    register: Callable[[Any, str], Callable[[], Sequence[Any]]],
    redactors: list[Any],
) -> list[LocalPlugin]:
    """Imports a module of the project's own. Never raises but for Ctrl-C.

    Args:
        module: Its name.
        order: Its place in the settings.
        key: The setting that names it, as the user wrote that.
        source: Where that was found.
        register: As for InstalledPlugin.load.
        redactors: Every plugin's redactors.

    Returns:
        One plugin a framework that it offers; a single one that says so where it failed or offers nothing.
    """
    whole = LocalPlugin(module, order)
    try:
        whole.load(register, redactors)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            whole.fail(error)
            return [whole]
        problem = ConfigError(key, source, f"there is no module {module!r}; modules are looked for in {_path()}")
        whole.state, whole.reason = "failed", str(problem)
        guard.tell(problem)
    except (Exception, PluginError) as error:  # noqa: BLE001 (a plugin's code)
        whole.fail(error)
    if not whole.frameworks:
        if whole.state == "waiting":
            whole.state, whole.reason = "active", "it offers no instrumentation"
        return [whole]
    found = [LocalPlugin(module, order, [traced]) for traced in whole.frameworks]
    for plugin in found:
        plugin.is_loaded = True
    return found


def _path() -> str:
    return ", ".join(str(folder) or "the working directory" for folder in sys.path[:3]) + ", ..."
