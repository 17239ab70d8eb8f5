"""Opens, fills and ends spans safely: an operation that was started always ends, exactly once, in one process.

For calls that the host wraps, `calls.py` drives this; frameworks that report start and end themselves talk to it
directly:

    operation = recorder.start("invoke_agent", {"name": "planner"})
    operation.set(output=[Message.assistant("done")])
    operation.finish()          # or operation.fail(error)
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections.abc import Mapping
from typing import Any, cast

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from . import failures, semconv, usage
from .contributions import Contribution
from .current import current_context
from .encoding import scalar
from .guard import guard
from .labels import EMPTY, TRACE, Labels, TraceState, in_force
from .messages import REQUEST_KEYS, RESPONSE_KEYS, RequestValues, ResponseValues, UnknownKey
from .privacy import Policy, without_secrets
from .tracer import HELD, OWN_SPAN, SPAN_KEY, LeanTracer, RecordedSpan

_keys = itertools.count()
#: Open operations of this process, so that they can be ended when it exits. Taking one out is what ends it: a
#: dict's pop is atomic, so two threads that race to end one operation end it once.
_open: dict[int, weakref.ref[Operation]] = {}


class Recorder:
    """Starts operations for one framework.

    Args:
        name: The framework, e.g. `openai`; errors of ours are counted under it.
        tracer: Where spans come from. May be replaced while running.
        policy: What content its spans may hold.
        provider: `gen_ai.provider.name`, unless a mapper says otherwise.
        owns_model_calls: Whether the tokens of the calls inside its model calls are theirs (recording/usage.py). Not
            so for a program's own spans: what they call `chat` may hold any number of calls.
        is_layered: Whether model calls of this framework are made of one another (a wrapper around a model, a
            completion made by a chat): only the outermost is a call then.
    """

    def __init__(
        self,
        name: str,
        tracer: Tracer,
        policy: Policy,
        provider: str = "",
        owns_model_calls: bool = True,
        is_layered: bool = False,
    ) -> None:
        self._owns_model_calls = owns_model_calls
        self.is_layered = is_layered
        self.name = name
        self.tracer = tracer
        self.policy = policy
        self.provider = provider
        #: Where the tracer comes from.
        self.tracer_provider: TracerProvider | None = None

    @property
    def is_shared(self) -> bool:
        """Whether its spans go through the app's own provider, beside those of other tools."""
        return type(self.tracer) is not LeanTracer

    def now(self) -> int:
        """The time in ns since 1970, by the clock that its spans are timed with."""
        tracer = self.tracer
        return tracer.clock() if type(tracer) is LeanTracer else time.time_ns()

    def start(
        self,
        operation: str,
        values: RequestValues | None = None,
        *,
        parent: Context | None = None,
        started: int | None = None,
        kind: SpanKind | None = None,
        ids: tuple[int, int] = (0, 0),
    ) -> Operation | Contribution:
        """Starts an operation: a span, or a contribution to the model call that it lies in.

        Args:
            operation: `gen_ai.operation.name`, e.g. `chat`.
            values: What is known so far.
            parent: The context that it lies in; the current one when None.
            started: When it started, in ns since 1970; now when None.
            kind: Its kind, where that does not follow from `operation`.
            ids: The id of the trace that it begins, if it begins one, and its own; 0: a new one.
        """
        values = values if values is not None else {}
        if type(values) is not dict or not values.keys() <= REQUEST_KEYS:
            values = cast(RequestValues, self.checked("request", values, REQUEST_KEYS))
        context = current_context() if parent is None else parent
        held: Any = context.get(HELD)
        if held is not None:
            context = held.within(context)
        operation = values.get("operation") or operation
        is_model_call = self._owns_model_calls and operation in semconv.MODEL_OPERATIONS
        started = started if started is not None else self.now()
        if is_model_call:
            call = usage.owner(context) if self.is_layered else usage.owner_of(context, self.name)
            if call is not None:
                return Contribution(self, call, context, operation, values, started)
        attributes: dict[str, Any]
        try:
            provider = values.get("provider") or self.provider
            attributes = semconv.request_attributes(operation, provider, values, self.policy)
            name = semconv.span_name(operation, values)
            labels = in_force(context)
            session = values.get("session")
            if session and (labels is None or labels.session is None):
                labels = Labels(session).over(labels if labels is not None else EMPTY)
            else:
                session = None
            if labels is not None:
                attributes.update(labels.attributes())
        except Exception as error:  # noqa: BLE001 (values of any shape)
            guard.report(f"{self.name}: request values", error)
            name, attributes, labels, session = operation, {semconv.OPERATION: operation}, None, None
        kind = semconv.span_kind(operation) if kind is None else kind
        tracer = self.tracer
        span: Span
        if type(tracer) is LeanTracer:
            span = tracer.start_known(name, context, kind, attributes, started, ids)
        else:
            span = tracer.start_span(name, context, kind, attributes, start_time=started)
        inner: dict[str, object] = {**context, SPAN_KEY: span, OWN_SPAN: span}
        model_call = None
        if is_model_call:
            inner[usage.KEY] = model_call = usage.ModelCall(span, self.name, usage.claim(context))
        state = inner.get(TRACE)
        if not isinstance(state, TraceState):
            inner[TRACE] = TraceState(span, labels or EMPTY)
        elif session and state.labels.session is None:
            state.update(Labels(session), None)  # whose trace it is, a framework says beneath the trace's first span
        return Operation(self, span, Context(inner), started, model_call, operation)

    def checked(self, what: str, values: Any, known: frozenset[str]) -> Any:
        """What a plugin's mapper has returned, as far as it is values; what is not is told, and counted."""
        if not isinstance(values, Mapping):
            guard.report(f"{self.name}: {what} values", TypeError(f"a dict was expected, not {type(values).__name__}"))
            return {}
        if not values.keys() <= known:
            error = UnknownKey(values, known)
            guard.tell(f"{self.name}: {what} values: {error}")
            guard.report(f"{self.name}: {what} values", error)
        return values

    def add(self, operation: Operation | Contribution, values: RequestValues) -> None:
        """Says more, or otherwise, of what an open operation began with."""
        if isinstance(operation, Operation) and operation.is_open:
            provider = values.get("provider") or self.provider
            operation.span.set_attributes(semconv.request_attributes(operation.kind, provider, values, self.policy))


def next_number() -> int:
    """Higher than the number of every operation that was started before, lower than those of all to come."""
    return next(_keys)


class Operation:
    """A started operation. `finish`, `fail` or `abandon` ends it; whichever comes first counts.

    Attributes:
        span: Its OpenTelemetry span.
        context: The context in which its work should run.
        kind: Its `gen_ai.operation.name`; empty for a step that is none of the conventions'.
        end_time: When it ended, in ns since 1970; None: when it is told so.
    """

    __slots__ = (
        *("__weakref__", "_key", "_model_call", "_pid", "_recorder", "_started", "_values"),
        *("context", "end_time", "kind", "span"),
    )

    def __init__(
        self,
        recorder: Recorder,
        span: Span,
        context: Context,
        started: int,
        model_call: usage.ModelCall | None,
        kind: str,
    ) -> None:
        self.kind = kind
        self.end_time: int | None = None
        self.span = span
        self.context = context
        self._recorder = recorder
        self._started = started
        self._model_call = model_call
        self._values: ResponseValues | None = None
        self._pid = os.getpid()
        self._key = next(_keys)
        _open[self._key] = weakref.ref(self)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self._key in _open

    @property
    def number(self) -> int:
        """Higher than that of every operation that was started before."""
        return self._key

    @property
    def known(self) -> ResponseValues:
        """What has become known so far."""
        return self._values or {}

    def set(self, values: ResponseValues) -> None:
        """Adds what has become known."""
        self._values = values if self._values is None else {**self._values, **values}

    def first_chunk(self) -> None:
        """The first chunk of a stream has arrived."""
        if self._key in _open:
            seconds = (self._recorder.now() - self._started) / 1e9
            self.span.set_attribute(semconv.TIME_TO_FIRST_CHUNK, seconds)

    def event(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Something that happened on the way, such as a retry."""
        known = {key: scalar(value) for key, value in attributes.items() if value is not None}
        self.span.add_event(name, cast(Any, known))

    def finish(self, values: ResponseValues | None = None, outcome: str | None = None) -> None:
        """Ends it well, or with an outcome that is neither success nor failure (`closed`, `cancelled`, ...)."""
        if values is not None:
            self._values = values if self._values is None else {**self._values, **values}
        self._end(outcome, None)

    def fail(self, error: BaseException, values: ResponseValues | None = None) -> None:
        """Ends it with an error; a cancellation or an exit is none."""
        if values is not None:
            self.set(values)
        self._end(failures.outcome_of(error), error)

    def abandon(self, outcome: str) -> None:
        """Ends it because nobody else will."""
        self._end(outcome, None)

    def __del__(self) -> None:
        if self._key not in _open:
            return
        try:
            self._end("abandoned", None)
        except Exception as error:  # noqa: BLE001 (the interpreter may be half gone)
            guard.report("end of an abandoned operation", error)

    def _end(self, outcome: str | None, error: BaseException | None) -> None:
        if _open.pop(self._key, None) is None:
            return
        if self._pid != os.getpid():
            return  # a fork's copy: the parent ends its own
        span = self.span
        try:
            values = self._values or {}
            if type(values) is not dict or not values.keys() <= RESPONSE_KEYS:
                values = cast(ResponseValues, self._recorder.checked("response", values, RESPONSE_KEYS))
            if self._model_call is not None:
                self._model_call.outcome = outcome
                values = self._model_call.combined(values)
            elif "usage" in values:
                # Tokens stand on model calls alone: a retrieved reply, an agent's total would count them again.
                values = {**values, "usage": None}
            found = semconv.response_attributes(values, self._recorder.policy, self.kind)
            if type(span) is RecordedSpan:
                span.set_known(found)
            else:
                span.set_attributes(found)
            self._set_status(values, outcome, error)
        except Exception as problem:  # noqa: BLE001 (values of any shape)
            guard.report(f"{self._recorder.name}: response values", problem)
        try:
            span.end(self.end_time)
        except Exception as problem:  # noqa: BLE001 (the app's own span processors)
            guard.report("a span processor", problem)

    def _set_status(self, values: ResponseValues, outcome: str | None, error: BaseException | None) -> None:
        span, policy = self.span, self._recorder.policy
        if outcome is not None:
            span.set_attribute(semconv.OUTCOME, outcome)
            return
        if error is not None:
            failures.record(span, error, policy)
            return
        told = values.get("error")
        if told:
            span.set_attribute(semconv.ERROR_TYPE, told[0])
            message = policy.text(without_secrets(told[1])) if policy.keeps_content else None
            span.set_status(Status(StatusCode.ERROR, message))
            return
        if type(span) is RecordedSpan:
            span.succeed()
        else:
            span.set_status(_OK)


_OK = Status(StatusCode.OK)


def end_open_operations(outcome: str = "exited") -> None:
    """Ends what is still open when the process exits."""
    for reference in list(_open.values()):
        operation = reference()
        if operation is not None:
            operation.abandon(outcome)
