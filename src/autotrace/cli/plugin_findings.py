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
        elif status.state == "active" and status.reason:
            yield Finding("note", about, status.reason, "See that its instrumentations() returns a list of them.")
        for warning in status.warnings:
            finding = _warning(about, warning)
            if finding is not None:
                yield finding
    for point in points:
        yield from _point_findings(point)


def complaint_findings(complaints: Sequence[str], findings: Sequence[Finding]) -> Iterator[Finding]:
    """What a program would be told when the plugins wake, as far as nothing else tells it."""
    for text in complaints:
        if not any(finding.problem in text for finding in findings):
            yield Finding(
                "problem", "settings", text, "Mend or remove it; docs/configuration.md and the plugin's README."
            )


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
    if point.state == "replaced":
        by = f" (by {', '.join(point.wrapped_by)})" if point.wrapped_by else ""
        yield Finding(
            "problem",
            about,
            f"{point.target} was replaced after it was patched{by}: its calls are not traced",
            "See what else patches it when it is imported, and have that call what it finds there.",
        )
    elif point.wrapped_by:
        names = ", ".join(point.wrapped_by)
        yield Finding(
            "note",
            about,
            f"{point.target} is also wrapped by {names}",
            f"Nothing, if you want both; else switch that tool off, or set AUTOTRACE_DISABLE={point.framework}.",
        )
