"""Counts the tokens that a model server has reported, so that a trace can be checked against its source."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Reading:
    """What one answered request cost, in tokens.

    `streamed` says whether the reply was a stream, and `usage_sent` whether the client was told its usage.
    """

    operation: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    streamed: bool
    usage_sent: bool


class Meter:
    """Adds up readings; safe to use from many threads."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self._lock = threading.Lock()

    def record(self, operation: str, usage: dict[str, Any], *, streamed: bool = False, usage_sent: bool = True) -> None:
        """Take down one request from the `usage` object of its reply."""
        sent = usage["prompt_tokens"]
        generated = usage.get("completion_tokens", 0)
        reading = Reading(operation, sent, generated, usage["total_tokens"], streamed, usage_sent)
        with self._lock:
            self._readings.append(reading)

    def totals(self) -> dict[str, Any]:
        """Return the figures so far, as `GET /meter` shows them."""
        with self._lock:
            readings = list(self._readings)
        return {
            "requests": len(readings),
            "input_tokens": sum(reading.input_tokens for reading in readings),
            "output_tokens": sum(reading.output_tokens for reading in readings),
            "by_request": [asdict(reading) for reading in readings],
        }
