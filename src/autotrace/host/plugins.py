"""One installed plugin: found by metadata, loaded behind a barrier, its supported versions read from metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ..errors import PluginError
from ..recording.guard import guard, position
from .status import PluginStatus, State

# Not imported before a framework is: they bring OpenTelemetry and wrapt.
if TYPE_CHECKING:
    from .instrumentation import Instrumentation
    from .tracing import TracedFramework

#: The extra of a plugin's distribution that names its framework and the supported range.
EXTRA = "instruments"


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
        """Whether its distribution has the name of its framework's plugin: `autotrace-llama-index`.

        Or of a longer part of the module's name: in `google.genai` the first is a namespace, shared by many.
        """
        module = self.module.replace("_", "-").replace(".", "-").lower()
        return f"autotrace-{module}-".startswith(self.distribution.replace("_", "-").lower() + "-")

    def names(self) -> set[str]:
        """Every name by which it can be switched off."""
        return {self.name, self.module, *(traced.instrumentation.name for traced in self.frameworks)}

    def concerns(self, module: str) -> bool:
        """Whether the import of `module` matters. Until the plugin is loaded, any part of its framework may."""
        if not self.is_loaded:
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
        try:
            return metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            return None

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
        for traced in known:
            state, reason = self.state, self.reason
            warnings: list[str] = []
            if traced is not None and state == "active":
                state = "active" if traced.is_on else "disabled"
                warnings = [*traced.missing, *(f"also wrapped by {name}" for name in traced.others)]
            rows.append(
                PluginStatus(
                    traced.instrumentation.name if traced is not None else self.name,
                    self.distribution,
                    self.version,
                    requirement.name if requirement is not None else self.module,
                    self.framework_version(),
                    str(requirement.specifier) if requirement is not None else "",
                    state,
                    reason or self._why(state),
                    warnings,
                )
            )
        return rows

    def _why(self, state: State) -> str:
        if state != "waiting":
            return ""
        requirement = self.requirement()
        if requirement is not None and self.framework_version() is None:
            return f"{requirement.name} is not installed"
        return f"{self.module} has not been imported"


def installed(group: str) -> tuple[list[InstalledPlugin], dict[str, InstalledPlugin]]:
    """The installed plugins, and by the module that wakes it the one for each framework.

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
        winner = chosen.setdefault(plugin.module, plugin)
        if winner is not plugin:
            plugin.give_way(winner)
    return plugins, chosen
