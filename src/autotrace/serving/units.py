"""A unit of work and its root: how it begins by what a plugin says of it, how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind

from ..recording import semconv
from ..recording.held import Description, Held
from ..recording.labels import Labels
from ..recording.messages import RequestValues, ResponseValues
from ..recording.recorder import Recorder
from ..recording.runs import Ended
from .exchange import remote_span
from .relayed import Relayed
from .senders import SESSION, USER
from .service import Service
from .work import HttpResponse, Work

#: Characters of a label that count, whatever a sender says.
_CHARACTERS = 250
_KINDS = {"consumer": SpanKind.CONSUMER, "server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}


class Begun(NamedTuple):
    """Work that has begun, and its root."""

    held: Held
    work: Work


def held_of(work: Work, recorder: Recorder, service: Service, outer: Context) -> Held:
    """The root of work that begins in the context `outer`."""
    carrier = work.carrier or {}
    sender = _ids(carrier.get("traceparent"))
    remote = sender if work.continues else None
    senders = (None if work.continues else sender, *map(_ids, work.links))
    links = tuple(one for one in senders if one is not None)
    if work.request is not None:
        return Relayed(recorder, service, work, work.request, outer, remote, links)
    return Held(
        recorder,
        outer,
        lambda: _description(work, service),
        kind=_KINDS[work.kind],
        labels=Labels(_label(work.session or carrier.get(SESSION)), _label(work.user or carrier.get(USER))),
        remote=remote,
        links=links,
        recorded=lambda trace_id: service.noted(work.request_id, trace_id) if work.request_id else None,
        id=work.request_id,
    )


def finish(held: Held, told: ResponseValues | HttpResponse | Ended) -> None:
    """The work has ended, in a plugin's words."""
    if isinstance(told, HttpResponse):
        held.replies(told) if isinstance(held, Relayed) else held.finish()
    elif isinstance(told, Ended):
        values = told.values
        held.finish(lambda: (values() if callable(values) else values) or {}, told.outcome, told.error)
    else:
        held.finish(lambda: told)


def _description(work: Work, service: Service) -> Description:
    if work.server:
        service.served_by(work.server)
    attributes: Mapping[str, Any] = {**work.attributes, semconv.REQUEST_ID: work.request_id}
    values: RequestValues = {"name": work.name, "attributes": attributes}
    value = work.input() if callable(work.input) else work.input
    if value is not None:
        values["input_value"] = value
    return Description(values)


def _ids(traceparent: Any) -> SpanContext | None:
    return remote_span(traceparent) if isinstance(traceparent, str) and traceparent else None


def _label(value: Any) -> str | None:
    return value[:_CHARACTERS] if isinstance(value, str) and value else None
