"""One destination and how it fares."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .destinations import Destination, Record
from .health import TEXT, DestinationHealth

logger = logging.getLogger("autotrace")

BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 60.0


class Outlet:
    """Delivers to a destination; after a failure only when some time has passed, longer each time."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.name = destination.name
        self.failures = 0
        self.retry_at = 0.0
        self.delivered = 0
        #: When it last took records, in nanoseconds since 1970.
        self.last_delivery: int | None = None
        self.last_error: str | None = None

    def health(self) -> DestinationHealth:
        """How it fares."""
        return DestinationHealth(self.name, self.delivered, self.failures, self.last_delivery, self.last_error)

    def is_ready(self, now: float) -> bool:
        """Whether it may be tried at this moment of `time.monotonic`."""
        return not self.failures or now >= self.retry_at

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> bool:
        """Whether the destination took the records. A first failure is logged, further ones are not."""
        try:
            if records:
                self.destination.deliver(records, resource)
        except Exception as error:  # noqa: BLE001 - whatever a destination raises, the records stay in the journal
            self._failed(error)
            return False
        if records:
            self.delivered += len(records)
            self.last_delivery = time.time_ns()
        if self.failures:
            logger.warning("destination %s takes spans again", self.name)
        self.failures = 0
        return True

    def close(self) -> None:
        """Lets the destination let go of what it holds."""
        try:
            self.destination.close()
        except Exception as error:  # noqa: BLE001 - see deliver
            logger.warning("destination %s cannot be closed: %r", self.name, error)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"[:TEXT]
        self.retry_at = time.monotonic() + min(BACKOFF_S * 2 ** min(self.failures - 1, 10), LONGEST_BACKOFF_S)
        if self.failures == 1:
            logger.error(
                "destination %s takes no spans: %s; they stay in the journal and are tried again (said once)",
                self.name,
                error if str(error) else repr(error),
            )
