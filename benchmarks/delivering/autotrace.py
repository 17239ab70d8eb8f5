"""autotrace, with the destinations that the environment names."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import autotrace
from autotrace.activation import active
from autotrace.store import opening, writer

from . import api

_commits: list[float] = []
_waits: list[float] = []


def begin() -> None:
    """Builds the pipeline, and times the store's transactions: how long each waits for other writers, and the rest."""
    begin_, transaction = opening._begin, writer.transaction  # type: ignore[attr-defined]

    def timed_begin(connection: Any) -> None:
        before = time.perf_counter()
        begin_(connection)
        _waits.append(time.perf_counter() - before)

    def timed(connection: Any, step: Callable[[Any], Any]) -> Any:
        before = time.perf_counter()
        found = transaction(connection, step)
        _commits.append(time.perf_counter() - before - _waits[-1])
        return found

    opening._begin, writer.transaction = timed_begin, timed  # type: ignore[attr-defined]
    api.provider = active().provider()


trace = api.trace


def flush(seconds: float) -> bool:
    """Delivers what there is."""
    return autotrace.flush(seconds)


def figures() -> dict[str, Any]:
    """The seconds that each transaction of the store took once it had begun, and waited before."""
    return {"commits": _commits, "waits": _waits}
