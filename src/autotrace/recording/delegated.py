"""Spans that another instrumentor makes, recorded as ours.

An instrumentor asks a tracer for spans and says by and by, in a vocabulary of its own, what they are. So what it says
is kept until the span ends; then it is translated, once, into the values that our own plugins return, and goes the way
that theirs go: policy, conventions, journal. What is current meanwhile is a `DelegatedSpan`, which the instrumentor may
wrap; what is ours of it hangs on its attribute `delegated`.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

from . import failures, semconv, usage
from .encoding import readable
from .guard import guard
from .messages import RequestValues, ResponseValues
from .recorder import Operation, Recorder
from .tracer import OWN_SPAN, SPAN_KEY, RecordedSpan

#: What is known of a span before and after, and the attributes that are not known: those may be content, and are kept
#: only where content is.
Translated = tuple[RequestValues, ResponseValues, Mapping[str, Any]]
Translate = Callable[[str, Mapping[str, Any]], Translated]

#: Attributes that are kept of one span before it is translated. Instrumentors make several of each message.
MAX_ATTRIBUTES = 20_000
#: Attributes that are kept of one span though nobody knows what they are: there is room for ours beside them.
MAX_UNKNOWN = 64
#: Names of spans and events that can hardly be a sentence.
_WORD = re.compile(r"[\w.:/-]{1,64}", re.ASCII)


def untranslated(name: str, attributes: Mapping[str, Any]) -> Translated:
    """Of an instrumentor that nobody translates: every attribute may be content."""
    return {}, {}, attributes


class Source(NamedTuple):
    """Where an instrumentor's spans come from.

    Attributes:
        recorder: Opens and ends them; owns no model calls (recording/usage.py).
        translate: Says what they are.
        instrumentor: The instrumentor's scope.
    """

    recorder: Recorder
    translate: Translate
    instrumentor: str


class DelegatedSpan(trace.Span):
    """A span that an instrumentor fills.

    Attributes:
        name: As the instrumentor says.
        attributes: What it has said so far; of no effect after the end.
        delegated: Itself: how it is found behind an instrumentor's wrapper.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        context: Context,
        kind: SpanKind,
        attributes: dict[str, Any],
        start_time: int | None,
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.kind = kind
        self.start_time = start_time if start_time is not None else time.time_ns()
        self.end_time: int | None = None
        self.status = Status()
        self._source = source
        self._error: BaseException | None = None
        self._claim = usage.Claim(context)
        self._owner = usage.owner(context)
        self._is_ended = False
        request, _, _ = self._translated()
        recorder = self._recorder
        self._operation = cast(
            Operation,  # it owns no model calls, and contributes to none by itself
            recorder.start("", request, parent=context, started=self.start_time, kind=kind),
        )

    @property
    def delegated(self) -> DelegatedSpan:
        """Itself."""
        return self

    @property
    def context(self) -> SpanContext:
        """As the SDK's spans have it."""
        return self.get_span_context()

    @property
    def parent(self) -> SpanContext | None:
        """Where it lies."""
        return getattr(self._operation.span, "parent", None)

    @property
    def _attributes(self) -> dict[str, Any]:
        return self.attributes  # instrumentors read that of the SDK's spans

    @property
    def _recorder(self) -> Recorder:
        return self._source.recorder

    def within(self, context: Mapping[str, object]) -> Context:
        """`context`, in which the span is the current one, as spans of ours see it."""
        ours = self._operation.context
        found = {key: value for key, value in ours.items() if key.startswith("autotrace.")}
        span = self._operation.span
        return Context({**found, **context, SPAN_KEY: span, OWN_SPAN: span, usage.CLAIM: self._claim})

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        return self._operation.span.get_span_context()

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return not self._is_ended and self._operation.is_open and self._operation.span.is_recording()

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Keeps attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Keeps one attribute."""
        if self._is_ended or not isinstance(key, str) or value is None:
            return
        if key in self.attributes or len(self.attributes) < MAX_ATTRIBUTES:
            self.attributes[key] = value

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Adds something that happened: what is said of it is content."""
        if not self._is_ended:
            with guard(f"{self._recorder.name}: event"):
                policy = self._recorder.policy
                told = cast(Any, policy.attributes(attributes or {}))
                self._operation.span.add_event(self._kept(str(name)) or "event", told, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Links another span."""
        if not self._is_ended:
            self._operation.span.add_link(context, cast(Any, self._recorder.policy.attributes(attributes or {})))

    def update_name(self, name: str) -> None:
        """Renames it."""
        self.name = str(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Says how it went. OK is final, unset says nothing."""
        if self.status.status_code is not StatusCode.OK:
            status = status if isinstance(status, Status) else Status(status, description)
            self.status = self.status if status.status_code is StatusCode.UNSET else status

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Keeps an exception: whether the span failed by it, its status will say."""
        self._error = exception

    def end(self, end_time: int | None = None) -> None:
        """Translates what was said and ends it; once."""
        self._end(end_time, None)

    def __del__(self) -> None:
        if getattr(self, "_is_ended", True) or not hasattr(self, "_operation"):
            return
        try:
            self._end(None, "abandoned")
        except Exception as error:  # noqa: BLE001 (the interpreter may be half gone)
            guard.report("end of an abandoned span", error)

    def _end(self, end_time: int | None, outcome: str | None) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        self.end_time = end_time if end_time is not None else time.time_ns()
        operation = self._operation
        operation.end_time = end_time
        error, self._error = self._error, None
        if not operation.is_open:
            return  # ended with the process
        response: ResponseValues = {}
        with guard(f"{self._recorder.name}: what an instrumentor's span says"):
            response = self._told()
        if self.status.status_code is not StatusCode.ERROR:
            if error is not None:
                message = self._recorder.policy.error(error) or None
                told = {"exception.type": failures.type_name(error), "exception.message": message}
                operation.event("exception", told)
            operation.finish(response, outcome)
        elif error is not None:
            operation.fail(error, response)
        else:
            kind = self.attributes.get(semconv.ERROR_TYPE)
            response["error"] = str(kind or "error"), readable(self.status.description or "")
            operation.finish(response, outcome)

    def _told(self) -> ResponseValues:
        """Writes what is known now of the beginning, and the tokens; returns what is known of the end."""
        request, response, rest = self._translated()
        operation, span = self._operation, self._operation.span
        operation.kind = kind = request.get("operation", "")
        span.update_name(semconv.span_name(kind, request))
        if type(span) is RecordedSpan and self.kind is SpanKind.INTERNAL:
            span.kind = semconv.span_kind(kind)  # some say nothing of it
        self._recorder.add(operation, request)
        kept = self._recorder.policy.attributes(dict(itertools.islice(rest.items(), MAX_UNKNOWN)))
        span.set_attributes({key: value for key, value in kept.items() if value is not None})
        told = response.pop("usage", None)
        if told is not None and kind in semconv.MODEL_OPERATIONS and self._claim.tell():
            if self._owner is not None and self._owner.is_open:
                self._owner.contributions.append({"usage": told})
            else:
                span.set_attributes(semconv.usage_attributes(told))
        return response

    def _translated(self) -> Translated:
        recorder, attributes = self._recorder, dict(self.attributes)
        try:
            request, response, rest = self._source.translate(self.name, attributes)
        except Exception as error:  # noqa: BLE001 (a plugin's code)
            guard.report(f"{recorder.name}: translation", error)
            request, response, rest = {}, {}, attributes
        facts = {**request.get("attributes", {}), semconv.INSTRUMENTOR: self._source.instrumentor}
        request = {**request, "attributes": facts}
        if not request.get("operation"):
            # A span that is none of the conventions' has the name that the instrumentor gave it.
            request["name"] = self._kept(request.get("name") or self.name) or recorder.name
        return request, response, rest

    def _kept(self, name: str) -> str:
        """A name as the policy allows it: without content, what can hardly be a sentence."""
        policy = self._recorder.policy
        if policy.keeps_content:
            return policy.text(readable(name))
        return name if _WORD.fullmatch(name) else ""
