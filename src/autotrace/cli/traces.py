"""`autotrace traces`: the newest traces, and one of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from autotrace.store.selection import ALL, Selection

from .choice import chosen
from .store import NEXT_STEP, opened_store
from .terminal import Failure, print_json

if TYPE_CHECKING:
    from autotrace.store.reader import Reader

#: Characters of a trace id that are asked for at least, and shown in the table.
SHORTEST_ID, SHORT_ID = 4, 8
_NONE = 'no trace begins with {!r}: "autotrace traces" lists them'


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array (docs/cli.md says what is in it).")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show at most so many.")
@chosen
@click.option("--search", metavar="WORDS", help="Only traces in which all these words were said.")
@click.option(
    "--filter",
    "filter_text",
    metavar="FILTER",
    help="Only traces that this is true of, such as 'status:error duration>3s' (docs/filters.md tells the language).",
)
@click.option(
    "--sort", metavar="FIELD", help="By what: start, duration, cost, ...; with - before it the largest first."
)
@click.pass_context
def traces(
    ctx: click.Context,
    as_json: bool,
    limit: int,
    selection: Selection,
    search: str | None,
    filter_text: str | None,
    sort: str | None,
) -> None:
    """List traces, newest first."""
    if ctx.invoked_subcommand is not None:
        return
    with opened_store() as (reader, config):
        if filter_text is not None or sort is not None:
            from .filtered import Wanted

            wanted = Wanted(selection, search, filter_text or "", sort or "-start")
            found = [] if reader is None else wanted.traces(reader, config.home, limit)
        else:
            found = [] if reader is None else reader.traces(limit, selection, search)
        if as_json:
            print_json([trace.as_json() for trace in found])
        elif reader is None:
            click.echo(NEXT_STEP.format(home=config.home))
        elif not found:
            is_any = selection == ALL and search is None and not filter_text
            click.echo(NEXT_STEP.format(home=config.home) if is_any else "No trace fits.")
        else:
            from .trace_view import print_table

            print_table(found)


@traces.command()
@click.argument("trace_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object (docs/cli.md says what is in it).")
@click.pass_context
def show(ctx: click.Context, trace_id: str, as_json: bool) -> None:
    """Show one trace in full: its tree, what was said, what went wrong.

    ID is a trace's id, or the beginning of it (at least four characters) where only one begins so.
    """
    with opened_store() as (reader, config):
        if reader is None:
            raise Failure(NEXT_STEP.format(home=config.home))
        found = reader.trace(one(reader, trace_id))
        if found is None:
            raise Failure(_NONE.format(trace_id))
        if as_json or (ctx.parent is not None and ctx.parent.params.get("as_json")):
            print_json(found.as_json())
        else:
            from .trace_view import print_trace

            print_trace(found)


def one(reader: Reader, trace_id: str) -> str:
    """The whole id of the one trace whose id begins so.

    Raises:
        Failure: There is none, or several.
    """
    if len(trace_id) < SHORTEST_ID:
        raise Failure(f"{trace_id!r} is too short: give at least {SHORTEST_ID} characters of the id")
    matches = reader.matches(trace_id)
    if len(matches) > 1:
        raise Failure(f"several traces begin with {trace_id}: {', '.join(matches[:5])}{', …' * (len(matches) > 5)}")
    if not matches:
        raise Failure(_NONE.format(trace_id))
    return matches[0]
