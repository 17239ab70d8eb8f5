"""Figures of all spans by hour: what a dashboard shows of long ranges without reading the spans.

A row of `rollups` is one hour (hours since 1970, by the start of the spans) and one combination of dimensions; the
sums in it go on holding when the spans themselves are pruned. `latency` and `ttft` are histograms: the number of spans
by duration and by time to the first chunk.

**Histogram.** Bucket i of 80 counts what took from 2^(i/4) to less than 2^((i+1)/4) milliseconds; bucket 0 takes what
is shorter too, bucket 79 (15 minutes and more) what is longer. So a quantile is known to 19 %, one value alone to 9 %.
As a BLOB: 32 bits a bucket, bucket 0 first, little-endian, trailing zero bytes left out. Read as one little-endian
integer, histograms can be added as they are.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from .rows import COLUMNS

HOUR_NS = 3600 * 10**9
BUCKETS = 80
#: Combinations of dimensions that an hour has rows for; those that come later count as `OTHER`.
MOST_ROWS = 1000
#: Characters of a dimension that count.
LONGEST = 200
OTHER = "(other)"
#: Those that are kept apart among what counts as `OTHER`: a program may make up its own.
STATUSES = frozenset(
    {"ok", "error", "interrupted", "closed", "abandoned", "cancelled", "exited", "paused", "switched_off"}
)

DIMENSIONS = ("environment", "service", "release", "operation", "provider", "model", "target", "status", "top")
FIGURES = (
    "spans",
    "traces",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "duration_ns",
)
HISTOGRAMS = ("latency", "ttft")

Dimensions = tuple[Any, ...]

_AT = {name: number for number, name in enumerate(COLUMNS)}
_texts_of = itemgetter(*(_AT[name] for name in DIMENSIONS[:-1]))
_TOKENS = slice(_AT["input_tokens"], _AT["reasoning_tokens"] + 1)
_PARENT, _ROOT, _STATUS, _START, _END, _TTFT = (
    _AT[name] for name in ("parent_id", "root", "status", "start_ns", "end_ns", "ttft_ns")
)
_MAX = 2**63 - 1
_SUMS = (*FIGURES, *HISTOGRAMS)
_GET = f"SELECT {', '.join(_SUMS)} FROM rollups WHERE hour = ? AND dimension = ?"  # noqa: S608
_PUT = f"REPLACE INTO rollups (hour, dimension, {', '.join(_SUMS)}) VALUES (?, ?{', ?' * len(_SUMS)})"  # noqa: S608
_FIND = f"SELECT id FROM dimensions WHERE {' AND '.join(f'{name} = ?' for name in DIMENSIONS)}"  # noqa: S608
_MAKE = f"INSERT INTO dimensions ({', '.join(DIMENSIONS)}) VALUES (?{', ?' * (len(DIMENSIONS) - 1)})"  # noqa: S608


class Tally:
    """What spans add to the rollups, gathered before it is saved."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, Dimensions], list[int]] = {}

    def add(self, values: Sequence[Any]) -> None:
        """Counts a span that has ended, by the values of its columns. Of an interrupted one only that it was there."""
        dimensions = dimensions_of(values)
        row = self._row(values[_START] // HOUR_NS, dimensions)
        status = values[_STATUS]
        row[0] += 1
        row[1] += dimensions[-1]
        if status == "interrupted":
            return
        if status == "error":
            row[2] += 1
        for place, count in enumerate(values[_TOKENS], 3):
            if count is not None and count > 0:
                row[place] += count
        end = values[_END]
        if end is not None:
            duration = max(0, end - values[_START])
            row[8] += duration
            row[9] += 1 << 32 * bucket(duration)
        ttft = values[_TTFT]
        if ttft is not None:
            row[10] += 1 << 32 * bucket(ttft)

    def take_back(self, hour: int, dimensions: Dimensions) -> None:
        """Takes away what an interrupted span had added: it has ended after all."""
        row = self._row(hour, dimensions)
        row[0] -= 1
        row[1] -= dimensions[-1]

    def save(self, connection: sqlite3.Connection) -> None:
        """Adds what was gathered to the store, within the transaction that is open."""
        for (hour, dimensions), sums in self._rows.items():
            dimension, before = _place(connection, hour, dimensions)
            if before is not None:
                for place, figure in enumerate(before[:9]):
                    sums[place] += figure
                sums[9] += int.from_bytes(before[9], "little")
                sums[10] += int.from_bytes(before[10], "little")
            figures = [min(max(figure, 0), _MAX) for figure in sums[:9]]
            # One at a time: of combinations that are folded into one, each adds to what the one before has left.
            connection.execute(_PUT, (hour, dimension, *figures, _packed(sums[9]), _packed(sums[10])))
        self._rows.clear()

    def _row(self, hour: int, dimensions: Dimensions) -> list[int]:
        row = self._rows.get((hour, dimensions))
        if row is None:
            row = self._rows[hour, dimensions] = [0] * len(_SUMS)
        return row


def dimensions_of(values: Sequence[Any]) -> Dimensions:
    """What a span is counted under; the last says whether it is the root of a whole trace (1) or not (0)."""
    top = 1 if values[_ROOT] and values[_PARENT] is None else 0
    return (*[text[:LONGEST] if text else "" for text in _texts_of(values)], top)


def hour_of(values: Sequence[Any]) -> int:
    """The hour that a span is counted in."""
    return int(values[_START] // HOUR_NS)


def bucket(duration_ns: int) -> int:
    """The bucket of a duration."""
    if duration_ns < 1_000_000:
        return 0
    return min(int(4 * math.log2(duration_ns / 1e6)), BUCKETS - 1)


def quantile(histogram: bytes | int, share: float) -> float | None:
    """The duration, in milliseconds, that this share of the spans stays below; None without any.

    Within a bucket, durations are taken to lie evenly on a logarithmic scale.
    """
    whole = histogram if isinstance(histogram, int) else int.from_bytes(histogram, "little")
    counts = [whole >> 32 * number & 0xFFFF_FFFF for number in range(BUCKETS)]
    rank = min(max(math.ceil(share * sum(counts)), 1), sum(counts))
    for number, count in enumerate(counts):
        if count and rank <= count:
            return float(2 ** ((number + (rank - 0.5) / count) / 4))
        rank -= count
    return None


def _place(connection: sqlite3.Connection, hour: int, dimensions: Dimensions) -> tuple[int, tuple[Any, ...] | None]:
    """The id of the dimensions that these count under in this hour, and what is there already."""
    found = connection.execute(_FIND, dimensions).fetchone()
    if found is not None:
        before = connection.execute(_GET, (hour, found[0])).fetchone()
        if before is not None:
            return found[0], before
    if not _is_folded(dimensions):
        rows = connection.execute("SELECT count(*) FROM rollups WHERE hour = ?", (hour,)).fetchone()[0]
        if rows >= MOST_ROWS:
            status = dimensions[7] if dimensions[7] in STATUSES else OTHER
            return _place(connection, hour, (*dimensions[:3], *[OTHER] * 4, status, dimensions[8]))
    return (connection.execute(_MAKE, dimensions).lastrowid or 0) if found is None else found[0], None


def _is_folded(dimensions: Dimensions) -> bool:
    return dimensions[3:7] == (OTHER,) * 4


def _packed(histogram: int) -> bytes:
    return histogram.to_bytes((histogram.bit_length() + 7) // 8, "little")
