"""The entry points of the installed distributions, read without importlib.metadata.

Importing that takes many times as long as reading every entry_points.txt of an environment, and a program that uses no
traced framework must not pay for it. It is asked where the path holds more than folders.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from .names import normal

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_ENDS = (".dist-info", ".egg-info")
_FILE = "entry_points.txt"


class Entry:
    """One entry point of a distribution; without a distribution, a module of the project's own.

    Attributes:
        name: The module that wakes the plugin.
        value: The plugin's own module.
        distribution: The distribution's name, normalised; empty where there is none.
        version: Its version, as far as its folder tells.
        folder: Where its metadata lie.
        problem: Why its entry points cannot be read; then it has no name.
    """

    __slots__ = ("_found", "distribution", "folder", "name", "problem", "value", "version")

    def __init__(
        self, name: str, value: str, distribution: str = "", version: str = "", folder: str = "", problem: str = ""
    ) -> None:
        self.name = name
        self.value = value
        self.distribution = distribution
        self.version = version
        self.folder = folder
        self.problem = problem
        self._found: Any = None

    def metadata(self) -> Distribution | None:
        """The distribution as importlib.metadata knows it; None where there is none."""
        if self._found is None and self.folder:
            from importlib.metadata import PathDistribution
            from pathlib import Path

            self._found = PathDistribution(Path(self.folder))
        return self._found  # type: ignore[no-any-return]

    def load(self) -> Any:
        """Imports the plugin's module.

        Raises:
            ValueError: The value names none.
            Exception: Whatever its code raises.
        """
        from importlib.metadata import EntryPoint

        try:
            entry = EntryPoint(self.name, self.value, "autotrace")
            names_module = entry.pattern.match(self.value) is not None
        except ValueError:  # newer Pythons look at once
            names_module = False
        if not names_module:
            raise ValueError(f"its entry point names no module: {self.value!r}")
        return entry.load()


def entries(group: str) -> Iterator[Entry]:
    """The entry points of a group, in the order of the path: the first of one name is what Python would import.

    What cannot be read is an entry with a problem.
    """
    others = any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path)
    if others or any(os.path.isfile(folder) for folder in sys.path):  # noqa: PTH113 (no pathlib here)
        yield from _by_importlib(group)
        return
    for folder in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(folder or "."))  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            if name.endswith(_ENDS):
                yield from _of(os.path.join(folder or os.getcwd(), name), name, group)  # noqa: PTH118, PTH109


def _of(folder: str, name: str, group: str) -> Iterator[Entry]:
    try:
        with open(os.path.join(folder, _FILE), "rb") as file:  # noqa: PTH118, PTH123
            content = file.read()
    except OSError:  # most have none
        return
    if f"[{group}]".encode() not in content:  # most others have no plugin
        return
    distribution, version, *_ = [*name.rpartition(".")[0].split("-"), ""]
    about = normal(distribution), version, folder
    try:
        for key, value in _pairs(content.decode("utf-8"), group):
            yield Entry(key, value, *about)
    except ValueError as error:
        yield Entry("", "", *about, problem=f"its {_FILE} cannot be read: {error}")


def _pairs(text: str, group: str) -> Iterator[tuple[str, str]]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and line and not line.startswith(("#", ";")):
            key, equals, value = line.partition("=")
            if not equals or not key.strip():
                raise ValueError(f"line {number} is not `module = plugin`")
            yield key.strip(), value.strip()


def _by_importlib(group: str) -> Iterator[Entry]:
    from importlib.metadata import distributions

    for distribution in distributions():
        try:
            content = distribution.read_text(_FILE) or ""
            if f"[{group}]" not in content:
                continue
            folder = str(getattr(distribution, "_path", ""))
            name, version = distribution.name or "", distribution.version or ""
            for key, value in _pairs(content, group):
                entry = Entry(key, value, normal(name), version, folder)
                entry._found = distribution
                yield entry
        except Exception as error:  # noqa: BLE001 (files and finders that anybody may have written)
            path = str(getattr(distribution, "_path", "a distribution"))
            yield Entry("", path, problem=f"its {_FILE} cannot be read: {error}")
