"""One destination and how it fares."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from autotrace.recording.guard import guard

from .destinations import Destination, Record, RetryLater
from .health import TEXT, DestinationHealth

logger = logging.getLogger("autotrace")

BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 60.0
#: The longest pause that another side may ask for.
LONGEST_ASKED_S = 300.0
#: The longest pause that a destination may ask for without anybody being told.
PACE_S = 1.0
#: Seconds between two warnings that records were lost.
TELL_AGAIN_S = 60.0


class Outlet:
    """Delivers to a destination; after a failure only when some time has passed, longer each time."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.name = destination.name
        self.failures = 0
        self.retry_at = 0.0
        self.delivered = 0
        #: Records that were lost, for the journal could keep them no longer.
        self.dropped = 0
        #: When it last took records, in nanoseconds since 1970.
        self.last_delivery: int | None = None
        self.last_error: str | None = None
        self._told_at = -TELL_AGAIN_S
        #: Whether it has been told that it takes nothing.
        self._is_told = False

    @property
    def wants_traces(self) -> bool:
        """Whether records should come a trace at a time."""
        return bool(getattr(self.destination, "wants_traces", False))

    @property
    def rejected(self) -> int:
        """Records that the other side has refused for good."""
        found = getattr(self.destination, "rejected", 0)
        return found if type(found) is int else 0

    def health(self) -> DestinationHealth:
        """How it fares."""
        return DestinationHealth(
            self.name,
            self.delivered,
            self.failures,
            self.last_delivery,
            self.last_error,
            self.dropped,
            self.rejected,
        )

    def is_ready(self, now: float) -> bool:
        """Whether it may be tried at this moment of `time.monotonic`."""
        return not self.failures or now >= self.retry_at

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> Sequence[Record] | None:
        """Gives records to the destination. A first failure is logged, further ones are not.

        Returns:
            Those that it has not taken yet, though it took the others; None when it took nothing.
        """
        left: Sequence[Record] = ()
        try:
            if records:
                left = self._suppressed(records, resource)
        except Exception as error:  # noqa: BLE001 - whatever a destination raises, the records stay in the journal
            self.failed(error)
            return None
        if len(left) < len(records):
            self.delivered += len(records) - len(left)
            self.last_delivery = time.time_ns()
        if self._is_told:
            logger.warning("destination %s takes spans again", self.name)
        self.failures, self._is_told = 0, False
        self._tidy()
        return left

    def count(self, records: Sequence[Record], resource: Mapping[str, Any]) -> bool:
        """Tells the destination of records that sampling has left out, if it wants to know; False: not now."""
        count = getattr(self.destination, "count", None)
        try:
            if count is not None:
                count(records, resource)
        except Exception as error:  # noqa: BLE001 - see deliver
            self.failed(error)
            return False
        return True

    def failed(self, error: Exception) -> None:
        """Takes note that it has taken nothing, and sets when it is tried again."""
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"[:TEXT]
        self.retry_at = time.monotonic() + _pause(self.failures, error)
        if not self._is_told and not _is_pace(error):
            self._is_told = True
            logger.error(
                "destination %s takes no spans: %s; they stay in the journal and are tried again (said once)",
                self.name,
                error if str(error) else repr(error),
            )

    def lost(self, number: int) -> None:
        """Counts records that are lost, and tells of it: not each time."""
        self.dropped += number
        now = time.monotonic()
        if number and now >= self._told_at + TELL_AGAIN_S:
            self._told_at = now
            logger.error(
                "destination %s: %s records are lost by now, for the journal has reached its bounds (journal_size,"
                " journal_age) before they could be delivered",
                self.name,
                f"{self.dropped:,}",
            )

    def close(self) -> None:
        """Lets the destination let go of what it holds."""
        try:
            self.destination.close()
        except Exception as error:  # noqa: BLE001 - see deliver
            logger.warning("destination %s cannot be closed: %r", self.name, error)

    def _suppressed(self, records: Sequence[Record], resource: Mapping[str, Any]) -> Sequence[Record]:
        """Delivers; what the destination sends is traced by nobody."""
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            return self.destination.deliver(records, resource) or ()
        finally:
            detach(token)

    def _tidy(self) -> None:
        """Lets the destination do what it does from time to time; what fails there fails no delivery."""
        tidy = getattr(self.destination, "tidy", None)
        if tidy is not None:
            with guard(f"destination {self.name}: tidying"):
                tidy()


def _is_pace(error: Exception) -> bool:
    """Whether a destination only goes at a pace of its own: that is no trouble to tell of."""
    return isinstance(error, RetryLater) and error.seconds is not None and error.seconds <= PACE_S


def _pause(failures: int, error: Exception) -> float:
    """Seconds to wait: what the other side asked for, else twice as long each time. Never many at one moment."""
    asked = error.seconds if isinstance(error, RetryLater) else None
    if asked is not None:
        return min(max(asked, 0.0), LONGEST_ASKED_S) * float(random.uniform(1.0, 1.1))
    pause: float = min(BACKOFF_S * 2 ** min(failures - 1, 10), LONGEST_BACKOFF_S)
    return pause * random.uniform(0.5, 1.0)
