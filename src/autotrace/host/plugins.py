"""One installed plugin: found by metadata, loaded behind a barrier, its supported versions read from metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..errors import PluginError
from ..recording.guard import guard, position
from . import imports
from .candidates import Candidates
from .entries import Entry, entries
from .names import ANY
from .requirements import CORE, Requirements, version_of
from .status import PluginStatus, State

# Not imported before a framework is: they bring OpenTelemetry and wrapt.
if TYPE_CHECKING:
    from .delegation import Delegation
    from .tracing import TracedFramework


class InstalledPlugin:
    """A plugin that is installed, whether or not its framework is.

    Args:
        entry: Its entry point: the name is the module that wakes it, the value the plugin's own module.
    """

    #: Whether it is a module of the project's own rather than a distribution.
    is_local = False

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.module = entry.name
        self.frameworks: list[TracedFramework] = []
        self.state: State = "waiting"
        self.reason = ""
        #: Why it is the one, where several plugins can trace its framework.
        self.choice = ""
        #: What the user should know of how it is installed.
        self.remarks: list[str] = []
        self.is_loaded = False
        self.requirements = Requirements(entry)

    @property
    def distribution(self) -> str:
        """The plugin's distribution."""
        return self.entry.distribution or self.entry.value

    @property
    def version(self) -> str:
        """The plugin's version."""
        return self.entry.version

    @property
    def label(self) -> str:
        """The plugin as a reason names it: distribution and version."""
        return f"{self.distribution} {self.version}".rstrip()

    @property
    def order(self) -> tuple[int, str]:
        """Its place among plugins for the same framework that have equal rights."""
        return 0, self.distribution

    @property
    def is_usable(self) -> bool:
        """Whether nothing has been found that keeps it from working."""
        return self.state not in ("failed", "unsupported")

    @property
    def name(self) -> str:
        """What users call it before it is loaded: the end of `autotrace-openai`, or the module that wakes it."""
        distribution = self.distribution
        if distribution == CORE:
            return self.module
        return distribution[10:].replace("-", "_") if distribution.startswith("autotrace-") else self.module

    @property
    def is_by_right(self) -> bool:
        """Whether its distribution has the name of its framework's plugin: `autotrace-llama-index`.

        Or of a longer part of the module's name: in `google.genai` the first is a namespace, shared by many.
        """
        module = self.module.replace("_", "-").replace(".", "-").lower()
        return f"autotrace-{module}-".startswith(self.distribution.replace("_", "-").lower() + "-")

    @property
    def is_optional(self) -> bool:
        """Whether any module wakes it, once the user has switched it on by name."""
        return self.module == ANY

    def names(self) -> set[str]:
        """Every name by which it can be switched off."""
        return {self.name, self.module, *(traced.instrumentation.name for traced in self.frameworks)}

    def concerns(self, module: str) -> bool:
        """Whether the import of `module` matters. Until the plugin is loaded, any part of its framework may."""
        if not self.is_loaded:
            if self.is_optional:
                return imports.is_third_party(module.partition(".")[0])
            return module == self.module or module.startswith(self.module + ".")
        return module == self.module or any(module in traced.modules for traced in self.frameworks)

    @property
    def waking_modules(self) -> frozenset[str]:
        """The modules whose import wakes it."""
        return frozenset({self.module})

    def is_woken_by(self, module: str) -> bool:
        """Whether the import of `module`, which has just been executed, wakes the plugin."""
        # A part of it: of a namespace package, which is itself never executed.
        is_part = not self.is_loaded and module.startswith(self.module + ".")
        return module == self.module or (is_part and imports.is_imported(self.module))

    def give_way(self, reason: str) -> None:
        """Stays out of the way of another plugin for the same framework."""
        for traced in self.frameworks:
            traced.switch_off()
        self.state, self.reason, self.choice = "disabled", reason, ""

    def fail(self, error: BaseException) -> None:
        """Sets the plugin aside: it alone, with the reason kept and told once."""
        self.state = "failed"
        if isinstance(error, PluginError):
            self.reason = error.problem
        else:
            self.reason = f"{type(error).__name__} at {position(error)}: {error}"
        for traced in self.frameworks:
            traced.switch_off()
        if isinstance(error, Exception):
            guard.count(f"plugin {self.distribution}", error)
        else:
            guard.report(f"plugin {self.distribution}", error)

    def unsupported(self) -> str | None:
        """Why the plugin cannot be used here: by its metadata, it wants another framework or a newer autotrace."""
        if self.requirements.wants_newer_core():
            return (
                f"{self.label} wants {self.requirements.core()}; {CORE} {__version__} is installed: "
                f"pip install --upgrade {CORE}"
            )
        return self.requirements.unsupported_framework(self.label)

    def load(self, register: Callable[[Any, str], Callable[[], Sequence[Any]]], redactors: list[Any]) -> None:
        """Imports the plugin and asks what it offers.

        Args:
            register: Registers a module with pluggy; returns its `instrumentations` hook.
            redactors: Every plugin's redactors.

        Raises:
            PluginError: It returned something else than instrumentations, left, or was made for another autotrace.
            Exception: Whatever else its code raised.
        """
        from .offers import offered
        from .tracing import TracedFramework

        self.is_loaded = True
        try:
            module = self._module()
            answers = register(module, f"{self.distribution}: {self.entry.value}")()
        except (KeyboardInterrupt, PluginError):
            raise
        except Exception as error:
            problem = self._older_api(error)
            if problem is None:
                raise
            raise PluginError(self.distribution, problem) from error
        except BaseException as error:
            raise PluginError(self.distribution, f"it left with {type(error).__name__} when it was loaded") from error
        self.frameworks = [TracedFramework(one, self.version, redactors) for one in offered(self.distribution, answers)]

    def _module(self) -> Any:
        return self.entry.load()

    def _older_api(self, error: Exception) -> str | None:
        """What to say where the plugin uses a name that this autotrace does not have."""
        from .instrumentation import __all__ as public

        text = str(error)
        is_ours = isinstance(error, TypeError) and text.partition(".")[0] in public and "unexpected keyword" in text
        if not is_ours and not (isinstance(error, ImportError | AttributeError) and _OF_OURS.search(text)):
            return None
        wanted = self.requirements.core()
        made_for = f"it wants {wanted}" if wanted else f"it does not say which {CORE} it wants"
        return f"{error} (at {position(error)}); {made_for}, {__version__} is installed: get a release that fits"

    def statuses(self) -> list[PluginStatus]:
        """What `autotrace plugins` shows of it: a row a framework, or one for the plugin where it has none yet."""
        requirement = self.requirements.framework
        rows = []
        known: list[TracedFramework | None] = [*self.frameworks] or [None]
        if self.is_optional and self.state != "active":
            known = [None]  # which frameworks there would be matters to nobody
        for traced in known:
            state, reason = self.state, self.reason
            if traced is None and state == "active" and not reason:
                reason = "it offers no instrumentation"
            warnings = [*self.remarks, *self._misfit()]
            if traced is not None and traced.delegation is not None and state == "active":
                rows.append(self._delegated(traced, traced.delegation))
                continue
            if traced is not None and state == "active":
                state = "active" if traced.is_on else "disabled"
                warnings += [*traced.missing, *(f"also wrapped by {name}" for name in traced.others)]
            rows.append(
                PluginStatus(
                    traced.instrumentation.name if traced is not None else self.name,
                    self.distribution,
                    self.version,
                    requirement.name if requirement is not None else self._framework,
                    self.requirements.framework_version(),
                    str(requirement.specifier) if requirement is not None else "",
                    state,
                    reason or self._why(state),
                    self.choice,
                    warnings,
                )
            )
        return rows

    @property
    def _framework(self) -> str:
        """What stands for the framework's distribution where the metadata do not say."""
        return "" if self.is_local or self.is_optional else self.module

    def _misfit(self) -> list[str]:
        if self.requirements.fits_core() or self.requirements.wants_newer_core():
            return []
        return [f"it was made for {self.requirements.core()}; {CORE} {__version__} is installed"]

    def _delegated(self, traced: TracedFramework, delegation: Delegation) -> PluginStatus:
        """The row of a framework that another project's instrumentor traces."""
        requirement = delegation.requirement
        state, reason = delegation.state(traced.is_wanted, traced.instrumentation.is_optional)
        distribution = delegation.chosen.distribution or self.distribution
        return PluginStatus(
            traced.instrumentation.name,
            distribution,
            version_of(distribution) or "",
            requirement.name or delegation.chosen.module,
            requirement.installed,
            requirement.specifier,
            state,
            reason,
            warnings=delegation.others if state in ("active", "waiting") else [],
        )

    def _why(self, state: State) -> str:
        if state != "waiting":
            return ""
        if self.is_optional:
            return "no module has been imported that could wake it"
        if self.requirements.framework is not None and self.requirements.framework_version() is None:
            return f"{self.requirements.framework.name} is not installed"
        return f"{', '.join(sorted(self.waking_modules))} has not been imported"


#: Errors about names of the public API.
_OF_OURS = re.compile(
    r"cannot import name '\w+' from '?autotrace\b|module 'autotrace' has no attribute|No module named 'autotrace\."
)


def installed(group: str) -> tuple[list[InstalledPlugin], dict[str, Candidates]]:
    """The installed plugins, and by the module that wakes them the ones for each framework.

    Of several versions of one distribution the first on the path counts, as it does for Python's imports.
    """
    first: dict[str, Entry] = {}
    found: dict[tuple[str, str], InstalledPlugin] = {}
    hidden: dict[str, list[str]] = {}
    unreadable: list[InstalledPlugin] = []
    for entry in entries(group):
        plugin = InstalledPlugin(entry)
        name = plugin.distribution
        one = first.setdefault(name, entry)
        if one.folder != entry.folder:
            if one.version != entry.version:
                hidden.setdefault(name, []).append(f"{entry.version} in {entry.folder}")
        elif entry.problem:
            plugin.fail(PluginError(name, entry.problem))
            unreadable.append(plugin)
        else:
            found.setdefault((entry.name, name), plugin)
    plugins = sorted(found.values(), key=lambda plugin: (plugin.module, not plugin.is_by_right, plugin.distribution))
    watched: dict[str, Candidates] = {}
    for plugin in plugins:
        if plugin.is_optional:
            continue
        others = dict.fromkeys(hidden.get(plugin.distribution, ()))
        plugin.remarks += [f"another version is hidden by this one: {other}" for other in others]
        if plugin.module in watched:
            watched[plugin.module].add(plugin)
        else:
            watched[plugin.module] = Candidates([plugin])
    return [*plugins, *unreadable], watched
