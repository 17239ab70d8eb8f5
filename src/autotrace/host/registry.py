"""Registers plugins' modules with pluggy: hooks are checked against their specifications, one plugin at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import PluginError


class Registry:
    """The plugins' modules that have been registered.

    Attributes:
        redactors: The redactors among them, in the order of registration; the list may grow.
    """

    def __init__(self) -> None:
        self.redactors: list[Any] = []
        self._registered: list[Any] = []

    def register(self, module: Any, name: str) -> Callable[[], Any]:
        """Registers a plugin's module with pluggy; returns its own `instrumentations` hook."""
        import pluggy

        from . import hookspecs

        if any(known is module for known in self._registered):
            return list  # two frameworks wake the same module: it has offered what it has
        # One for each: a plugin that does not fit leaves nothing behind.
        manager = pluggy.PluginManager("autotrace")
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(module, name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise _misfit(manager, module, name, error) from None
        self._registered.append(module)
        for found in manager.hook.redact.get_hookimpls():
            self.redactors.append(found.function if found.argnames else lambda text, redact=found.function: redact())
        hook: Callable[[], Any] = manager.hook.instrumentations
        return hook


def _misfit(manager: Any, module: Any, name: str, error: Exception) -> PluginError:
    """What is wrong with a plugin's hooks, in words."""
    from . import hookspecs

    there = [hook for hook, value in vars(hookspecs).items() if hasattr(value, "autotrace_spec")]
    for hook in dir(module):
        if hook not in there and manager.parse_hookimpl_opts(module, hook) is not None:
            problem = f"there is no hook {hook!r}; there are {', '.join(there)}"
            return PluginError(name.partition(":")[0], problem)
    return PluginError(name.partition(":")[0], str(error).splitlines()[-1])
