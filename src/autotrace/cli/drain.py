"""`autotrace drain`: delivers what processes that ended have left, and exits: for jobs, sidecars and cron."""

from __future__ import annotations

import click

from autotrace import activation
from autotrace.delivery.outlets import Outlet
from autotrace.delivery.pipeline import drainer_of
from autotrace.delivery.queue import Queue, queues, strangers

from .figures import patience
from .store import find_local, settings, shown_log
from .terminal import print_json, warn


@click.command()
@patience
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object (docs/cli.md says what is in it).")
def drain(timeout: float, as_json: bool) -> None:
    """Deliver what ended processes have left, and exit.

    It goes where those processes would have sent it, as far as the settings here know the destination (a password,
    say, must be set). What processes that still run have journalled is theirs to deliver. Exit status 1: something
    is left that belongs to no running process.
    """
    found = settings()
    find_local()
    folder = found.home / "journal"
    with shown_log():
        drainer = drainer_of(found, activation.offered_destination)
        try:
            is_done = drainer.adopt(timeout, gives_up=False)
        finally:
            drainer.close(0.0)
    unknown = strangers(folder, found.destination)
    left = [queue for queue in queues(folder, found.destination) if queue.records]
    _report(drainer.outlets, left, unknown, as_json)
    if not is_done or unknown:
        raise SystemExit(1)


def _report(outlets: list[Outlet], left: list[Queue], unknown: dict[str, int], as_json: bool) -> None:
    for name, records in unknown.items():
        warn(f"{records:,} records wait for the destination {name}, which the settings here do not name")
    waiting = {queue.destination: queue.records for queue in left}
    told = [outlet.health() for outlet in outlets]
    if as_json:
        print_json(
            [
                {
                    "destination": one.name,
                    "delivered": one.delivered,
                    "left": waiting.get(one.name, 0),
                    "dropped": one.dropped,
                    "rejected": one.rejected,
                    "last_error": one.last_error if one.failures else None,
                }
                for one in told
            ]
        )
        return
    for one in told:
        click.echo(f"{one.name}: {one.delivered:,} records delivered, {waiting.get(one.name, 0):,} left")
        if one.failures:
            warn(f"destination {one.name}: {one.last_error}")
