"""Destinations: where spans end up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal.

    Attributes:
        kind: `S`: a local root span has started. `E`: a span has ended. `I`: a span that has started
            will never end, for its process is gone.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        body: The span; the keys are listed in `autotrace.delivery.encoding`.
    """

    kind: str
    trace_id: str
    span_id: str
    body: dict[str, Any]


class Destination(Protocol):
    """A place that spans are delivered to, from one thread at a time.

    Records may come more than once: a destination knows a span by its trace id and span id.
    """

    @property
    def name(self) -> str:
        """What the place in the journal is remembered under."""
        ...

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Takes all the records, or raises: then they stay in the journal and come again.

        Args:
            records: In the order in which they were journalled.
            resource: Attributes of the process that they come from: one object for all of a batch.
        """
        ...

    def close(self) -> None:
        """Lets go of connections; the next `deliver` opens them anew.

        Called before the process forks, too.
        """
        ...
