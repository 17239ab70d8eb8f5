"""A tracer provider that costs next to nothing: OpenTelemetry's API over plain objects.

OpenTelemetry's SDK takes some 20 microseconds for a span of 15 attributes, before any processor; a traced call pays
for it twice over, in cold caches. Ours takes 3: attributes that the recorder made are known to be clean, nothing is
copied, nothing is locked that one thread owns. The API is whole, so that a program that asks for the current span
finds one. It is used when nothing was asked for that needs the SDK; a program's own provider, or a sampler, brings
the SDK's spans instead.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from .encoding import readable, scalar
from .guard import guard

#: Attributes of one span, as in OpenTelemetry's SDK; more are counted, not kept.
MAX_ATTRIBUTES = 128
#: Events of one span, as in OpenTelemetry's SDK: the last ones are kept.
MAX_EVENTS = 128

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED = TraceFlags(TraceFlags.DEFAULT)
_UNSET = Status()
OK = Status(StatusCode.OK)


Clock = Callable[[], int]


class Bits(Protocol):
    """Where ids come from."""

    def getrandbits(self, k: int, /) -> int:
        """A number of `k` bits."""
        ...


Ids = Callable[[], Bits]


class SpanSink(Protocol):
    """Where spans go when they start and when they end."""

    def started(self, span: RecordedSpan) -> None:
        """A span without a parent of ours has started."""

    def ended(self, span: RecordedSpan) -> None:
        """A span has ended."""


class Event:
    """Something that happened at one moment of a span."""

    __slots__ = ("attributes", "name", "timestamp")

    def __init__(self, name: str, attributes: dict[str, Any], timestamp: int) -> None:
        self.name = name
        self.attributes = attributes
        self.timestamp = timestamp


class RecordedSpan(trace.Span):
    """A span. Times are in ns since 1970.

    Attributes:
        is_root: It has no parent, or none that was recorded here.
        dropped: Attributes beyond the limit.
    """

    def __init__(
        self,
        tracer: LeanTracer,
        name: str,
        trace_id: int,
        span_id: int,
        flags: TraceFlags,
        parent: SpanContext | None,
        is_root: bool,
        kind: SpanKind,
        attributes: dict[str, Any],
        start_time: int,
    ) -> None:
        self.tracer = tracer
        self.name = name
        self.parent = parent
        self.is_root = is_root
        self.kind = kind
        self.attributes = attributes
        self.start_time = start_time
        self.end_time: int | None = None
        self.status = _UNSET
        self.events: list[Event] = []
        self.links: list[Link] = []
        self.dropped = 0
        self._ids = trace_id, span_id, flags
        self._context: SpanContext | None = None
        #: Trace id and span id in hexadecimal digits, a space between them: how the journal names it.
        self.key = f"{trace_id:032x} {span_id:016x}"

    def get_span_context(self) -> SpanContext:
        """Its ids. Made when asked for: nobody asks most spans."""
        if self._context is None:
            trace_id, span_id, flags = self._ids
            self._context = SpanContext(trace_id, span_id, False, flags)
        return self._context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return self.end_time is None

    def set_known(self, attributes: Mapping[str, Any]) -> None:
        """Sets attributes whose values are known to be what OpenTelemetry takes."""
        if self.end_time is not None:
            return
        if len(self.attributes) + len(attributes) <= MAX_ATTRIBUTES:
            self.attributes.update(attributes)
        else:
            self.set_attributes(attributes)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Sets attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Sets one attribute; beyond the limit it is counted only."""
        if self.end_time is not None or not isinstance(key, str):
            return
        if key not in self.attributes and len(self.attributes) >= MAX_ATTRIBUTES:
            self.dropped += 1
            return
        known = scalar(value)
        if known is not None:
            self.attributes[key] = known

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Adds something that happened."""
        if self.end_time is not None:
            return
        known = {key: scalar(value) for key, value in (attributes or {}).items()}
        self.events.append(Event(str(name), known, timestamp if timestamp is not None else self.tracer.clock()))
        if len(self.events) > MAX_EVENTS:
            del self.events[0]

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Links another span."""
        if self.end_time is None and context.is_valid:
            self.links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        """Renames it."""
        if self.end_time is None:
            self.name = str(name)

    def succeed(self) -> None:
        """Sets the status OK."""
        if self.end_time is None:
            self.status = OK

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Says how it went. OK is final, unset says nothing."""
        if self.end_time is not None or self.status.status_code is StatusCode.OK:
            return
        if not isinstance(status, Status):
            status = Status(status, description)
        if status.status_code is not StatusCode.UNSET:
            self.status = status

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Adds an exception as an event."""
        kind = type(exception)
        found: dict[str, Any] = {
            "exception.type": kind.__qualname__
            if kind.__module__ == "builtins"
            else f"{kind.__module__}.{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**found, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Ends it; once."""
        if self.end_time is None:
            # The clock may have been set back meanwhile.
            self.end_time = end_time if end_time is not None else max(self.tracer.clock(), self.start_time)
            self.tracer.sink.ended(self)


#: Where the innermost span of ours stands in a context: another tool's may be the current one.
OWN_SPAN = "autotrace.span"
#: Where another tool's span stands that is current although it began before ours: ours do not belong beneath it.
ASIDE = "autotrace.aside"
#: Where a unit of work (a request, a task) stands whose span is recorded once something of ours begins inside: held.py.
HELD = "autotrace.held"
#: The key of the span in OpenTelemetry's context, which its API sets but does not name.
SPAN_KEY = next(iter(trace.set_span_in_context(INVALID_SPAN, Context())))


class LeanTracer(trace.Tracer):
    """Starts spans of one instrumentation scope.

    Attributes:
        clock: The time in ns since 1970.
    """

    def __init__(
        self, sink: SpanSink, scope: str, version: str | None, clock: Clock = time.time_ns, ids: Ids | None = None
    ) -> None:
        self.sink = sink
        self.scope = scope
        self.version = version
        self.clock = clock
        self._ids = ids if ids is not None else new_ids

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Starts a span, the child of the one in `context`."""
        known = {key: scalar(value) for key, value in (attributes or {}).items()}
        span = self.start_known(name, context, kind, known, start_time if start_time is not None else self.clock())
        for link in links or ():
            span.add_link(link.context, link.attributes)
        return span

    def start_known(
        self,
        name: str,
        context: Context | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        start_time: int,
        ids: tuple[int, int] = (0, 0),
    ) -> RecordedSpan:
        """Starts a span with attributes that are known to be clean; the dict becomes the span's own.

        Where it begins a trace, that has the first of `ids`; the second is the span's. 0 stands for a new one.
        """
        trace_id, span_id = ids
        holder = trace.get_current_span(context) if context is None else context.get(SPAN_KEY)
        if type(holder) is not RecordedSpan and context is not None:
            holder = _nearest(context, holder)
        parent = holder.get_span_context() if isinstance(holder, trace.Span) else None
        bits = self._ids()
        if parent is None or not parent.is_valid:
            parent, trace_id = None, trace_id or bits.getrandbits(128) or 1
            flags = _root_flags(trace_id, name, kind)
        else:
            trace_id, flags = parent.trace_id, parent.trace_flags
        if len(attributes) > MAX_ATTRIBUTES:
            attributes = dict(itertools.islice(attributes.items(), MAX_ATTRIBUTES))
        is_root = parent is None or parent.is_remote or not isinstance(holder, RecordedSpan)
        span_id = span_id or bits.getrandbits(64) or 1
        span = RecordedSpan(self, name, trace_id, span_id, flags, parent, is_root, kind, attributes, start_time)
        if is_root:
            self.sink.started(span)
        return span

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        """Starts a span and makes it the current one."""
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span


class LeanTracerProvider(trace.TracerProvider):
    """Gives tracers.

    Args:
        sink: Where their spans go.
        clock: The time in ns since 1970.
        ids: A source of random bits, asked for at each span; one of this process's own when None.
    """

    def __init__(self, sink: SpanSink, clock: Clock = time.time_ns, ids: Ids | None = None) -> None:
        self._sink = sink
        self._clock = clock
        self._ids = ids

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> LeanTracer:
        """A tracer of one instrumentation scope."""
        scope = readable(instrumenting_module_name)
        return LeanTracer(self._sink, scope, instrumenting_library_version, self._clock, self._ids)


def _nearest(context: Context, holder: object) -> object:
    """The span that one of ours lies in: a span of ours rather than another tool's, which our store does not hold."""
    own = context.get(OWN_SPAN)
    if type(own) is RecordedSpan and isinstance(holder, trace.Span):
        is_within = own.get_span_context().trace_id == holder.get_span_context().trace_id
        return own if is_within or holder is context.get(ASIDE) else holder
    return holder


def _root_flags(trace_id: int, name: str, kind: SpanKind) -> TraceFlags:
    """The flags of a trace that begins with a span of ours.

    They say nothing of whether we record (we do), but other tools' spans beneath ours, and services that are called,
    sample by them. So the app's own sampler decides, where it has one, as it would have without us.
    """
    try:
        sampler = getattr(trace.get_tracer_provider(), "sampler", None)
        if sampler is None:
            return _SAMPLED
        sampled = sampler.should_sample(None, trace_id, name, kind).decision.is_sampled()
    except Exception as error:  # noqa: BLE001 (the app's own sampler, or a provider that its environment names in vain)
        guard.report("the app's sampler", error)
        return _SAMPLED
    return _SAMPLED if sampled else _UNSAMPLED


_random = random.Random(os.urandom(32))
_random_pid = os.getpid()


def new_ids() -> random.Random:
    """A generator of our own: the program may seed `random` itself, and forked processes must differ, also where
    no fork hooks are called (uWSGI)."""
    global _random, _random_pid
    if _random_pid != os.getpid():
        _random, _random_pid = random.Random(os.urandom(32)), os.getpid()
    return _random
