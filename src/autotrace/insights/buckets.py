"""Durations in buckets, so that histograms of parts add up to that of the whole.

Bucket i holds what took from 2^(i/8) to less than 2^((i+1)/8) microseconds: a quantile is known to 9 %, and to about
2 % where neighbouring buckets are filled alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_STEPS = 8
#: What took longer (19 hours) counts as that long.
MOST = 36 * _STEPS - 1


def bucket(duration_ns: int) -> int:
    """The bucket of a duration."""
    return 0 if duration_ns < 1000 else min(int(_STEPS * math.log2(duration_ns / 1000)), MOST)


def lower_ms(number: float) -> float:
    """Where a bucket begins, in milliseconds; what lies between two has a fraction."""
    return float(2 ** (number / _STEPS) / 1000)


def quantile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """The duration, in milliseconds, that this share of all stays below; None without any.

    Within a bucket, durations are taken to lie evenly on a logarithmic scale.
    """
    rank = share * sum(counts.values())
    for number in sorted(counts):
        if rank <= counts[number]:
            return lower_ms(number + rank / counts[number])
        rank -= counts[number]
    return None if not counts else lower_ms(max(counts) + 1)
