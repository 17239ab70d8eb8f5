"""How often something may happen: a bucket that fills at a steady rate, and a token is taken for each time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

#: Seconds' worth of tokens that the bucket holds.
BURST_S = 2.0


class TokenBucket:
    """Counts for this process alone, and without a lock, so that no fork finds one held.

    Args:
        rate: Tokens a second; 0: there is no limit.
        clock: Seconds that never go back.
    """

    __slots__ = ("_clock", "_filled_at", "_size", "_tokens", "rate")

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._size = max(1.0, rate * BURST_S)
        self._tokens = self._size
        self._filled_at = clock()

    def take(self) -> float:
        """Takes a token.

        Returns:
            0 where there was one; else the seconds until there is one.
        """
        if not self.rate:
            return 0.0
        now = self._clock()
        tokens = min(self._size, self._tokens + max(0.0, now - self._filled_at) * self.rate)
        self._filled_at = now
        taken = tokens >= 1
        self._tokens = tokens - 1 if taken else tokens
        return 0.0 if taken else (1 - tokens) / self.rate


def whole_seconds(seconds: float) -> int:
    """Seconds as `Retry-After` wants them: whole, at least 1."""
    return max(1, math.ceil(seconds))
