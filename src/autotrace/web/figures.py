"""Figures and times as people read them."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

NONE = "–"


def count(value: float | None) -> str:
    """A count: 950, 12.3k, 4.56M."""
    if value is None:
        return NONE
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{_three(value / (1e3 if unit == 'k' else size))}{unit}"
    return f"{value:,.0f}"


def duration(ms: float | None) -> str:
    """A duration given in milliseconds: 0.4 ms, 820 ms, 3.2 s, 4 m 10 s, 2 h 5 m."""
    if ms is None:
        return NONE
    if ms < 1000:
        return f"{_three(ms)} ms"
    if ms < 60_000:
        return f"{_three(ms / 1000)} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    if minutes < 60:
        return f"{minutes} m {seconds} s"
    return f"{minutes // 60} h {minutes % 60} m"


def usd(value: float | None) -> str:
    """A cost: $0.00042, $0.12, $1,234."""
    if value is None:
        return NONE
    if value == 0:
        return "$0"
    if abs(value) < 0.01:
        return f"${value:.{min(1 - math.floor(math.log10(abs(value))), 12)}f}".rstrip("0")
    return f"${value:,.2f}" if abs(value) < 1000 else f"${value:,.0f}"


def share(value: float | None) -> str:
    """A part of a whole: 0.04 %, 3.1 %, 100 %."""
    if value is None:
        return NONE
    percent = value * 100
    if percent == 0 or percent >= 99.95:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.2f} %"


def change(value: float | None) -> str:
    """A change, as a share of what was before: +12 %, −3.4 %, ×5.2."""
    if value is None or not math.isfinite(value):
        return NONE
    if value >= 2:
        return f"×{_three(value + 1)}"
    percent = abs(value) * 100
    return f"{'+' if value >= 0 else '−'}{percent:.{0 if percent >= 9.95 else 1}f} %"


def moment(text: str | None) -> str:
    """A time as ISO 8601 tells it, in short: 24 Nov 18:30, with the year where it is another."""
    found = _parsed(text)
    if found is None:
        return NONE
    year = "" if found.year == datetime.now(timezone.utc).year else f" {found.year}"
    return f"{found.day} {found:%b}{year} {found:%H:%M}"


def exactly(text: str | None) -> str:
    """A time as ISO 8601 tells it, to the second."""
    found = _parsed(text)
    return NONE if found is None else f"{found:%Y-%m-%d %H:%M:%S} UTC"


def field(text: str | None) -> str:
    """A time as ISO 8601 tells it, as a field of a form holds it: in UTC, without seconds where they are none."""
    found = _parsed(text)
    if found is None:
        return ""
    found = found.astimezone(timezone.utc)
    return f"{found:%Y-%m-%dT%H:%M:%S}" if found.second else f"{found:%Y-%m-%dT%H:%M}"


def ago(text: str | None) -> str:
    """How long ago a time is: 12 s, 5 min, 3 h, 9 days."""
    found = _parsed(text)
    if found is None:
        return NONE
    seconds = (datetime.now(timezone.utc) - found).total_seconds()
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s ago"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / 86400:.0f} days ago"


def _parsed(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def _three(value: float) -> str:
    """Three digits that count, but for a whole number all of it."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")
