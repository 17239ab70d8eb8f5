"""Spans a second."""

from __future__ import annotations


class Budget:
    """What may be sent: as many a second as the rate says, and never more than a second's worth at once.

    Args:
        rate: Spans a second; None: no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._most = max(1.0, rate or 1.0)
        self._left = self._most
        self._then: float | None = None

    def take(self, now: float) -> float:
        """Takes one span out of the budget.

        Args:
            now: Seconds of a clock that never goes back.

        Returns:
            0 where there was one; else the seconds until there is a second's worth, and nothing was taken.
        """
        if self._rate is None:
            return 0.0
        if self._then is not None:
            self._left = min(self._most, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (self._most - self._left) / self._rate
