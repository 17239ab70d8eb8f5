"""The options by which traces are chosen, alike in every command that takes several."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from autotrace.store.selection import Selection

from .figures import when

_OPTIONS = (
    click.option(
        "--since", metavar="WHEN", callback=when, help="Only what began since then: 15m, 2h, 7d, or an ISO 8601 time."
    ),
    click.option("--errors", is_flag=True, help="Only traces in which something failed."),
    click.option("--environment", metavar="NAME", help="Only traces of this environment: production, development, ..."),
    click.option("--service", metavar="NAME", help="Only traces of this service."),
    click.option("--release", metavar="VERSION", help="Only traces of this release of it."),
    click.option("--session", metavar="ID", help="Only traces of this session."),
    click.option("--user", metavar="ID", help="Only traces of this user."),
)
_NAMES = ("errors", "environment", "service", "release", "session", "user")


def chosen(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options, and their values as its argument `selection`."""

    @wraps(command)
    def with_selection(*args: Any, since: int | None, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in _NAMES}
        return command(*args, selection=Selection(since_ns=since, **given), **kwargs)

    for option in reversed(_OPTIONS):
        with_selection = option(with_selection)
    return with_selection
