"""The plugins that can trace one framework: one of them does, by the settings or by a rule that anybody can predict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .names import normal

if TYPE_CHECKING:
    from ..config import Config, Setting
    from .plugins import InstalledPlugin


class Candidates:
    """The plugins for one framework.

    The one that the setting `plugin` names comes first; else one of the project's own; else the distribution called
    `autotrace-` and the module that wakes it; else the first by name. One that cannot be used makes room for the next.

    Args:
        plugins: At least one.
    """

    def __init__(self, plugins: Sequence[InstalledPlugin]) -> None:
        self._plugins: list[InstalledPlugin] = []
        for plugin in plugins:
            self.add(plugin)

    def __iter__(self) -> Iterator[InstalledPlugin]:
        return iter(list(self._plugins))

    def add(self, plugin: InstalledPlugin) -> None:
        """Takes in one more, at its place in the order of the default rule."""
        self._plugins.append(plugin)
        self._plugins.sort(key=lambda one: (not one.is_local, not one.is_local and not one.is_by_right, one.order))

    def concerns(self, module: str) -> bool:
        """Whether the import of `module` matters to any of them."""
        return any(plugin.concerns(module) for plugin in self._plugins)

    def names(self) -> set[str]:
        """Every name by which the framework goes."""
        return {name for plugin in self._plugins for name in plugin.names()}

    @property
    def name(self) -> str:
        """The framework as a user writes it: the shortest of the names that all of them know."""
        shared = set.intersection(*(plugin.names() for plugin in self._plugins)) or self.names()
        return min(shared, key=lambda name: ("." in name, len(name), name))

    def ordered(self, config: Config) -> list[InstalledPlugin]:
        """All of them, the one to be used first."""
        return self._ordered(config)[0]

    def problem(self, config: Config) -> ConfigError | None:
        """The setting that names a plugin which is not there; None when all is well."""
        found = config.plugin_for(self.names())
        if found is None or self._named(found[1]):
            return None
        key, wanted = found
        there = ", ".join(plugin.distribution for plugin in self)
        return ConfigError(key, wanted.source, f"no plugin {wanted.value!r} for {self.name} is there, only {there}")

    def explain(self, config: Config) -> None:
        """Leaves with each of several plugins which one traces the framework, why, and how to choose another."""
        if len(self._plugins) < 2:
            return
        ordered, why = self._ordered(config)
        usable = [plugin for plugin in ordered if plugin.is_usable]
        if not usable:
            return
        winner, *others = usable
        if winner is not ordered[0]:
            why = f"{ordered[0].distribution} cannot be used"
        names = ", ".join(plugin.distribution for plugin in self if plugin is not winner)
        winner.choice = f"chosen before {names}: {why}"
        for plugin in others:
            plugin.give_way(f"{winner.distribution} traces {self.name}: {why}. {self._how_to_choose(plugin)}")

    def _ordered(self, config: Config) -> tuple[list[InstalledPlugin], str]:
        """The plugins, the one to be used first, and why it is."""
        found = config.plugin_for(self.names())
        if found is None:
            return list(self), self._rule(self._plugins[0])
        key, wanted = found
        chosen = self._named(wanted)
        if not chosen:
            return list(self), self._rule(self._plugins[0])
        return [*chosen, *(plugin for plugin in self if plugin not in chosen)], f"{key} ({wanted.source}) names it"

    def _named(self, wanted: Setting) -> list[InstalledPlugin]:
        return [plugin for plugin in self if normal(plugin.distribution) == normal(str(wanted.value))]

    def _rule(self, plugin: InstalledPlugin) -> str:
        if plugin.is_local:
            return "it is the project's own"
        return "it has the framework's name" if plugin.is_by_right else "it is the first by name"

    def _how_to_choose(self, plugin: InstalledPlugin) -> str:
        table = self.name if re.fullmatch(r"[\w-]+", self.name) else f'"{self.name}"'
        variable = re.sub(r"\W", "_", self.name).upper()
        chosen = plugin.distribution
        in_file = f'plugin = "{chosen}" in [tool.autotrace.{table}]'
        return f"To choose this one: {in_file}, or AUTOTRACE_{variable}_PLUGIN={chosen}"
