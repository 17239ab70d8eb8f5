"""What `autotrace doctor` shows in a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .figures import local_time
from .terminal import console, first_line, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from .doctor import Examination

#: Processes that are shown; --json has all.
PROCESSES = 10


def print_examination(found: Examination) -> None:
    """Prints what was looked at, and at the end what was found."""
    out = console()
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in found.versions.items())
    out.print(visible(versions))
    free = "unknown" if found.home.free_bytes is None else _size(found.home.free_bytes)
    where = "" if found.home.exists else " (not there yet)"
    out.print(visible(f"home {found.home.path}{where}, {free} free"))
    schema = "not there yet" if not found.store.exists else f"schema {found.store.schema or 'unknown'}"
    out.print(visible(f"store {found.store.path}: {schema}"))
    _program(out, found)
    _settings(out, found)
    _plugins(out, found)
    _destinations(out, found)
    _processes(out, found)
    _findings(out, found)


def _program(out: Console, found: Examination) -> None:
    program, hook = found.program, found.hook
    for name in ("environment", "service", "release"):
        value, source = getattr(program, name), getattr(program, f"{name}_source")
        out.print(visible(f"{name} {value}: {source}" if value else f"{name} not known"), soft_wrap=True)
    out.print(visible(f"hook {hook.path}: {_HOOKS.get(hook.state, hook.state)}"), soft_wrap=True)


_HOOKS = {"absent": "not installed", "installed": "installed, AUTOTRACE=1 switches tracing on"}


def _settings(out: Console, found: Examination) -> None:
    table = _table("SETTING", "VALUE", "SOURCE")
    for row in found.settings:
        value = ", ".join(row.value) if isinstance(row.value, list) else row.value
        _row(table, row.name, "" if value is None else value, row.source)
    _print(out, table)


def _plugins(out: Console, found: Examination) -> None:
    if not found.plugins:
        out.print("\nNo plugin is installed: pip install 'autotrace-ai[openai]'", soft_wrap=True)
        return
    table = _table("PLUGIN", "FRAMEWORK", "SUPPORTED", "STATE", "HOOK POINTS")
    for plugin in found.plugins:
        installed = plugin["framework_version"] or ("not installed" if plugin["supported"] else "")
        _row(
            table,
            f"{plugin['distribution']} {plugin['version']}".rstrip(),
            f"{plugin['name']} {installed}".rstrip(),
            plugin["supported"],
            plugin["state"],
            _counts(plugin["hook_points"]),
        )
    _print(out, table)
    for plugin in found.plugins:
        if plugin["choice"]:
            out.print(visible(f"{plugin['distribution']}: {plugin['choice']}"), soft_wrap=True)


def _counts(points: list[dict[str, Any]]) -> str:
    counts = Counter(point["state"] for point in points)
    shown = [
        f"{counts[state]} {state}"
        for state in ("found", "missing", "replaced", "absent", "waiting", "off")
        if counts[state]
    ]
    wrapped = sum(bool(point["wrapped_by"]) for point in points)
    return ", ".join([*shown, *([f"{wrapped} wrapped by others too"] if wrapped else [])])


def _destinations(out: Console, found: Examination) -> None:
    table = _table("DESTINATION", "WAITING", "DELIVERED", "LOST", "REFUSED", "LAST DELIVERY", "LAST ERROR")
    for state in found.destinations:
        waiting = f"{state.queued_records:,} records, {_size(state.queued_bytes)}" if state.queued_bytes else "nothing"
        last = "-" if state.last_delivery is None else local_time(state.last_delivery)
        counts = (f"{count:,}" for count in (state.delivered, state.dropped, state.rejected))
        _row(table, state.name, waiting, *counts, last, first_line(state.last_error))
    _print(out, table)


def _processes(out: Console, found: Examination) -> None:
    if not found.processes:
        return
    table = _table("PROCESS", "STATE", "PROGRAM", "ENVIRONMENT", "PLATFORM", "TOLD", "LOST", "DAMAGED", "FAILURES")
    for process in found.processes[:PROCESSES]:
        failures = sum(failure.count for failure in process.failures)
        _row(
            table,
            process.pid,
            process.state,
            first_line(process.program, 60),
            first_line(process.environment, 24) or "-",
            first_line(process.platform, 24) or "-",
            local_time(process.written),
            process.dropped,
            process.damaged,
            failures,
        )
    _print(out, table)
    if len(found.processes) > PROCESSES:
        out.print(f"and {len(found.processes) - PROCESSES} older ones: --json has them", soft_wrap=True)


def _findings(out: Console, found: Examination) -> None:
    out.print()
    for finding in found.findings:
        out.print(visible(f"{finding.level}: {finding.about}: {finding.problem}"), soft_wrap=True)
        out.print(visible(f"    {finding.what_to_do}"), soft_wrap=True)
    if found.is_well:
        out.print("Everything is as it should be.", soft_wrap=True)


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _row(table: Table, *cells: object) -> None:
    from rich.text import Text

    table.add_row(*(Text(visible(cell)) for cell in cells))


def _print(out: Console, table: Table) -> None:
    out.print()
    out.print(table)


def _size(bytes_: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if bytes_ < 1024:
            return f"{bytes_:,} {unit}"
        bytes_ //= 1024
    return f"{bytes_:,} GiB"
