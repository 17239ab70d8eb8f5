"""What the store counted and did not keep: figures by hour of all traces, where sampling and pruning leave some out.

Where the store keeps every trace, these figures and those of the traces agree, and the traces tell more. Where it does
not, the traces that are kept are no fair sample: sampling keeps what failed.
"""

from __future__ import annotations

import time
from typing import Any

from autotrace.store.rollups import HOUR_NS, quantile

from .parts import Memory
from .scope import Scope
from .view import Insights

_SUMS = "sum(traces), sum(CASE WHEN status IN ('error', 'interrupted') THEN traces ELSE 0 END)"
#: Seconds that an answer holds: what was counted changes with every span.
_HOLDS_S = 30
#: What is counted more than what is kept, as a share and in traces, before it is told: the follower is a little behind.
_SLACK, _FEW = 1.03, 20
#: A range that ended so long ago is one until now.
_BEHIND_NS = 60 * 10**9


def counted(insights: Insights, memory: Memory, scope: Scope, kept: int) -> dict[str, Any] | None:
    """What was counted of a selection, where that is clearly more than what is kept; else None.

    Only by environment, service and release can be told what was counted: where anything else matters, None.

    Args:
        insights: Who is asked.
        memory: What was answered before.
        scope: Which traces; the range is taken in whole hours, of which the last may go on.
        kept: How many of them are kept.

    Returns:
        `traces`, `failed`, `error_rate`, `latency_p50_ms`, `latency_p99_ms`.
    """
    if scope.filter.strip() or any((scope.model, scope.user, scope.session, scope.tag)):
        return None
    key = ("counted", insights.meta("identity"), scope)
    version = int(time.monotonic() / _HOLDS_S)
    found = memory.get(key, version)
    if found is None:
        found = _asked(insights, scope)
        memory.put(key, version, found)
    return found if is_more(found["traces"], kept) else None


def is_more(all_: int, kept: int) -> bool:
    """Whether clearly more was counted than is kept."""
    return all_ > kept * _SLACK + _FEW


def _asked(insights: Insights, scope: Scope) -> dict[str, Any]:
    named = {name: getattr(scope, name) for name in ("environment", "service", "release")}
    chosen = {name: value for name, value in named.items() if value is not None}
    # Of an hour that goes on after the range all would be counted, and not all be in it; none has gone on beyond now.
    is_now = scope.end_ns >= time.time_ns() - _BEHIND_NS
    hours = -(-scope.start_ns // HOUR_NS), (scope.end_ns - 1 if is_now else scope.end_ns - HOUR_NS) // HOUR_NS
    sums = insights.store.counted(_SUMS, *hours, chosen)
    traces, failed = (int(value or 0) for value in (sums[0] if sums else (0, 0)))
    latency = sum(int.from_bytes(row[0], "little") for row in insights.store.counted("latency", *hours, chosen))
    return {
        "traces": traces,
        "failed": failed,
        "error_rate": failed / traces if traces else None,
        "latency_p50_ms": quantile(latency, 0.5) if latency else None,
        "latency_p99_ms": quantile(latency, 0.99) if latency else None,
    }
