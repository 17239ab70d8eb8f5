"""`autotrace prune`: deletes old traces."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from autotrace import setting_values
from autotrace.errors import AutotraceError

from .figures import setting, size
from .store import settings, shown_log
from .terminal import Failure, print_json

if TYPE_CHECKING:
    from autotrace.store.retention import Pruned
    from autotrace.store.writer import Writer


@click.command()
@click.option(
    "--older-than",
    metavar="AGE",
    callback=setting(setting_values.duration),
    help="Delete traces that ended so long ago: 12h, 30d, 8w. Without it: what the setting store_age says.",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    callback=setting(setting_values.size),
    help="Delete the oldest traces until the store takes no more: 500MB, 5GB. Without it: store_size.",
)
@click.option("--dry-run", is_flag=True, help="Delete nothing, tell what would be deleted.")
@click.option("--vacuum", is_flag=True, help="Write the file anew, as small as can be; nobody can write meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object (docs/cli.md says what is in it).")
def prune(older_than: float | None, max_size: int | None, dry_run: bool, vacuum: bool, as_json: bool) -> None:
    """Delete old traces to free the disk.

    What was said of them goes too; the hourly figures stay. Programs may go on writing. What is not in the search
    index yet is put there.
    """
    found = settings()
    path = found.home / "traces.db"
    if older_than is None and max_size is None:
        older_than, max_size = found.store_age, found.store_size
    from autotrace.store.retention import Limits

    before_ns = None if older_than is None else time.time_ns() - round(older_than * 1e9)
    done: dict[str, Any] = {"traces": 0, "spans": 0, "feedback": 0, "bytes": 0, "bytes_left": 0}
    done.update(is_done=True, is_shrinkable=True)
    indexed = 0
    if path.exists():
        from autotrace.store.writer import Writer

        writer = Writer(path)
        try:
            with shown_log():
                pruned, indexed = _work(writer, Limits(before_ns, max_size), dry_run, vacuum)
        except AutotraceError as error:
            raise Failure(error) from error
        finally:
            writer.close()
        done = asdict(pruned)
    shown = {name: done[name] for name in ("traces", "spans", "feedback", "bytes", "bytes_left")}
    shown.update(indexed=indexed, dry_run=dry_run)
    if as_json:
        print_json(shown)
    else:
        click.echo(_told(shown))
    if not done["is_shrinkable"] and not dry_run and done["traces"] and not vacuum:
        click.echo("The file of an older autotrace keeps its size; --vacuum makes it small.", err=True)
    if not done["is_done"] and not dry_run:
        raise Failure(f"{path} still takes {size(done['bytes_left'])}: nothing is left that could be deleted")


def _work(writer: Writer, limits: Any, dry_run: bool, vacuum: bool) -> tuple[Pruned, int]:
    """What was deleted, and how many spans were indexed."""
    from autotrace.store.filling import fill
    from autotrace.store.reader import Reader
    from autotrace.store.retention import Pruning
    from autotrace.store.search import unfilled

    Reader(writer.path).close()  # one that is damaged is told, not put aside

    def work(connection: Any) -> tuple[Pruned, int]:
        pruning = Pruning(connection, writer.path)
        if dry_run:
            return pruning.forecast(limits), 0
        pruned = pruning.prune(limits, math.inf)
        before = unfilled(connection)
        fill(connection, writer.index(connection), math.inf)
        if vacuum:
            pruning.vacuum()
            pruned.bytes_left = pruning.disk_bytes()
        return pruned, before - unfilled(connection)

    return writer.work(work)


def _told(shown: dict[str, Any]) -> str:
    what = f"{shown['traces']:,} traces ({shown['spans']:,} spans, {shown['feedback']:,} pieces of feedback)"
    if shown["dry_run"]:
        return f"Would delete {what}; the store takes {size(shown['bytes'])}."
    more = f" Indexed {shown['indexed']:,} spans." if shown["indexed"] else ""
    return f"Deleted {what}; the store takes {size(shown['bytes_left'])}, before {size(shown['bytes'])}.{more}"
