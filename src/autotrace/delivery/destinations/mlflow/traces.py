"""Records as traces of MLflow's, and their spans on the way to the server: many traces a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autotrace.delivery import otlp
from autotrace.delivery.destinations import Record, RetryLater
from autotrace.delivery.replies import Refused, words
from autotrace.delivery.splitting import deliver_split

from . import totals
from .api import Api, NotFound, error_code
from .attributes import attributes, span_name
from .experiment import Experiment

#: What one request holds at most: traces, and bytes before they are compressed. The server takes all or none of it.
TRACES_LIMIT, BYTES_LIMIT = 64, 4_000_000
#: Traces that a server may stumble over, one by one, before it is left in peace.
STUMBLES_LIMIT = 8

#: Attributes of a process that would be tags of each trace: nobody filters by them, or MLflow has a place for them.
_NO_TAGS = ("telemetry.", "process.", "host.", "os.", "container.", "service.instance.id", "vcs.")


@dataclass(frozen=True)
class Trace:
    """What a batch holds of one trace.

    Attributes:
        id: 32 hexadecimal digits.
        spans: Spans that have ended or never will, the local root first.
        root: The local root; None: this is what came after it.
        attributes: Of each span, by span id.
    """

    id: str
    spans: Sequence[Record]
    root: Record | None
    attributes: Mapping[str, Mapping[str, Any]]

    @property
    def is_whole(self) -> bool:
        """Whether its root is the root of the whole trace, not of the part in this process."""
        return self.root is not None and self.root.body["parent_id"] is None

    @property
    def ends_here(self) -> bool:
        """Whether the root of the whole trace is here and has ended."""
        return self.is_whole and self.root is not None and self.root.kind == "E"


def traces_in(records: Sequence[Record], broken: Callable[[Sequence[Record], str], None]) -> list[Trace]:
    """The traces whose spans are among the records.

    Args:
        records: Of any kind.
        broken: Told of the spans of a trace that cannot be read, and why.
    """
    spans: dict[str, dict[str, Record]] = {}
    for record in records:
        if record.kind in ("E", "I"):
            known = spans.setdefault(record.trace_id, {})
            # A span that was thought interrupted and ended after all has ended.
            if record.kind == "E" or record.span_id not in known:
                known[record.span_id] = record
    traces = []
    for trace_id, found in spans.items():
        try:
            traces.append(_trace(trace_id, list(found.values())))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it must not hold up the others
            broken(list(found.values()), f"trace {trace_id} cannot be read: {error!r}")
    return traces


def _trace(trace_id: str, spans: list[Record]) -> Trace:
    roots = [span for span in spans if span.body["root"]]
    root = min(roots, key=lambda span: (span.body["parent_id"] is not None, span.body["start"]), default=None)
    # The server takes session and user from the first span that has one.
    ordered = spans if root is None else [root, *(span for span in spans if span is not root)]
    return Trace(trace_id, ordered, root, totals.rolled_up({s.span_id: (s, attributes(s)) for s in ordered}))


def sendable(record: Record) -> Record:
    """The span as MLflow shows it best: it is OK or an error, and an error has an exception to show."""
    body = {**record.body, "name": span_name(record)}
    if body["status"] != "error":
        return replace(record, body={**body, "status": "ok"})
    if any(event["name"] == "exception" for event in body["events"]):
        return replace(record, body=body)
    told = {"exception.type": body["attributes"].get("error.type"), "exception.message": body["message"] or ""}
    event = {"name": "exception", "time": body["end"], "attributes": told}
    return replace(record, body={**body, "events": [*body["events"], event]})


def tags_of_process(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a process that are worth a tag."""
    found = {key: value for key, value in resource.items() if not key.startswith(_NO_TAGS)}
    if str(found.get("service.name", "")).startswith("unknown_service"):
        del found["service.name"]
    return found


class _Unit:
    """One trace, encoded."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.spans: list[otlp.Encoded] = []
        for record in trace.spans:
            encoded = otlp.encode(sendable(record), lambda given: trace.attributes[given.span_id])
            if encoded is not None:
                self.spans.append(encoded)
        self.size = sum(encoded.span.ByteSize() for encoded in self.spans)


def send(
    api: Api, experiment: Experiment, traces: Sequence[Trace], resource: Mapping[str, Any]
) -> tuple[list[Trace], list[tuple[Trace, str | int, str]]]:
    """Sends the spans of traces.

    Returns:
        The traces that the server has taken, and those that it has refused, each with a status and a reason. A status
        of 500 is no judgement: a server that is in trouble with one trace alone may be over it later.

    Raises:
        RetryLater: The server takes nothing now.
    """
    refused: list[tuple[Trace, str | int, str]] = []
    units: list[_Unit] = []
    for trace in traces:
        try:
            units.append(_Unit(trace))
        except otlp.Unencodable as error:
            refused.append((trace, "unencodable", str(error)))
    post = _Post(api, experiment, tags_of_process(resource))
    for part in _parts(units):
        refused += [(unit.trace, reason.status, reason.words) for unit, reason in deliver_split(part, post)]
    bad = {id(trace) for trace, _, _ in refused}
    return [trace for trace in traces if id(trace) not in bad], refused


def _parts(units: Sequence[_Unit]) -> Iterator[list[_Unit]]:
    part: list[_Unit] = []
    size = 0
    for unit in units:
        if part and (len(part) >= TRACES_LIMIT or size + unit.size > BYTES_LIMIT):
            yield part
            part, size = [], 0
        part.append(unit)
        size += unit.size
    if part:
        yield part


class _Post:
    """Sends requests of one batch.

    A server that answers 500 to one trace after the other, and has taken none, is the one that is to blame.
    """

    def __init__(self, api: Api, experiment: Experiment, tags: Mapping[str, Any]) -> None:
        self._api, self._experiment, self._tags = api, experiment, tags
        self._stumbles = 0
        self._has_taken = False

    def __call__(self, part: Sequence[_Unit]) -> None:
        request = otlp.assemble((span for unit in part for span in unit.spans), self._tags)
        reply = self._api.post_spans(request.SerializeToString(), self._experiment.id(self._api))
        if reply.status == 500:
            self._stumbles += len(part) == 1
            if self._stumbles < STUMBLES_LIMIT or self._has_taken:
                raise Refused(500, words(reply))
        if reply.status == 501 or (reply.status == 404 and not error_code(reply)):
            raise RetryLater(
                "the server takes no spans: traces need MLflow 3.4 or newer, and a database as its backend"
            )
        try:
            self._api.check(reply)
        except NotFound as error:
            self._experiment.forget()
            raise RetryLater(f"the experiment is gone: {error}") from None
        self._has_taken = True
