"""Sends whole traces of the store to a destination, and remembers which."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from autotrace.delivery.destinations import Destination, Record, RetryLater
from autotrace.store import shipped
from autotrace.store.reader import Reader
from autotrace.store.writer import Writer

#: Seconds between two attempts: at first, and at most.
_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


class Sender:
    """One run of `autotrace ship`.

    Args:
        reader: The store's.
        destination: Where to.
        timeout_s: Seconds that a destination which takes nothing is tried for.

    Attributes:
        sent: Traces that have arrived.
        unchanged: Those that had arrived before, as they are.
        running: Those left out because they have not ended.
        failed: Those that could not be sent.
        reason: Why, the last time.
        gave_up: Whether the destination has taken nothing for so long that there is no use in going on.
    """

    def __init__(self, reader: Reader, destination: Destination, timeout_s: float) -> None:
        self._reader = reader
        self._destination = destination
        self._timeout_s = timeout_s
        self._writer = Writer(reader.path)
        self._rejected_before = getattr(destination, "rejected", 0)
        self.sent = self.unchanged = self.running = self.failed = 0
        self.reason = ""
        self.gave_up = False

    @property
    def rejected(self) -> int:
        """Records that the destination has refused for good."""
        return int(getattr(self._destination, "rejected", 0)) - int(self._rejected_before)

    def wanted(self, chosen: Iterable[str], again: bool) -> Iterator[tuple[str, bytes]]:
        """Those of the traces that are to be sent, with their states."""
        for trace_id in chosen:
            state = self._reader.state(trace_id)
            if not again and self._reader.is_shipped(self._destination.name, trace_id, state):
                self.unchanged += 1
            else:
                yield trace_id, state

    def send(self, traces: Sequence[tuple[str, bytes]]) -> None:
        """Sends some traces, and remembers those that arrived."""
        whole: dict[bytes, tuple[dict[str, Any], list[Record]]] = {}
        chosen: dict[str, bytes] = {}
        for trace_id, state in traces:
            groups = self._reader.records(trace_id)
            if any(entry.kind == "S" for group in groups for entry in group.entries):
                self.running += 1
                continue
            chosen[trace_id] = state
            for group in groups:
                key = orjson.dumps(group.resource, option=orjson.OPT_SORT_KEYS)
                whole.setdefault(key, (group.resource, []))[1].extend(Record(*entry) for entry in group.entries)
        left = set()
        for resource, records in whole.values():
            left |= {record.trace_id for record in self._deliver(records, resource)}
        arrived = [(trace_id, state) for trace_id, state in chosen.items() if trace_id not in left]
        self.sent += len(arrived)
        self.failed += len(left)
        if arrived:
            self._writer.work(lambda open_: shipped.remember(open_, self._destination.name, arrived))

    def close(self) -> None:
        """Frees the store."""
        self._writer.close()

    def _deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> Sequence[Record]:
        """Delivers, again and again until the time is over; what was not taken."""
        deadline, pause = time.monotonic() + self._timeout_s, _PAUSE_S
        while not self.gave_up:
            seconds = None
            try:
                left = self._destination.deliver(records, resource)
                if not left:
                    return ()
                self.reason = f"{len(left):,} records were not taken"
                taken = len(left) < len(records)
                records = left
            except RetryLater as error:
                self.reason, seconds, taken = str(error), error.seconds, False
            except Exception as error:  # noqa: BLE001 (whatever a destination raises, it means: again later)
                self.reason, taken = f"{type(error).__name__}: {error}", False
            wait = pause * random.uniform(0.5, 1.0) if seconds is None else seconds
            if time.monotonic() + wait >= deadline:
                self.gave_up = not taken
                break
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return records
