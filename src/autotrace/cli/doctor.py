"""`autotrace doctor`: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from .delivery_findings import DestinationState, delivery_findings, destination_states
from .description import Description, Hook, describe, hook_findings, look_at_hook
from .findings import Finding
from .store import find_local
from .surroundings import (
    Home,
    SettingRow,
    Store,
    look_at_home,
    look_at_store,
    setting_finding,
    setting_rows,
    surrounding_findings,
    unclaimed_findings,
    versions,
)
from .terminal import print_json

if TYPE_CHECKING:
    from pathlib import Path

    from autotrace.delivery.health import ProcessHealth


#: What to do where a setting names a plugin that is not there.
NAME_IT = "Name one that is there, or install it; meanwhile the default rule chooses (docs/configuration.md)."


@dataclass(frozen=True)
class Examination:
    """All that was looked at, and what was found.

    Attributes:
        versions: Of what autotrace is built on.
        home: The folder of the journal and the store.
        store: The store's file.
        program: How a program that is started here would be described.
        hook: The file that lets AUTOTRACE=1 switch tracing on here.
        settings: Each with its source.
        plugins: Each as `autotrace plugins --json` has it, and its hook points.
        destinations: What is known of each.
        processes: How the traced processes fare, newest first.
        findings: Problems first.
    """

    versions: dict[str, str | None]
    home: Home
    store: Store
    program: Description
    hook: Hook
    settings: list[SettingRow]
    plugins: list[dict[str, Any]]
    destinations: list[DestinationState]
    processes: list[ProcessHealth]
    findings: list[Finding]

    @property
    def is_well(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.level == "problem" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints; docs/cli.md documents its keys."""
        return {
            "ok": self.is_well,
            "versions": self.versions,
            "home": asdict(self.home),
            "store": {name: getattr(self.store, name) for name in ("path", "exists", "schema", "problem")},
            "program": asdict(self.program),
            "hook": asdict(self.hook),
            "settings": [asdict(row) for row in self.settings],
            "plugins": self.plugins,
            "destinations": [_times(asdict(state)) for state in self.destinations],
            "processes": [_process_json(process) for process in self.processes],
            "findings": [asdict(finding) for finding in self.findings],
        }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object (docs/cli.md says what is in it).")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say whether all is well, and what to do if it is not.

    The exit status is 1 where something is wrong.
    """
    found = examine()
    if as_json:
        print_json(found.as_json())
    else:
        from .doctor_view import print_examination

        print_examination(found)
    ctx.exit(0 if found.is_well else 1)


def examine() -> Examination:
    """Looks at everything. Frameworks that are installed are imported; nothing is delivered or changed."""
    from autotrace import config

    settings = config.load()
    home, store = look_at_home(settings.home), look_at_store(settings.home / "traces.db")
    program, hook = describe(settings), look_at_hook()
    findings = [*surrounding_findings(settings, home, store), *hook_findings(hook, settings.variables)]
    plugins, of_plugins = _plugins()
    known = {finding.problem for finding in findings}
    findings += [one for one in of_plugins if not any(problem in one.problem for problem in known)]
    findings += unclaimed_findings(settings, _names(plugins))
    processes, unreadable = _processes(settings.home / "journal")
    destinations = _destinations(settings, processes)
    findings += delivery_findings(processes, destinations, unreadable, time.time_ns())
    findings.sort(key=lambda finding: finding.level != "problem")
    rows = setting_rows(settings)
    return Examination(versions(), home, store, program, hook, rows, plugins, destinations, processes, findings)


def _plugins() -> tuple[list[dict[str, Any]], list[Finding]]:
    from autotrace import activation

    from .plugin_findings import complaint_findings, plugin_findings
    from .plugins import plugin_json

    find_local()
    # What is logged for a program is a finding here.
    logging.getLogger("autotrace").addHandler(logging.NullHandler())
    # Frameworks, and plugins, may print when they are imported: what we print is JSON, perhaps.
    with _stdout_as_stderr():
        statuses, points = activation.plugin_statuses(), activation.hook_points()
    rows = [
        {
            **plugin_json(status),
            "hook_points": [
                {"target": point.target, "state": point.state, "wrapped_by": list(point.wrapped_by)}
                for point in points
                if (point.distribution, point.framework) == (status.distribution, status.name)
            ],
        }
        for status in statuses
    ]
    names = [setting_finding(problem, NAME_IT) for problem in activation.plugin_problems()]
    findings = [*names, *plugin_findings(statuses, points)]
    return rows, [*findings, *complaint_findings(activation.complaints(), findings)]


@contextlib.contextmanager
def _stdout_as_stderr() -> Iterator[None]:
    """Sends to stderr what is printed, by C code and by other processes as well."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # closed: nothing can be printed there
        kept = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _names(plugins: Sequence[dict[str, Any]]) -> list[str]:
    from autotrace import activation

    return sorted({str(plugin["name"]) for plugin in plugins} | activation.plugin_names())


def _processes(folder: Path) -> tuple[list[ProcessHealth], dict[str, str]]:
    from autotrace.delivery import health

    processes, unreadable = [], {}
    for path in health.files(folder):
        try:
            processes.append(health.read(path))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            unreadable[str(path)] = str(error)
    return processes, unreadable


def _destinations(settings: Any, processes: Sequence[ProcessHealth]) -> list[DestinationState]:
    from autotrace.delivery.queue import queues

    offsets = {file: given for process in processes for file, given in process.offsets.items()}
    return destination_states(queues(settings.home / "journal", settings.destination, offsets), processes)


def _process_json(process: ProcessHealth) -> dict[str, Any]:
    found = asdict(process)
    del found["offsets"]
    found["state"] = process.state
    found["destinations"] = [_times(one) for one in found["destinations"]]
    return _times(found)


def _times(found: dict[str, Any]) -> dict[str, Any]:
    """With moments as ISO 8601 in UTC, as everywhere in the commands' JSON."""
    for key in ("started", "written", "last_delivery"):
        if found.get(key) is not None:
            found[key] = _moment(found[key])
    return found


def _moment(time_ns: int) -> str | None:
    try:
        moment = datetime.fromtimestamp(time_ns / 1e9, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
