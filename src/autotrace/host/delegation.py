"""An instrumentor of another project at work in place of patches: loaded, switched on and off, never left half on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from opentelemetry.trace import TracerProvider

from ..recording.delegating import DelegatedProvider
from ..recording.guard import guard, position
from ..recording.recorder import Recorder
from .instrumentation import Delegate, Instrumentor
from .requirements import version_of
from .status import OFF, State

#: The setting that chooses among several delegates.
SETTING = "instrumentor"


class Requirement:
    """The framework's distribution that something traces, and the supported range.

    Args:
        requirement: packaging's; None where nothing is said.
    """

    def __init__(self, requirement: Any) -> None:
        self.name: str = requirement.name if requirement is not None else ""
        self.specifier = str(requirement.specifier) if requirement is not None else ""
        self._requirement = requirement

    @classmethod
    def parsed(cls, text: str) -> Requirement:
        """From e.g. `acme>=2,<4`; says nothing where that is no requirement."""
        from packaging.requirements import InvalidRequirement
        from packaging.requirements import Requirement as Parsed

        try:
            return cls(Parsed(text) if text else None)
        except InvalidRequirement:
            return cls(None)

    @property
    def installed(self) -> str | None:
        """The framework's installed version; None when it is not installed or not named."""
        return version_of(self.name) if self.name else None

    @property
    def problem(self) -> str | None:
        """What is installed in place of what is supported; None when all is well."""
        version = self.installed
        if version is None or self._requirement.specifier.contains(version, prereleases=True):
            return None
        return f"{self.name} {version} is installed"


class Delegation:
    """The delegates of one framework, of which one is used.

    Args:
        name: The framework.
        delegates: In the order of preference; not empty.

    Attributes:
        provider: Where the instrumentor's spans come from, once it is on.
        problem: Why it does not work; empty where it does.
        remark: What is to be known though it works.
    """

    def __init__(self, name: str, delegates: tuple[Delegate, ...]) -> None:
        self.problem = ""
        self.remark = ""
        self.provider: DelegatedProvider | None = None
        self._name = name
        self._delegates = delegates
        self._chosen = next((one for one in delegates if not one.skipped), delegates[0])
        self._instrumentor: Instrumentor | None = None

    @property
    def chosen(self) -> Delegate:
        """The one that is used."""
        return self._chosen

    @property
    def requirement(self) -> Requirement:
        """The framework that it traces."""
        return Requirement.parsed(self._chosen.requires)

    @property
    def unsupported(self) -> str:
        """Why the installed framework is none that the instrumentor knows; empty when all is well."""
        problem = self.requirement.problem
        return f"{problem}; {self._chosen.distribution} supports {self.requirement.specifier}" if problem else ""

    @property
    def is_usable(self) -> bool:
        """Whether it may be used, and its framework is installed."""
        requirement = self.requirement
        is_installed = not requirement.name or requirement.installed is not None
        return is_installed and not self._chosen.skipped and not self.unsupported

    @property
    def others(self) -> list[str]:
        """The delegates that are not used, and what uses them."""
        usable = [one for one in self._delegates if one is not self._chosen and not one.skipped]
        return [f"{one.distribution} is not used: the setting {SETTING} = {one.vendor} does" for one in usable]

    def state(self, is_wanted: bool, is_optional: bool) -> tuple[State, str]:
        """What became of it, and why."""
        chosen, requirement = self._chosen, self.requirement
        if chosen.skipped:
            return "disabled", chosen.skipped
        if not is_wanted:
            return "disabled", OFF.format(name=self._name) if is_optional else "switched off by the settings"
        if requirement.name and requirement.installed is None:
            return "waiting", f"{requirement.name} is not installed"
        if self.unsupported:
            return "unsupported", self.unsupported
        if self.problem:
            return "failed", self.problem
        if self.remark:
            return "disabled", self.remark
        return (
            ("active", "") if self._instrumentor is not None else ("waiting", f"{chosen.module} has not been imported")
        )

    def choose(self, vendor: str | None) -> None:
        """Uses the delegate of this vendor, once it is switched on; another one is switched off."""
        chosen = next((one for one in self._delegates if vendor and one.vendor == vendor), self._chosen)
        if chosen is not self._chosen:
            self.switch_off()
            self._chosen, self.problem, self.remark = chosen, "", ""

    def switch_on(self, recorder: Recorder) -> None:
        """Loads the instrumentor and switches it on, unless the program has done so itself."""
        if self._instrumentor is not None or self._chosen.skipped or self.problem or self.unsupported:
            return
        self.remark = ""
        try:
            instrumentor = self._chosen.load()
            if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                self.remark = f"{self._chosen.distribution} is switched on by the program itself, and left to it"
                return
            self.provider = DelegatedProvider(recorder, self._chosen.translate)
            self._instrumentor = instrumentor
            _instrument(instrumentor, self.provider)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (another project's code)
            self._fail(error)

    def switch_off(self) -> None:
        """Switches it off, if it was us who switched it on; what it starts yet is no span."""
        with guard(f"{self._name}: switching off {self._chosen.distribution}"):
            self._undo()

    def _undo(self) -> None:
        if self.provider is not None:
            self.provider.is_on = False
        instrumentor, self._instrumentor = self._instrumentor, None
        # OpenTelemetry's log complains of one that is not on.
        if instrumentor is not None and getattr(instrumentor, "is_instrumented_by_opentelemetry", True):
            instrumentor.uninstrument()

    def _fail(self, error: BaseException) -> None:
        self.problem = f"{self._chosen.distribution}: {type(error).__name__} at {position(error)}: {error}"
        with suppress(Exception):  # it failed in the middle: what it has wrapped by then makes no spans
            self._undo()
        if isinstance(error, SystemExit):
            error = RuntimeError(f"{self._chosen.distribution} left with SystemExit")
        guard.report(f"{self._name}: {self._chosen.distribution}", error)


def _instrument(instrumentor: Instrumentor, provider: TracerProvider) -> None:
    """Switches an instrumentor on.

    Raises:
        RuntimeError: It declined; OpenTelemetry's log says why.
    """
    instrumentor.instrument(tracer_provider=provider)
    if getattr(instrumentor, "is_instrumented_by_opentelemetry", True) is False:
        raise RuntimeError("it declined; the log of opentelemetry.instrumentation says why")
