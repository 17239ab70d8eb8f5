"""The installed instrumentors and what they trace, by metadata alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any, NamedTuple

GROUP = "opentelemetry_instrumentor"
OURS = "autotrace"

_EXTRA = re.compile(r"extra\s*==\s*['\"]instruments(?:-any)?['\"]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: Folders that distributions install beside what they are for.
_BESIDE = frozenset({"benchmarks", "docs", "examples", "scripts", "test", "tests"})


class Instrumentor(NamedTuple):
    """An instrumentor that is installed.

    Attributes:
        entry: Its entry point.
        distribution: Its distribution, in normal form.
        needs: The distributions that it depends on, in normal form.
        requires: The framework's distribution and the supported range; empty for a module of the standard library.
        framework: The framework's distribution, in normal form; empty likewise.
        module: The framework's module.
    """

    entry: metadata.EntryPoint
    distribution: str
    needs: frozenset[str]
    requires: str
    framework: str
    module: str


def found() -> tuple[list[Instrumentor], dict[str, str]]:
    """The instrumentors; and by name (a distribution's, a module's) the plugins of ours that trace something."""
    installed: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        # Of a damaged one some Pythons have no metadata, or none of that name.
        told: Any = distribution.metadata
        name = told.get("Name") if told else None
        if name:
            installed.setdefault(normal(name), distribution)
    instrumentors: list[Instrumentor] = []
    plugins: dict[str, str] = {}
    for name, distribution in installed.items():
        groups = distribution.read_text("entry_points.txt") or ""
        if f"[{GROUP}]" in groups:
            entries = distribution.entry_points.select(group=GROUP)
            instrumentors += [_instrumentor(entry, name, distribution, installed) for entry in entries]
        if f"[{OURS}]" in groups:
            for covered in _covered(name, distribution):
                plugins[covered] = name
    return instrumentors, plugins


def normal(name: str) -> str:
    """A distribution's or a module's name in normal form: `Foo_bar.baz` is `foo-bar-baz`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(distribution: metadata.Distribution) -> list[str]:
    """What a distribution's `instruments` extras name, without the markers."""
    return [text.partition(";")[0].strip() for text in distribution.requires or () if _EXTRA.search(text)]


def modules(files: Iterable[tuple[str, ...]]) -> dict[str, int]:
    """The outermost importable modules among installed files, by dotted name; and how many files each has."""
    parts = [one for one in files if not one[0].startswith((".", "_")) and one[0] not in _BESIDE]
    packages = {one[:-1] for one in parts if len(one) > 1 and one[-1] == "__init__.py"}
    outermost = {one for one in packages if not any(one[:end] in packages for end in range(1, len(one)))}
    counts = {".".join(one): sum(file[: len(one)] == one for file in parts) for one in outermost}
    return counts or {one[0][:-3]: 1 for one in parts if len(one) == 1 and one[0].endswith(".py")}


def framework_module(counts: dict[str, int], distribution: str, entry: str) -> str:
    """The module that is imported to use a framework: by the name of its distribution, of the instrumentor's entry
    point, or else the largest."""
    named = {normal(module): module for module in counts}
    largest = max(sorted(counts), key=lambda module: counts[module], default=distribution.replace("-", "_"))
    return named.get(distribution) or named.get(normal(entry)) or largest


def _instrumentor(
    entry: metadata.EntryPoint,
    name: str,
    distribution: metadata.Distribution,
    installed: dict[str, metadata.Distribution],
) -> Instrumentor:
    needs = frozenset(map(_distribution_of, (text for text in distribution.requires or () if "extra" not in text)))
    wanted = {_distribution_of(text): text for text in required(distribution)}
    framework = normal(entry.name)
    if framework not in wanted:
        framework = next((one for one in wanted if one in installed), next(iter(wanted), ""))
    if not framework and entry.name in sys.stdlib_module_names:
        return Instrumentor(entry, name, needs, "", "", entry.name)
    if not framework:  # some have no such extra: what goes by the entry point's name, if that is installed
        if normal(entry.name) not in installed:
            return Instrumentor(entry, name, needs, "", "", "")
        framework = normal(entry.name)
        wanted = {framework: framework}
    # `Distribution.files` makes a path of every line: most of the time that all this takes.
    record = installed[framework].read_text("RECORD") if framework in installed else None
    files = [tuple(line.partition(",")[0].split("/")) for line in (record or "").splitlines()]
    module = framework_module(modules(files), framework, entry.name)
    return Instrumentor(entry, name, needs, wanted[framework], framework, module)


def _covered(name: str, distribution: metadata.Distribution) -> Iterable[str]:
    """What a plugin of ours goes by: the framework's module and distribution, and its own name's end."""
    entries = [entry.name for entry in distribution.entry_points.select(group=OURS) if entry.name != "*"]
    if entries:
        yield name.removeprefix(f"{OURS}-")
        yield from map(normal, entries)
        yield from map(_distribution_of, required(distribution))


def _distribution_of(requirement: str) -> str:
    match = _NAME.match(requirement.strip())
    return normal(match[0]) if match else ""
