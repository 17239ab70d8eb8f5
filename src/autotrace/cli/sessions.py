"""`autotrace sessions`: conversations, by session or by user."""

from __future__ import annotations

import click

from autotrace.insights.people import SORTS, Kind, people
from autotrace.insights.scope import Scope

from .scoped import insights, scoped
from .stats import cost
from .terminal import console, first_line, print_json


@click.command()
@click.option("--users", "by_user", is_flag=True, help="By user instead.")
@click.option(
    "--sort", type=click.Choice(SORTS), default="last", show_default=True, help="Those with most of it first."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Show at most so many.")
@scoped
def sessions(scope: Scope, as_json: bool, by_user: bool, sort: str, limit: int) -> None:
    """List sessions, those seen last first: traces, errors, tokens, cost, feedback of each."""
    kind: Kind = "user" if by_user else "session"
    with insights(as_json) as found:
        rows = [] if found is None else people(found[0], scope, kind, f"-{sort}", limit=limit).rows
        if as_json:
            print_json(rows)
            return
        if found is None:
            return
        if not rows:
            click.echo(f"No trace of these names a {kind}: with autotrace.context({kind}=...): ...")
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        table.add_column(kind.upper(), no_wrap=True)
        if not by_user:
            table.add_column("USER", no_wrap=True)
        for name in ("TRACES", "FAILED", "TOKENS", "COST", "UP/DOWN"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("LAST SEEN", no_wrap=True)
        table.add_column("LATEST QUESTION", no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            names = [first_line(row[kind], 60)] + ([] if by_user else [first_line(row["user"], 40) or "-"])
            spent = cost(row["cost_usd"], row["unpriced"])
            figures = (f"{row['traces']:,}", f"{row['failed']:,}", f"{row['tokens']:,}", spent)
            thumbs = f"{row['up']}/{row['down']}" if row["up"] or row["down"] else "-"
            table.add_row(*names, *figures, thumbs, row["last"], first_line(row["request"], 80))
        console().print(table)
        if unpriced := sum(row["unpriced"] for row in rows):
            click.echo(f"{unpriced:,} of these traces are of unknown price, and not in the cost.")
