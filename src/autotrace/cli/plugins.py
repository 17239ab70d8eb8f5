"""`autotrace plugins`: which frameworks are traced, and why one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .store import find_local, settings
from .terminal import print_json, visible

if TYPE_CHECKING:
    from autotrace.host.status import PluginStatus

_STYLES = {"active": "green", "waiting": "cyan", "failed": "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array (docs/cli.md says what is in it).")
@click.option(
    "--all", "with_core", is_flag=True, help="Also what autotrace itself traces: applications, workers, clients."
)
def plugins(as_json: bool, with_core: bool) -> None:
    """List the plugins and the frameworks that they trace."""
    from autotrace.activation import plugin_statuses

    settings()
    find_local()
    found = plugin_statuses(with_core=True) if with_core else plugin_statuses()
    if as_json:
        print_json([plugin_json(status) for status in found])
    elif found:
        _print_table(found)
    else:
        click.echo("No plugin is installed: pip install 'autotrace-ai[openai]'")


def plugin_json(status: PluginStatus) -> dict[str, Any]:
    """The object that `autotrace plugins --json` prints for a plugin."""
    return {name: getattr(status, name) for name in status.__dataclass_fields__}


def _print_table(found: list[PluginStatus]) -> None:
    from rich.table import Table
    from rich.text import Text

    from .terminal import console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("FRAMEWORK", "INSTALLED", "SUPPORTED", "STATE", "PLUGIN"):
        table.add_column(title, no_wrap=True)
    table.add_column("REASON", ratio=1)
    for status in found:
        table.add_row(
            Text(visible(status.name)),
            Text(visible(status.framework_version or ("not installed" if status.supported else ""))),
            Text(visible(status.supported)),
            Text(visible(status.state), style=_STYLES.get(status.state, "yellow")),
            Text(visible(f"{status.distribution} {status.version}")),
            Text(visible("\n".join([*filter(None, [status.reason, status.choice]), *status.warnings]))),
        )
    console().print(table)
