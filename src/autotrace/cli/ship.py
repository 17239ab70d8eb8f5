"""`autotrace ship`: sends what the store holds to another destination."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import click

from autotrace.store.selection import Selection

from .choice import chosen
from .figures import patience
from .sending import Sender
from .store import NEXT_STEP, opened_store
from .terminal import Failure
from .traces import one

if TYPE_CHECKING:
    from autotrace.config import Config
    from autotrace.delivery.destinations import Destination

#: Traces that are sent and remembered at once.
_TRACES = 25


@click.command()
@click.option("--to", "name", metavar="DESTINATION", required=True, help="mlflow, otlp, console, or a plugin's.")
@chosen
@click.option("--trace", "traces", metavar="ID", multiple=True, help="Only this trace; may be given again.")
@click.option("--limit", type=click.IntRange(min=1), help="Send at most so many traces, the oldest first.")
@click.option("--again", is_flag=True, help="Send also what has been sent and has not changed.")
@patience
def ship(
    name: str, selection: Selection, traces: Sequence[str], limit: int | None, again: bool, timeout: float
) -> None:
    """Send traces of the store to another destination.

    With what was said of them: feedback, tags. A second run sends what is new or has changed. Traces that still run
    are left for it too.
    """
    if name == "store":
        raise click.UsageError("the traces are in the store already")
    with opened_store() as (reader, config):
        if reader is None:
            raise Failure(NEXT_STEP.format(home=config.home))
        ids = iter([one(reader, trace) for trace in traces]) if traces else reader.trace_ids(selection)
        destination = _made(name, config)
        sender = Sender(reader, destination, timeout)
        try:
            _send(sender, islice(sender.wanted(ids, again), limit))
        finally:
            destination.close()
            sender.close()
    click.echo(_told(sender, name))
    if sender.failed or sender.rejected:
        raise Failure(_problem(sender, name))


def _made(name: str, config: Config) -> Destination:
    from autotrace.activation import offered_destination
    from autotrace.delivery.destinations import known

    try:
        return known.make(name, config, offered_destination)
    except ValueError as error:
        raise Failure(error) from error


def _send(sender: Sender, chosen: Iterator[tuple[str, bytes]]) -> None:
    shows = sys.stderr.isatty()
    while some := list(islice(chosen, _TRACES)):
        sender.send(some)
        if shows:
            click.echo(f"\r{sender.sent:,} traces sent", err=True, nl=False)
        if sender.gave_up:
            break
    if shows:
        click.echo("", err=True)


def _told(sender: Sender, name: str) -> str:
    more = [f"{sender.unchanged:,} had been sent before"] if sender.unchanged else []
    more += [f"{sender.running:,} still run"] if sender.running else []
    return f"{sender.sent:,} traces sent to {name}{''.join(f', {text}' for text in more)}."


def _problem(sender: Sender, name: str) -> str:
    problems = []
    if sender.failed:
        problems.append(f"{sender.failed:,} traces could not be sent: {sender.reason}; the next run sends them")
    if sender.rejected:
        problems.append(f"{name} refused {sender.rejected:,} records for good")
    return "; ".join(problems)
