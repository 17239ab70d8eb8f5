"""`autotrace failures`: what goes wrong, in groups that are alike."""

from __future__ import annotations

import click

from autotrace.insights.failure_list import failure_list
from autotrace.insights.failures import KINDS
from autotrace.insights.scope import Scope

from .scoped import insights, scoped
from .stats import share
from .terminal import console, first_line, print_json


@click.command()
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only failures of this kind.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Show at most so many groups."
)
@scoped
def failures(scope: Scope, as_json: bool, kind: str | None, limit: int) -> None:
    """Tell what went wrong, by groups that are alike; those of most traces first.

    Alike are failures of one kind, type, place, model and message, without numbers and ids.
    """
    with insights(as_json) as found:
        told = None if found is None else failure_list(*found, scope, kind, limit)
        if as_json:
            print_json(told)
            return
        if told is None:
            return
        from rich.table import Table

        if told["note"]:
            click.echo(told["note"])
        if not told["groups"]:
            click.echo(f"Nothing failed in {told['traces']:,} traces.")
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("KIND", "WHAT", "WHERE"):
            table.add_column(name, overflow="fold")
        for name in ("TRACES", "RATE", "USERS"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("LAST SEEN", no_wrap=True)
        for group in told["groups"]:
            what = ": ".join(first_line(group[name], 100) for name in ("type", "message") if group[name])
            where = " ".join(first_line(group[name], 60) for name in ("place", "model") if group[name])
            figures = (f"{group['traces']:,}", share(group["rate"]), f"{group['users']:,}")
            table.add_row(group["kind"], what or "-", where, *figures, group["last_seen"])
        console().print(table)
        if told["groups_left"]:
            click.echo(f"{told['groups_left']:,} rarer groups are not shown: --limit, --kind")
