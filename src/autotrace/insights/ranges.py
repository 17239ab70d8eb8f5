"""Ranges of time, and the buckets that they are drawn and counted in. All of it in UTC."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timezone

SECOND_NS = 10**9
MINUTE_NS, HOUR_NS, DAY_NS = 60 * SECOND_NS, 3600 * SECOND_NS, 86400 * SECOND_NS
#: Up to so long a range, buckets of this width: some twenty to fifty of them.
_WIDTHS = (
    (2 * HOUR_NS, 5 * MINUTE_NS),
    (6 * HOUR_NS, 15 * MINUTE_NS),
    (36 * HOUR_NS, HOUR_NS),
    (8 * DAY_NS, 6 * HOUR_NS),
    (100 * DAY_NS, DAY_NS),
    (750 * DAY_NS, 7 * DAY_NS),
)
_LONGEST_NS = 30 * DAY_NS
#: Buckets that a long range has at most, and one that is cut.
_MOST = 100
_UNITS = {"m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS, "w": 7 * DAY_NS}
_RELATIVE = re.compile(r"([1-9][0-9]{0,3})([mhdw])")


def width_ns(length_ns: int) -> int:
    """The width of the buckets of a range of this length, in ns: months, and so many at once that they can be drawn."""
    months = max(-(-length_ns // (_MOST * _LONGEST_NS)), 1)
    return next((width for longest, width in _WIDTHS if length_ns <= longest), months * _LONGEST_NS)


def last(length: str, now_ns: int | None = None) -> tuple[int, int]:
    """The range of the last `15m`, `24h`, `7d`, `4w`: from the beginning of its first bucket to the end of its last.

    Raises:
        ValueError: It is no such length.
    """
    found = _RELATIVE.fullmatch(length.strip().lower())
    if found is None:
        raise ValueError(f"{length!r} is no length of time such as 15m, 24h, 7d or 4w")
    now = time.time_ns() if now_ns is None else now_ns
    length_ns = int(found[1]) * _UNITS[found[2]]
    width = width_ns(length_ns)
    end = (now // width + 1) * width
    return max(end - max(length_ns, width), 0), end


def moment_ns(text: str) -> int:
    """A moment as ISO 8601 tells it, in ns since 1970; without a time zone it is UTC.

    Raises:
        ValueError: It is none.
    """
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        found = found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
        seconds = found.timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:50]!r} is no moment such as 2026-11-24 or 2026-11-24T18:30") from None
    if not 0 <= seconds < 2**33:
        raise ValueError(f"{text[:50]!r} is not between 1970 and 2242")
    return round(seconds * 1000) * 1_000_000


def iso(ns: int) -> str:
    """A moment as ISO 8601, to the second, in UTC."""
    return datetime.fromtimestamp(ns // SECOND_NS, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def buckets(start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
    """The buckets of a range: from when until when; the first and the last may be cut."""
    width = width_ns(end_ns - start_ns)
    while start_ns < end_ns:
        until = min((start_ns // width + 1) * width, end_ns)
        yield start_ns, until
        start_ns = until
