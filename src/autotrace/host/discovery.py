"""The host of the plugins: finds them by metadata, wakes each when its framework is imported, keeps them apart.

Nothing is looked up before a module is imported that is neither the standard library's nor ours: a program that
uses no framework pays for nothing. No lock is held while a plugin's code runs, for that code imports modules.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..recording.guard import guard
from . import imports
from .names import ANY
from .registry import Registry

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from ..config import Config
    from ..serving.service import Service
    from .candidates import Candidates
    from .patching import AppliedPatch
    from .plugins import InstalledPlugin
    from .status import PluginStatus
    from .tracing import TracedFramework

GROUP = "autotrace"
#: The group of those that only tell other services of a trace: looked up where the settings name such services.
SENDERS = "autotrace.senders"
#: What the host itself imports when it wakes a plugin.
NEEDED = frozenset(
    {"autotrace", "opentelemetry", "wrapt", "pluggy", "packaging", "orjson", "tomli", "typing_extensions"}
)
#: The toggle of context in threads, which is no plugin.
THREADING = "threading"
#: The toggle of the program's own spans.
OWN = "autotrace"


#: Seconds that a thread waits for another one's look-up of the installed plugins.
DISCOVERY_TIMEOUT = 2.0


class Host:
    """Wakes plugins.

    Args:
        config: The settings in force.
        provider: Where spans come from; called when the first plugin wakes.
        glance: The settings as they are at this moment: a program may set more before it imports a framework.
        service: What concerns requests, when one arrives.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        provider: Callable[[], TracerProvider],
        glance: Callable[[], Config] | None = None,
        service: Callable[[], Service] | None = None,
    ) -> None:
        self._config = config
        self._glance = glance or config
        self._provider = provider
        self._service = service
        self._plugins: list[InstalledPlugin] | None = None
        self._is_discovered = False
        self._discovery = threading.RLock()
        #: By the module that wakes them (or, of the project's own, by name): the plugins for each framework.
        self._watched: dict[str, Candidates] = {}
        #: The project's own plugins that have been loaded, or are being loaded.
        self._local: set[str] = set()
        #: Whether some wait to be loaded, until the import that is under way is over.
        self._awaits_local = False
        self._is_loading_local = False
        self._finder = imports.Finder(self.is_watched, self.imported)
        #: The packages whose imports concern a plugin; None: to be looked up.
        self._packages: frozenset[str] | None = None
        #: Plugins that any module wakes, and that nobody has switched on yet.
        self._optional: list[InstalledPlugin] = []
        self._registry = Registry()
        self._has_senders = False

    @property
    def redactors(self) -> list[Any]:
        """Every plugin's redactors; the list may grow."""
        return self._registry.redactors

    def activate(self) -> None:
        """Watches imports from now on; what has been imported already is patched at once."""
        imports.install(self._finder)
        if self._is_discovered or imports.third_party_modules():
            self.wake_imported()

    def deactivate(self) -> None:
        """Takes every patch off and watches no more (for tests)."""
        imports.uninstall()
        for plugin in self._plugins or ():
            for traced in plugin.frameworks:
                traced.switch_off()
        self._follow_threads(False)

    def is_watched(self, name: str) -> bool:
        """Whether the import of `name` concerns a plugin."""
        if not self._is_discovered:
            if not imports.is_third_party(name):
                return False
            with guard("discovery of plugins"):
                self.discover()
        if self._optional and "." not in name:
            self._watch_named()
        if self._awaits_local:
            # Not now, in the midst of this import: a plugin that imports the same module would have it executed twice.
            return True  # what the plugins to come will patch is not known yet
        # Most imports are of packages that no plugin knows.
        packages = self._packages
        if packages is None:
            packages = self._packages = self._watched_packages()
        if ANY not in packages and name.partition(".")[0] not in packages:
            return False
        return any(candidates.concerns(name) for candidates in list(self._watched.values()))

    def _watched_packages(self) -> frozenset[str]:
        """The top-level packages that some plugin watches."""
        found = set()
        for candidates in list(self._watched.values()):
            for plugin in candidates:
                modules = [plugin.module, *plugin.waking_modules]
                modules += [module for traced in plugin.frameworks for module in traced.modules]
                found |= {module.partition(".")[0] for module in modules}
        return frozenset(found)

    def imported(self, name: str) -> None:
        """A watched module has been executed."""
        if self._awaits_local and not imports.is_amid_imports() and not imports.is_starting():
            with guard("plugins of the project's own"):
                self.load_local()
        self._wake_optional()
        for candidates in list(self._watched.values()):
            if any(plugin.is_woken_by(name) for plugin in candidates):
                self.wake(candidates)
            for plugin in candidates:
                for traced in plugin.frameworks:
                    if plugin.is_optional and name in traced.modules and not traced.is_on:
                        self._switch(traced)
                    traced.imported(name)

    def discover(self) -> list[InstalledPlugin]:
        """The installed plugins, by their entry points; nothing of theirs is imported."""
        if not self._is_discovered:
            # Another thread that imports meanwhile waits; not forever: it may be a fork's, where nobody lets go.
            is_held = self._discovery.acquire(timeout=DISCOVERY_TIMEOUT)
            try:
                if self._plugins is None:
                    self._plugins = []  # what is imported on the way must not come here again
                    from .plugins import installed

                    try:
                        self._plugins, self._watched = installed(GROUP)
                        config = self._glance()
                        self._take_senders(config)
                        if self._local_names(config):
                            self._awaits_local = True
                        self._watch_optional()
                        self._packages = None
                        self._is_discovered = True
                    except BaseException:  # in the middle of an import that it needs itself, perhaps
                        self._plugins = None
                        raise
            finally:
                if is_held:
                    self._discovery.release()
        return self._plugins or []

    def wake_imported(self) -> None:
        """Wakes the plugins whose frameworks have been imported already, and applies changed settings."""
        self.discover()
        self._take_senders(self._glance())
        if not imports.is_starting():  # they may lie in the program's folder
            self.load_local()
        self._watch_optional()
        self._wake_optional(again=True)
        for candidates in list(self._watched.values()):
            if any(self._is_imported(module) for plugin in candidates for module in plugin.waking_modules):
                self.wake(candidates)

    def _is_imported(self, module: str) -> bool:
        return module in sys.modules and not self._finder.watch_lazy(module)

    def load_local(self) -> None:
        """Loads the plugins of the project's own that the settings name, each once.

        No lock is held: they import what they like.
        """
        if self._is_loading_local:
            return
        self._is_loading_local = True
        try:
            self._load_local(self._glance())
        finally:
            self._is_loading_local = self._awaits_local = False

    def _load_local(self, config: Config) -> None:
        names = self._local_names(config)
        if not names:
            return
        from . import local

        source = config.sources.get("plugins", "")
        key = config.written("plugins", source)
        for name in names:
            self._local.add(name)
            order = config.plugins.index(name)
            for plugin in local.load(name, order, key, source, self._registry.register, self.redactors):
                self._take_in(plugin)

    def _local_names(self, config: Config) -> list[str]:
        if config.is_disabled():
            return []
        return [name for name in config.plugins if name not in self._local]

    def _take_in(self, plugin: InstalledPlugin) -> None:
        """Sets a plugin of the project's own beside the installed ones for its framework; that may be there already."""
        self._plugins = [*(self._plugins or ()), plugin]
        if not plugin.frameworks:
            return
        from .candidates import Candidates

        name = plugin.name.lower()
        for candidates in list(self._watched.values()):
            if name in {known.lower() for known in candidates.names()}:
                candidates.add(plugin)
                break
        else:
            candidates = self._watched[f"{plugin.distribution}: {name}"] = Candidates([plugin])
        self._packages = None
        if any(self._is_imported(module) for module in plugin.waking_modules):
            self.wake(candidates)

    def _take_senders(self, config: Config) -> None:
        """Watches for what tells other services of a trace too, once the settings name one: nobody else pays for it."""
        if self._has_senders or not config.propagate_to:
            return
        from .plugins import installed

        self._has_senders = True
        plugins, watched = installed(SENDERS)
        self._plugins = [*(self._plugins or ()), *plugins]
        self._watched.update({f"{SENDERS}: {name}": candidates for name, candidates in watched.items()})
        self._packages = None

    def _watch_optional(self) -> None:
        """Leaves those plugins alone that any module wakes, but for those that the user has switched on by name."""
        from .candidates import Candidates
        from .status import OFF

        self._optional = []
        for plugin in self._plugins or ():
            if not plugin.is_optional:
                continue
            key = f"* {plugin.distribution}"  # several may be installed: they trace different frameworks
            if plugin.is_loaded or self._glance().is_asked_for(plugin.name):
                self._watched.setdefault(key, Candidates([plugin]))
                plugin.state = "waiting" if plugin.state == "disabled" else plugin.state
            else:
                self._watched.pop(key, None)
                self._optional.append(plugin)
                plugin.state, plugin.reason = "disabled", OFF.format(name=plugin.name)
        self._packages = None

    def _watch_named(self) -> None:
        """Looks again at the settings, where the program has put a word for one of those into the environment."""
        from ..config import is_named

        if any(is_named(plugin.name) for plugin in self._optional):
            with guard("settings"):
                self._watch_optional()

    def _wake_optional(self, again: bool = False) -> None:
        """Wakes the plugins that any module wakes; not while what the host needs for that is half imported."""
        optional = [candidates for key, candidates in self._watched.items() if key[0] == "*"]
        waiting = [one for one in optional if again or not all(plugin.is_loaded for plugin in one)]
        if waiting and not imports.is_any_executing(NEEDED) and imports.third_party_modules():
            for candidates in waiting:
                self.wake(candidates)

    def wake(self, candidates: Candidates) -> None:
        """Loads a framework's plugin and switches on what it offers, as far as the settings want it.

        Where several can trace the framework, one does: where it cannot be used, the next.
        """
        config = self._config()
        problem = candidates.problem(config)
        if problem is not None and not self._awaits_local:  # else it may be there in a moment
            guard.tell(problem)
        is_traced = False
        for plugin in candidates.ordered(config):
            if is_traced:
                if plugin.is_usable:
                    plugin.give_way("")
                continue
            try:
                self._wake(plugin)
            except Exception as error:  # noqa: BLE001 (a plugin's code)
                plugin.fail(error)
            is_traced = plugin.is_usable
        candidates.explain(config)
        self._packages = None

    def _wake(self, plugin: InstalledPlugin) -> None:
        # The settings count from the first framework on, and one of an optional plugin's may be far away.
        config = self._glance() if plugin.is_optional else self._config()
        if config.is_disabled(plugin.name, plugin.module):
            self._switch_off(plugin)
            return
        if plugin.state == "failed":
            return
        reason = plugin.unsupported()
        if reason is not None:
            plugin.state, plugin.reason = "unsupported", reason
            guard.tell(reason + ": its calls are not traced")
            return
        if not plugin.is_loaded:
            plugin.load(self._registry.register, self.redactors)
        self._tell_unclaimed(config)
        plugin.state, plugin.reason = "active", ""
        for traced in plugin.frameworks:
            if not plugin.is_optional or traced.is_on or any(map(imports.is_imported, traced.modules)):
                self._switch(traced)

    def _switch(self, traced: TracedFramework) -> None:
        """Switches a framework on or off, as the settings want it."""
        config = self._config()
        self._follow_threads(not config.is_disabled(THREADING))
        if not traced.look(config):
            traced.switch_off()
            return
        for problem in traced.switch_on(config, self._provider(), self._service):
            guard.tell(problem)

    def _tell_unclaimed(self, config: Config) -> None:
        """Tells of settings that belong to nobody, once every plugin that may own them has been loaded."""
        if not self._awaits_local and not self._is_incomplete():
            known = {name for installed in self.discover() for name in installed.names()}
            for problem in config.unclaimed(known | {THREADING, OWN}):
                guard.tell(problem)

    def _is_incomplete(self) -> bool:
        """Whether a plugin whose frameworks only it can name is yet to be loaded."""
        optional = [candidates for key, candidates in self._watched.items() if key[0] == "*"]
        return any(not plugin.is_loaded for candidates in optional for plugin in candidates)

    def _switch_off(self, plugin: InstalledPlugin) -> None:
        for traced in plugin.frameworks:
            traced.switch_off()
        if self._config().is_disabled(THREADING):
            self._follow_threads(False)
        if plugin.state in ("waiting", "active"):
            plugin.state, plugin.reason = "disabled", "switched off by the settings"

    def _follow_threads(self, wanted: bool) -> None:
        """Carries the context into threads, by OpenTelemetry's own instrumentation, unless the program has it on."""
        from .threads import follow, unfollow

        with guard("context in threads"):
            (follow if wanted else unfollow)()

    def patches(self) -> list[AppliedPatch]:
        """Every function of a framework that is or was wrapped."""
        return [patch for plugin in self._plugins or () for traced in plugin.frameworks for patch in traced.applied]

    def knows(self, framework: str) -> bool:
        """Whether an installed plugin goes by this name."""
        known = {name.lower() for name in self.names() | {THREADING, OWN}}
        return framework.lower() in known or self._is_incomplete()

    def names(self) -> set[str]:
        """Every name by which a framework with an installed plugin goes."""
        return {name for plugin in self.discover() for name in plugin.names()}

    def statuses(self) -> list[PluginStatus]:
        """What `autotrace plugins` shows."""
        from .inspection import statuses

        return statuses(self)

    def candidates(self) -> list[Candidates]:
        """The plugins for each framework."""
        return list(self._watched.values())

    def config(self) -> Config:
        """The settings in force."""
        return self._config()
