"""Delivers records to a server that speaks OTLP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrace.recording.guard import guard

from .. import WHOLE_TRACE, Record, RetryLater
from .pacing import Budget
from .settings import Settings

if TYPE_CHECKING:  # imported in the delivering thread, with protobuf
    from autotrace.delivery.otlp import Encoded
    from autotrace.delivery.replies import Refused

    from .transport import Transport

#: What one request holds at most: spans, and bytes before they are compressed (gRPC's servers take 4 MiB).
SPANS_LIMIT, BYTES_LIMIT = 512, 4_000_000
#: Bytes of a request below which trouble with the server is not a matter of size.
BYTES_FLOOR = 64 * 1024
#: How many traces' roots, and how many delivered spans of a batch that did not get through, are remembered.
MEMORY_LIMIT = 20_000

_Key = tuple[str, str, str, str]


class OtlpDestination:
    """Sends spans and feedback; a span that is refused for good is counted.

    Where a batch does not get through whole, what did get through is remembered and not sent again.

    Args:
        settings: Where to, and how.
    """

    name = "otlp"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: Spans that the server has refused for good.
        self.rejected = 0
        self._transport: Transport | None = None
        self._budget = Budget(settings.max_rate)
        self._bytes_limit = BYTES_LIMIT
        self._delivered: dict[_Key, None] = {}
        self._roots: dict[str, str] = {}
        self._told: set[str] = set()
        #: Whether the server has taken any request.
        self._has_taken = False

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Sends the records in requests of a bounded size.

        Raises:
            RetryLater: The server takes nothing now, or no more than this for the moment.
        """
        for part in self._parts(records):
            try:
                self._send(part, resource)
            except RetryLater:
                self._bytes_limit = max(self._bytes_limit // 2, BYTES_FLOOR)
                raise
            self._bytes_limit = min(self._bytes_limit * 2, BYTES_LIMIT)
            for key, _ in part:
                _remember(self._delivered, key, None)
        self._delivered.clear()

    def close(self) -> None:
        """Closes the connection; the next `deliver` opens another."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _parts(self, records: Sequence[Record]) -> Iterator[list[tuple[_Key, Encoded]]]:
        """What of the records is to be sent, a request at a time.

        Raises:
            RetryLater: There is more, but the server is to be sent no more for the moment.
        """
        part: list[tuple[_Key, Encoded]] = []
        size = 0
        for record in records:
            key = (record.kind, record.trace_id, record.span_id, str(record.body.get("id", "")))
            if key in self._delivered:
                continue
            encoded = self._encoded(record)
            if encoded is None:
                continue
            bytes_ = encoded.span.ByteSize()
            if part and (len(part) >= SPANS_LIMIT or size + bytes_ > self._bytes_limit):
                yield part
                part, size = [], 0
            wait = self._budget.take(time.monotonic())
            if wait:
                if part:
                    yield part
                raise RetryLater(f"no more than {self.settings.max_rate:g} spans a second are sent", wait)
            part.append((key, encoded))
            size += bytes_
        if part:
            yield part

    def _encoded(self, record: Record) -> Encoded | None:
        from autotrace.delivery import otlp

        if record.kind in ("E", "I", "S") and record.body.get("root"):
            _remember(self._roots, record.trace_id, record.span_id)
        parent = self._roots.get(record.trace_id) if record.span_id == WHOLE_TRACE else None
        translate = self.settings.dialect.translate
        try:
            if translate is None:
                return otlp.encode(record, parent=parent)
            return otlp.encode(record, lambda record: translate(record.body["attributes"]), parent)
        except otlp.Unencodable as error:
            self._reject(1, f"{error}: not what a span must be")
            return None

    def _send(self, part: list[tuple[_Key, Encoded]], resource: Mapping[str, Any]) -> None:
        from autotrace.delivery import otlp
        from autotrace.delivery.replies import Refused
        from autotrace.delivery.splitting import deliver_split

        if self._transport is None:
            from .transport import open_transport

            self._transport = open_transport(self.settings)
        transport = self._transport

        def send(units: Sequence[tuple[_Key, Encoded]]) -> None:
            request = otlp.assemble((encoded for _, encoded in units), resource)
            try:
                answer = transport.send(request)
            except Refused as refused:
                self._look_whether_all_is_refused(transport, refused)
                raise
            self._has_taken = True
            if answer.rejected or answer.message:
                self._reject(answer.rejected, f"the server took the rest: {answer.message}")

        refused: list[tuple[tuple[_Key, Encoded], Refused]] = deliver_split(part, send)
        for _, reason in refused:
            self._reject(1, str(reason))

    def _look_whether_all_is_refused(self, transport: Transport, refused: Refused) -> None:
        """Asks a server that has taken nothing yet whether it takes a request without spans.

        Raises:
            RetryLater: It refuses that in the same words: a header is missing, say. No span is to blame.
        """
        from autotrace.delivery import otlp
        from autotrace.delivery.replies import Refused

        if self._has_taken:
            return
        try:
            transport.send(otlp.assemble((), {}))
        except Refused as again:
            if str(again) == str(refused):
                raise RetryLater(
                    "the server refuses whatever it is sent: check OTEL_EXPORTER_OTLP_ENDPOINT and"
                    f" OTEL_EXPORTER_OTLP_HEADERS: {refused}"
                ) from None
        self._has_taken = True

    def _reject(self, count: int, why: str) -> None:
        self.rejected += count
        kind = why.partition(":")[0]
        if kind not in self._told and len(self._told) < 100:
            self._told.add(kind)
            guard.tell(f"otlp: {count} span(s) refused for good ({why}). Said once for each kind; all are counted.")


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    if len(memory) > MEMORY_LIMIT:
        del memory[next(iter(memory))]
