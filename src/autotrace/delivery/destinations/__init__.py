"""Destinations: where spans end up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal: a span that has started or ended, feedback, or what was said of a trace later.

    Example:
        >>> import autotrace
        >>> autotrace.Record("E", "0" * 31 + "1", "0" * 15 + "2", {"name": "chat gpt-5"}).body["name"]
        'chat gpt-5'

    Attributes:
        kind: `S`: a local root span has started. `E`: a span has ended. `I`: a span that has started
            will never end, for its process is gone. `F`: feedback on a trace, or on one of its spans.
            `U`: what was said of a trace after its first span had ended.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits; zeros where the record is of the whole trace (`F`, `U`).
        body: The span, the feedback or the update; the keys are listed in `autotrace.delivery.encoding`.
    """

    kind: str
    trace_id: str
    span_id: str
    body: dict[str, Any]


#: The span id of a record that is of a whole trace.
WHOLE_TRACE = "0" * 16


class RetryLater(Exception):
    """Raised by a destination that takes nothing now: the records stay in the journal and come again.

    Any other exception means the same, with a pause of our own choice.

    Example:
        >>> import autotrace
        >>> autotrace.RetryLater("the queue is full", seconds=30).seconds
        30

    Args:
        reason: Why, for the log.
        seconds: When to come again, where the other side said so (`Retry-After`); None: we choose.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Destination(Protocol):
    """A place that spans are delivered to, from one thread at a time.

    Example:
        >>> import autotrace
        >>> class Names:
        ...     name = "names"
        ...     def deliver(self, records, resource):
        ...         print([record.body["name"] for record in records if record.kind == "E"])
        ...     def close(self):
        ...         pass
        >>> destination: autotrace.Destination = Names()

    Records may come more than once: a destination knows a span by its trace id and span id, feedback by its `id`.
    What it knows nothing of (feedback, say) it passes over.

    Two attributes may be there beside these. `wants_traces = True`: records come a trace at a time, all that one
    process recorded of it together where that is possible, each trace's records in a row; spans that end long after
    their root come by themselves. `rejected`: how many records the other side has refused for good (a destination
    that raises for those would be sent them for ever).
    """

    @property
    def name(self) -> str:
        """What the place in the journal is remembered under."""
        ...

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> Sequence[Record] | None:
        """Takes all the records, or raises: then they stay in the journal and come again.

        Args:
            records: In the order in which they were journalled.
            resource: Attributes of the process that they come from: one object for all of a batch.

        Returns:
            Those of the records that cannot be taken yet though the others have been: feedback on a trace that is not
            known there, say. They come again, and hold up nothing else. None or nothing: all have been taken.

        Raises:
            RetryLater: Nothing can be taken now.
        """
        ...

    def close(self) -> None:
        """Lets go of connections; the next `deliver` opens them anew.

        Called before the process forks, too.
        """
        ...
