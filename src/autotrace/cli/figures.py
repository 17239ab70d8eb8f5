"""Durations, tokens, money and times as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import click

from autotrace import setting_values
from autotrace.store.spans import moment

from .terminal import visible

T = TypeVar("T")

_SPAN = re.compile(r"([0-9]+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(ms: float | None) -> str:
    """Milliseconds as `0.4 ms`, `340 ms`, `1.24 s`, `3 m 12 s`, `2 h 05 m`; `-` for None."""
    if ms is None:
        return "-"
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_995:
        return f"{ms / 1000:.2f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def tokens(sent: int | None, received: int | None) -> str:
    """`1,234/56`: sent and received; `-` for what is not known."""
    if sent is None and received is None:
        return "-"
    return "/".join("-" if count is None else f"{count:,}" for count in (sent, received))


def money(usd: float | None) -> str:
    """US dollars: `$1.23`, `$0.0345`, `$0.000172`; `?` for unknown."""
    if usd is None:
        return "?"
    if usd == 0:
        return "$0"
    if usd < 0.000001:
        return "<$0.000001"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}" if usd >= 0.01 else f"${usd:.6f}"


def local_time(time_ns: int) -> str:
    """Nanoseconds since 1970 as local time to the second."""
    try:
        return moment(time_ns).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "?"


def when(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A point in time, in nanoseconds since 1970.

    Args:
        ctx: Click's.
        param: The option.
        value: ISO 8601 (local unless it names an offset), or how long ago: `15m`, `2h`, `7d`.

    Raises:
        click.BadParameter: It is neither.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        span = _SPAN.fullmatch(text.lower())
        if span:
            found = datetime.now(timezone.utc) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        else:
            # Python 3.10 does not read the Z.
            found = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        problem = f"{visible(value)!r} is neither a time like 2026-11-23T14:00 nor a span like 15m, 2h or 7d"
        raise click.BadParameter(problem, ctx, param) from None
    return (found - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) * 1000


def size(count: int) -> str:
    """Bytes as `0 B`, `512 B`, `4.1 MB`, `5.0 GB`."""
    if count < 1000:
        return f"{count} B"
    power = next((power for power in (1, 2, 3) if count < 999.95 * 1000**power), 4)
    return f"{count / 1000**power:.1f} {'kMGT'[power - 1]}B"


def setting(read: Callable[[Any], T]) -> Callable[[click.Context, click.Parameter, Any], T | None]:
    """An option's callback that reads a value as the setting of its kind is read."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> T | None:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise click.BadParameter(visible(error), ctx, param) from None

    return callback


#: The option of commands that deliver.
patience = click.option(
    "--timeout",
    metavar="TIME",
    default="60s",
    show_default=True,
    callback=setting(setting_values.duration),
    help="How long a destination that takes nothing is tried again: 30s, 5m, 1h.",
)
