"""From what became of the plugins to findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autotrace.host.status import HookPoint, PluginStatus

from .findings import Finding


def plugin_findings(statuses: Sequence[PluginStatus], points: Sequence[HookPoint]) -> Iterator[Finding]:
    """What is wrong with plugins and their hook points.

    Args:
        statuses: Every installed plugin, tried on its framework.
        points: The hook points of those that were loaded.
    """
    for status in statuses:
        about = f"plugin {status.distribution}"
        if status.state == "failed":
            yield Finding("problem", about, status.reason, _if_failed(status))
        elif status.state == "unsupported":
            yield Finding("problem", about, status.reason, _versions(status))
        elif status.state == "waiting" and status.framework_version is not None:
            installed = f"{status.framework_distribution} {status.framework_version}"
            yield Finding(
                "problem", about, f"{installed} cannot be imported", f"Try it: python -c 'import {status.name}'"
            )
        for warning in status.warnings:
            finding = _warning(about, warning)
            if finding is not None:
                yield finding
    for point in points:
        yield from _point_findings(point)


def _if_failed(status: PluginStatus) -> str:
    if not status.version:  # a module of the project's own
        return "Mend the module, or take it out of the setting `plugins`."
    return f"Upgrade it, tell its author, or uninstall {status.distribution}."


def _versions(status: PluginStatus) -> str:
    upgrade = f"Upgrade {status.distribution}"
    if not status.supported:
        return f"{upgrade}, or autotrace-ai."
    return f'{upgrade}, or install what it supports: pip install "{status.framework_distribution}{status.supported}"'


def _warning(about: str, warning: str) -> Finding | None:
    if warning.startswith("another version is hidden"):
        return Finding("note", about, warning, "Uninstall the one that you do not want.")
    if warning.startswith("it was made for"):
        return Finding("note", about, warning, "Upgrade it if there is a newer release.")
    return None  # of a hook point, which tells more itself


def _point_findings(point: HookPoint) -> Iterator[Finding]:
    about = f"plugin {point.distribution}"
    if point.state == "missing":
        yield Finding(
            "problem",
            about,
            f"{point.target} is missing: its calls are not traced",
            f"Upgrade or mend {point.distribution}, or install a release of {point.framework} that has it.",
        )
    if point.wrapped_by:
        names = ", ".join(point.wrapped_by)
        yield Finding(
            "note",
            about,
            f"{point.target} is also wrapped by {names}",
            f"Nothing, if you want both; else switch that tool off, or set AUTOTRACE_DISABLE={point.framework}.",
        )
