"""The options of commands that tell of many traces, and what they ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click

from autotrace.errors import AutotraceError
from autotrace.insights import ranges
from autotrace.insights.opening import opened
from autotrace.insights.parts import Memory
from autotrace.insights.scope import Scope
from autotrace.insights.view import Insights

from .figures import when
from .filtered import _Told as Told
from .store import NEXT_STEP, opened_store
from .terminal import Failure, warn

#: How far back is looked where nobody says.
_BACK_NS = 7 * ranges.DAY_NS
#: What SQLite can count to: in the year 2262.
_LATEST_NS = 2**63 - 1

_OPTIONS = (
    click.option(
        "--since", metavar="WHEN", callback=when, help="From then on: 1h, 7d, or an ISO 8601 time. [default: 7d]"
    ),
    click.option("--until", metavar="WHEN", callback=when, help="Until then. [default: now]"),
    click.option("--environment", metavar="NAME", help="Only traces of this environment: production, development, ..."),
    click.option("--service", metavar="NAME", help="Only traces of this service."),
    click.option("--release", metavar="VERSION", help="Only traces of this release of it."),
    click.option("--model", metavar="NAME", help="Only traces that call this model."),
    click.option("--user", metavar="ID", help="Only traces of this user."),
    click.option("--session", metavar="ID", help="Only traces of this session."),
    click.option("--tag", metavar="KEY=VALUE", help="Only traces with this tag."),
    click.option(
        "--filter",
        metavar="TEXT",
        default="",
        help='Only traces that fit: "duration>3s AND feedback:down" (docs/filters.md).',
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/cli.md says what is in it)."),
)
_NAMES = ("environment", "service", "release", "model", "user", "session", "tag", "filter")


def scoped(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options, as its arguments `scope` and `as_json`."""

    @wraps(command)
    def with_scope(*args: Any, since: int | None, until: int | None, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in _NAMES}
        end = time.time_ns() + 1 if until is None else until
        start = end - _BACK_NS if since is None else since
        if start >= end:
            raise click.UsageError("--until is before --since")
        start, end = (min(max(moment, 0), _LATEST_NS) for moment in (start, end))
        return command(*args, scope=Scope(start, end, **given), **kwargs)

    for option in reversed(_OPTIONS):
        with_scope = option(with_scope)
    return with_scope


@contextmanager
def insights(as_json: bool) -> Iterator[tuple[Insights, Memory] | None]:
    """Questions to the configured store, brought up to date; None where there is no store, which is told.

    Raises:
        Failure: The store cannot be read.
    """
    with opened_store() as (reader, config):
        if reader is None:
            if not as_json:
                click.echo(NEXT_STEP.format(home=config.home))
            yield None
            return
        try:
            with opened(config.home, Told()) as found:
                yield found, Memory()
                for note in found.notes:
                    warn(note)
        except AutotraceError as error:
            raise Failure(error) from error
