"""What a plugin's metadata requires: a framework within a range, and an autotrace that it was written for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._version import __version__
from .entries import Entry
from .names import normal

#: The extra of a plugin's distribution that names its framework and the supported range.
EXTRA = "instruments"
#: The core's own distribution.
CORE = "autotrace-ai"
#: Operators of a version specifier that ask for at least that version.
_AT_LEAST = frozenset({">=", ">", "==", "~=", "==="})


class Requirements:
    """The requirements of one distribution, read when they are first asked for.

    Never raises: what makes no sense counts as not said.

    Args:
        entry: The plugin's entry point.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._framework: Any = None
        self._core: Any = None
        self._is_read = False

    @property
    def framework(self) -> Any:
        """What the `instruments` extra requires, as a packaging Requirement; None when it says nothing."""
        self._read()
        return self._framework

    def framework_version(self) -> str | None:
        """The framework's installed version; None when it is not installed or not named."""
        if self.framework is None:
            return None
        return version_of(str(self.framework.name))

    def unsupported_framework(self, plugin: str) -> str | None:
        """What is installed and what `plugin` supports, where they do not fit; None when all is well."""
        requirement, version = self.framework, self.framework_version()
        if requirement is None or version is None or _contains(requirement.specifier, version):
            return None
        return f"{requirement.name} {version} is installed; {plugin} supports {requirement.specifier}"

    def core(self) -> str:
        """Which autotrace the plugin wants, e.g. `autotrace-ai>=0.1`; empty when it does not say."""
        self._read()
        return "" if self._core is None else f"{CORE}{self._core.specifier}"

    def fits_core(self) -> bool:
        """Whether this autotrace is one that the plugin wants."""
        self._read()
        return self._core is None or _contains(self._core.specifier, __version__)

    def wants_newer_core(self) -> bool:
        """Whether the plugin wants an autotrace newer than this one."""
        from packaging.version import InvalidVersion, Version

        if self.fits_core():
            return False
        for specifier in self._core.specifier:
            try:
                if specifier.operator in _AT_LEAST and Version(specifier.version.removesuffix(".*")) > Version(
                    __version__
                ):
                    return True
            except InvalidVersion:
                continue
        return False

    def _read(self) -> None:
        if self._is_read:
            return
        self._is_read = True
        for requirement in self._all():
            if _holds(requirement, "") and normal(requirement.name) == CORE:
                self._core = self._core or requirement
            elif self._framework is None and _holds(requirement, EXTRA) and not _holds(requirement, ""):
                self._framework = requirement

    def _all(self) -> Iterator[Any]:
        distribution = self._entry.metadata()
        if distribution is None:
            return
        from packaging.requirements import InvalidRequirement, Requirement

        for text in distribution.requires or ():
            try:
                yield Requirement(text)
            except InvalidRequirement:
                continue


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None when it is not installed."""
    from importlib import metadata

    try:
        return str(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return None


def _holds(requirement: Any, extra: str) -> bool:
    """Whether the requirement holds here, with that extra."""
    if requirement.marker is None:
        return True
    try:
        return bool(requirement.marker.evaluate({"extra": extra}))
    except Exception:  # noqa: BLE001 (packaging has several errors for markers that make no sense)
        return False


def _contains(specifier: Any, version: str) -> bool:
    try:
        return bool(specifier.contains(version, prereleases=True))
    except ValueError:  # a version that is none: nothing can be said against it
        return True
