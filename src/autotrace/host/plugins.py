"""One installed plugin: found by metadata, loaded behind a barrier, its supported versions read from metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ..errors import PluginError
from ..recording.guard import guard, position
from .imports import is_third_party
from .status import PluginStatus, State

# Not imported before a framework is: they bring OpenTelemetry and wrapt.
if TYPE_CHECKING:
    from .delegation import Delegation
    from .instrumentation import Instrumentation
    from .tracing import TracedFramework

#: The extra of a plugin's distribution that names its framework and the supported range.
EXTRA = "instruments"
#: The module of a plugin that the import of any other module wakes, once the user has switched the plugin on by name.
ANY = "*"


class InstalledPlugin:
    """A plugin that is installed, whether or not its framework is.

    Args:
        entry: Its entry point: the name is the module that wakes it, the value the plugin's own module.
    """

    def __init__(self, entry: metadata.EntryPoint) -> None:
        self.entry = entry
        self.module = entry.name
        self.frameworks: list[TracedFramework] = []
        self.state: State = "waiting"
        self.reason = ""
        self.is_loaded = False
        self._distribution = entry.dist
        self._requirement: Any = None

    @property
    def distribution(self) -> str:
        """The plugin's distribution."""
        return self._distribution.name if self._distribution is not None else self.entry.value

    @property
    def version(self) -> str:
        """The plugin's version."""
        return self._distribution.version if self._distribution is not None else ""

    @property
    def name(self) -> str:
        """What users call it before it is loaded: the end of `autotrace-openai`, or the module that wakes it."""
        distribution = self.distribution
        return distribution[10:].replace("-", "_") if distribution.startswith("autotrace-") else self.module

    @property
    def is_by_right(self) -> bool:
        """Whether its distribution has the name of its framework's plugin: `autotrace-llama-index`."""
        package = self.module.partition(".")[0].replace("_", "-").lower()
        return self.distribution.replace("_", "-").lower() == f"autotrace-{package}"

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
                return is_third_party(module.partition(".")[0])
            return module == self.module or module.startswith(self.module + ".")
        return module == self.module or any(module in traced.modules for traced in self.frameworks)

    def give_way(self, winner: InstalledPlugin) -> None:
        """Stays out of the way of another plugin for the same framework."""
        self.state = "disabled"
        self.reason = f"{winner.distribution} traces {self.module} already; uninstall one of the two"

    def fail(self, error: BaseException) -> None:
        """Sets the plugin aside: it alone, with the reason kept and told once."""
        self.state = "failed"
        self.reason = f"{type(error).__name__} at {position(error)}: {error}"
        guard.report(f"plugin {self.distribution}", error)

    def requirement(self) -> Any:
        """What the `instruments` extra requires, as a packaging Requirement; None when it says nothing."""
        if self._requirement is None and self._distribution is not None:
            from packaging.requirements import InvalidRequirement, Requirement

            for text in self._distribution.requires or ():
                try:
                    requirement = Requirement(text)
                except InvalidRequirement:
                    continue
                if (
                    requirement.marker is not None
                    and requirement.marker.evaluate({"extra": EXTRA})
                    and not (requirement.marker.evaluate({"extra": ""}))
                ):
                    self._requirement = requirement
                    break
        return self._requirement

    def framework_version(self) -> str | None:
        """The framework's installed version; None when it is not installed or not named."""
        requirement = self.requirement()
        if requirement is None:
            return None
        return version_of(requirement.name)

    def unsupported(self) -> str | None:
        """Why the installed framework is none that the plugin knows; None when all is well."""
        requirement, version = self.requirement(), self.framework_version()
        if requirement is None or version is None or requirement.specifier.contains(version, prereleases=True):
            return None
        ours = f"{self.distribution} {self.version}"
        return f"{requirement.name} {version} is installed; {ours} supports {requirement.specifier}"

    def load(self, register: Callable[[Any, str], Callable[[], Sequence[Any]]], redactors: list[Any]) -> None:
        """Imports the plugin and asks what it offers.

        Args:
            register: Registers a module with pluggy; returns its `instrumentations` hook.
            redactors: Every plugin's redactors.

        Raises:
            PluginError: It returned something else than instrumentations.
        """
        from .tracing import TracedFramework

        self.is_loaded = True
        try:
            module = self.entry.load()
        except SystemExit as error:
            raise PluginError(self.distribution, "it left with SystemExit when it was imported") from error
        answers = register(module, f"{self.distribution}: {self.entry.value}")()
        self.frameworks = [TracedFramework(one, self.version, redactors) for one in self._offered(answers)]

    def _offered(self, answers: Iterable[Any]) -> list[Instrumentation]:
        from .instrumentation import Instrumentation

        offered: list[Instrumentation] = []
        for answer in answers:
            if not isinstance(answer, Sequence) or not all(isinstance(one, Instrumentation) for one in answer):
                raise PluginError(
                    self.distribution,
                    f"instrumentations() must return a list of Instrumentation, not {type(answer).__name__}",
                )
            offered += answer
        return offered

    def statuses(self) -> list[PluginStatus]:
        """What `autotrace plugins` shows of it: a row a framework, or one for the plugin where it has none yet."""
        requirement = self.requirement()
        rows = []
        known: list[TracedFramework | None] = [*self.frameworks] or [None]
        if self.is_optional and self.state != "active":
            known = [None]  # which frameworks there would be matters to nobody
        for traced in known:
            state, reason = self.state, self.reason
            warnings: list[str] = []
            if traced is not None and traced.delegation is not None and state == "active":
                rows.append(self._delegated(traced, traced.delegation))
                continue
            if traced is not None and state == "active":
                state = "active" if traced.is_on else "disabled"
                warnings = [*traced.missing, *(f"also wrapped by {name}" for name in traced.others)]
            rows.append(
                PluginStatus(
                    traced.instrumentation.name if traced is not None else self.name,
                    self.distribution,
                    self.version,
                    requirement.name if requirement is not None else self.module.replace(ANY, ""),
                    self.framework_version(),
                    str(requirement.specifier) if requirement is not None else "",
                    state,
                    reason or self._why(state),
                    warnings,
                )
            )
        return rows

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
            delegation.others if state in ("active", "waiting") else [],
        )

    def _why(self, state: State) -> str:
        if state != "waiting":
            return ""
        if self.is_optional:
            return "no module has been imported that could wake it"
        requirement = self.requirement()
        if requirement is not None and self.framework_version() is None:
            return f"{requirement.name} is not installed"
        return f"{self.module} has not been imported"


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None when it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def installed(group: str) -> tuple[list[InstalledPlugin], dict[str, InstalledPlugin]]:
    """The installed plugins, and by the module that wakes it the one for each framework (`ANY` is none).

    Of several for one framework the distribution called `autotrace-` and the module wins, else the first by name.
    """
    found: dict[tuple[str, str], InstalledPlugin] = {}
    for distribution in metadata.distributions():
        with guard("reading the metadata of a distribution"):
            # Most have no plugin: they are told apart without parsing.
            if f"[{group}]" in (distribution.read_text("entry_points.txt") or ""):
                for entry in distribution.entry_points.select(group=group):
                    found.setdefault((entry.name, distribution.name), InstalledPlugin(entry))
    plugins = sorted(found.values(), key=lambda plugin: (plugin.module, not plugin.is_by_right, plugin.distribution))
    chosen: dict[str, InstalledPlugin] = {}
    for plugin in plugins:
        if plugin.is_optional:
            continue
        winner = chosen.setdefault(plugin.module, plugin)
        if winner is not plugin:
            plugin.give_way(winner)
    return plugins, chosen
