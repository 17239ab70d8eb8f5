"""autotrace, with the destinations that the environment names."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import autotrace
from autotrace.activation import active
from autotrace.delivery.destinations.sqlite import StoreDestination

from . import api

_commits: list[float] = []


def begin() -> None:
    """Builds the pipeline, and times the store's transactions."""
    deliver = StoreDestination.deliver

    def timed(self: StoreDestination, records: Sequence[Any], resource: Mapping[str, Any]) -> Any:
        before = time.perf_counter()
        try:
            return deliver(self, records, resource)
        finally:
            _commits.append(time.perf_counter() - before)

    StoreDestination.deliver = timed  # type: ignore[method-assign]
    api.provider = active().provider()


trace = api.trace


def flush(seconds: float) -> bool:
    """Delivers what there is."""
    return autotrace.flush(seconds)


def figures() -> dict[str, Any]:
    """The seconds that the store took for each batch."""
    return {"commits": _commits}
