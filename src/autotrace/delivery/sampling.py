"""Which traces are kept, decided when they are delivered: by then it is known how they went."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .destinations import Record

#: A trace is in the share that is kept when the last 64 bits of its id lie below the share of this: the rule of
#: OpenTelemetry's TraceIdRatioBased, so that every process that sees a part of a trace decides alike.
_IDS = 2**64

Cost = Callable[[Record], float | None]


@dataclass(frozen=True)
class Sampler:
    """Keeps all traces with an error or feedback, all that were slow or dear, and a share of the others.

    Attributes:
        share: Of the others, from 0 to 1.
        slow_s: Seconds from which a trace is slow; None: none is.
        cost_usd: USD from which a trace is dear; None: none is.
        cost: What one span cost in USD; None where that is not known.
    """

    share: float
    slow_s: float | None = None
    cost_usd: float | None = None
    cost: Cost | None = None

    def is_in_share(self, trace_id: str) -> bool:
        """Whether a trace is kept that nothing else speaks for."""
        return int(trace_id[16:], 16) < round(self.share * _IDS)

    def keeps(self, trace_id: str, records: Iterable[Record]) -> bool:
        """Whether a trace is kept, once all of it is there that this process recorded."""
        found = list(records)
        return self.is_in_share(trace_id) or any(map(speaks_for, found)) or self._is_slow(found) or self._is_dear(found)

    def _is_slow(self, records: Iterable[Record]) -> bool:
        if self.slow_s is None:
            return False
        lasted = (record.body["end"] - record.body["start"] for record in records if _has_times(record))
        return max(lasted, default=0) >= self.slow_s * 1e9

    def _is_dear(self, records: Iterable[Record]) -> bool:
        if self.cost_usd is None or self.cost is None:
            return False
        costs = [self.cost(record) for record in records if record.kind == "E"]
        return sum(cost for cost in costs if cost is not None) >= self.cost_usd


def speaks_for(record: Record) -> bool:
    """Whether a record alone is a reason to keep its trace: an error, an interrupted run, feedback."""
    return record.kind in "FI" or (record.kind == "E" and record.body.get("status") == "error")


def _has_times(record: Record) -> bool:
    body = record.body
    return record.kind == "E" and type(body.get("start")) is int and type(body.get("end")) is int
