"""The root of a unit of work (a request, a task): a span that is recorded once something of ours happens inside.

Work that leads to no call of ours leaves nothing. And nothing of it is current: the program's own OpenTelemetry sees
its request as it did without us. Only what we record looks here for its parent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from . import failures, semconv
from .guard import guard
from .labels import EMPTY, LABELS, TRACE, Labels, TraceState, in_force
from .messages import RequestValues, ResponseValues
from .recorder import Operation, Recorder
from .tracer import ASIDE, HELD, OWN_SPAN, SPAN_KEY, RecordedSpan, new_ids


class Description(NamedTuple):
    """What is known of the work when its root is recorded.

    Attributes:
        values: As a plugin's mapper returns them.
        labels: Whose it is, beneath what the program has said meanwhile.
    """

    values: RequestValues
    labels: Labels = EMPTY


class _Ending(NamedTuple):
    """How work ended that is not recorded; of an exception only its words, for its frames hold what the work held."""

    values: Callable[[], ResponseValues] | None
    outcome: str | None
    problem: tuple[str, str] | None
    end_time: int | None


class Held:
    """A root that waits.

    Args:
        recorder: Records it.
        outer: The context in which the work begins.
        describe: Says what the work is; called when it is recorded, and when something is sent before that. A subclass
            may say it itself (`describe`), as it may say what the work came to (`conclude`).
        kind: SERVER for a request, CONSUMER for a task.
        labels: Whose it is, as far as is known.
        remote: The span of another process that this work belongs to.
        links: Spans that led to it, in traces of their own.
        recorded: Called with the trace's id, 32 hexadecimal digits, when the root is recorded.
        id: What the framework calls it, by which it is known where its end is told of.

    Attributes:
        started: When the work began, in ns since 1970.
        state: The trace, as far as it runs in this work.
    """

    __slots__ = (
        *("_describe", "_ending", "_kind", "_labels", "_links", "_lock", "_operation", "_outer", "_pid"),
        *("_recorded", "_recorder", "_remote", "_span_id", "_trace_id", "id", "started", "state"),
    )

    def __init__(
        self,
        recorder: Recorder,
        outer: Context,
        describe: Callable[[], Description] | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        labels: Labels = EMPTY,
        remote: SpanContext | None = None,
        links: Sequence[SpanContext] = (),
        recorded: Callable[[str], None] | None = None,
        id: Hashable = None,  # noqa: A002
    ) -> None:
        self.id = id
        self.started = recorder.now()
        self._pid = os.getpid()
        self._recorder = recorder
        self._outer = outer
        self._describe = describe
        self._kind = kind
        self._remote = remote
        self._links = links
        self._recorded = recorded
        self._operation: Operation | None = None
        self._ending: _Ending | None = None
        self._trace_id = self._span_id = 0
        self._lock = threading.RLock()
        around = outer.get(TRACE)
        if isinstance(around, TraceState) and remote is None:  # a trace that there is already
            self.state = around
            self._labels: Labels | None = labels
        else:
            self.state = TraceState(INVALID_SPAN, labels)
            self._labels = None

    @property
    def context(self) -> Context:
        """What the work is to run in. Made when it is asked for: kept here it would keep this."""
        return Context({**self._outer, HELD: self, TRACE: self.state})

    def part(self) -> Held:
        """The part of this work that is at hand: this itself, unless a subclass divides it."""
        return self

    def describe(self) -> Description:
        """What the work is."""
        return Description({}) if self._describe is None else self._describe()

    def noted(self, trace_id: str) -> None:
        """The root is recorded, in the trace of this id."""
        if self._recorded is not None:
            self._recorded(trace_id)

    def conclude(self) -> ResponseValues:
        """What the work came to, once it is over."""
        ending = self._ending
        return {} if ending is None or ending.values is None else ending.values()

    @property
    def is_recorded(self) -> bool:
        """Whether something of ours has happened inside."""
        return self._operation is not None

    @property
    def is_over(self) -> bool:
        """Whether the work has ended."""
        return self._ending is not None

    @property
    def trace_id(self) -> int:
        """The id that the trace has, or would have; 0 where only the app's own tracer provider could say."""
        with self._lock:
            if self._operation is not None:
                return self._operation.span.get_span_context().trace_id
            if self._remote is not None:
                return self._remote.trace_id
            if not self._trace_id and not self._recorder.is_shared:
                around = self._outer.get(HELD)
                holder = trace.get_current_span().get_span_context()
                if isinstance(around, Held):
                    self._trace_id = around.trace_id
                else:
                    self._trace_id = holder.trace_id if holder.is_valid else new_ids().getrandbits(128) or 1
            return self._trace_id

    def is_nearest(self, context: Context) -> bool:
        """Whether nothing of ours is between this and `context`."""
        return context.get(OWN_SPAN) is self._outer.get(OWN_SPAN)

    def reference(self) -> SpanContext | None:
        """The ids that the root has, or would have; None where only the app's own tracer provider could say.

        For who refers to it without being part of it: that is no reason to record it. Work that is not recorded by now
        and was sent itself may never be: then its sender's.
        """
        with self._lock:
            if self._operation is not None:
                return self._operation.span.get_span_context()
            if self._links:
                return self._links[0]
            if self._recorder.is_shared or not self.trace_id:
                return None
            self._span_id = self._span_id or new_ids().getrandbits(64) or 1
            return SpanContext(self.trace_id, self._span_id, False, TraceFlags(TraceFlags.SAMPLED))

    def whose(self, context: Context) -> Labels:
        """Whose it is, as far as can be said now, in a context of this work's."""
        known = in_force(context) or EMPTY
        if self._operation is None:
            with guard(f"{self._recorder.name}: request values"):
                return known.over((self._labels or EMPTY).over(self.describe().labels))
        return known

    def within(self, context: Context) -> Context:
        """A context of this work's, with the root as the parent of what is about to begin in it.

        From now on the root is recorded; not by a process that was forked meanwhile, whose root would be a second one.
        The program's own span stays the current one where there is one; ours lie beneath ours.
        """
        if self._operation is None and self._pid != os.getpid():
            return context
        operation = self._operation or self._begin(context)
        if not self.is_nearest(context):
            return context
        holder = context.get(SPAN_KEY)
        inner = {**context, OWN_SPAN: operation.span}
        if self._labels is not None:
            inner[LABELS] = self._near(context, self._labels)
        if holder is self._outer.get(SPAN_KEY):
            return Context({**inner, SPAN_KEY: operation.span})
        return Context({**inner, ASIDE: holder})

    def restate(self) -> None:
        """More is known of the work than when it was recorded; its root must not have ended."""
        operation = self._operation
        if operation is None:
            return
        with guard(f"{self._recorder.name}: request values"):
            values, labels = self.describe()
            self._recorder.add(operation, values)
            operation.span.update_name(semconv.span_name(operation.kind, values))
            if self._labels is None:
                self.state.update(self.state.labels.over(labels), None)
            else:
                self._labels = self._labels.over(labels)
                operation.span.set_attributes(self._labels.attributes())

    def finish(
        self,
        values: Callable[[], ResponseValues] | None = None,
        outcome: str | None = None,
        error: BaseException | None = None,
        end_time: int | None = None,
    ) -> None:
        """The work has ended; the first to say so counts.

        Args:
            values: Says what it came to; called if the root is recorded.
            outcome: How it ended, where that is neither success nor failure.
            error: What it failed with.
            end_time: When, in ns since 1970; now when None.
        """
        with self._lock:
            if self._ending is not None:
                return
            end_time = self._recorder.now() if end_time is None else end_time
            operation = self._operation
            problem = _problem(error) if operation is None and error is not None else None
            if error is not None and outcome is None:
                outcome = failures.outcome_of(error)
            self._ending = _Ending(values, outcome, problem, end_time)
        if operation is not None:
            self._end(operation, error)

    def _begin(self, context: Context) -> Operation:
        with self._lock:
            if self._operation is None:
                self._operation = self._recorded_root(context)
                is_late = self._ending is not None
            else:
                return self._operation
        if is_late:  # a thread that outlives the work that began it
            self._end(self._operation)
        with guard(f"{self._recorder.name}: recorded"):
            self.noted(f"{self._operation.span.get_span_context().trace_id:032x}")
        return self._operation

    def _recorded_root(self, context: Context) -> Operation:
        values: RequestValues = {}
        labels = EMPTY
        with guard(f"{self._recorder.name}: request values"):
            values, labels = self.describe()
        labels = self._near(context, labels)  # it begins in a stretch of which the program has said whose it is
        if self._labels is None:
            self.state.labels = self.state.labels.over(labels)
            labels = self._near(context, EMPTY)
        else:  # the trace is another's
            self._labels = labels = self._labels.over(labels)
        operation = self._recorder.start(
            "",
            values,
            parent=self._parent(context, labels),
            started=self.started,
            kind=self._kind,
            ids=(self._trace_id, self._span_id),
        )
        assert isinstance(operation, Operation)
        for link in self._links:
            operation.span.add_link(link)
        self.state.begin(operation.span)
        return operation

    @staticmethod
    def _near(context: Context, labels: Labels) -> Labels:
        near = context.get(LABELS)
        return near.over(labels) if isinstance(near, Labels) else labels

    def _parent(self, context: Context, labels: Labels) -> Context:
        """What the root lies in: the sender, other work around this, or a span that the program has made of it."""
        outer = self._outer
        around = outer.get(HELD)
        if isinstance(around, Held):
            outer = around.within(outer)
        found: dict[str, object] = {**outer, TRACE: self.state, LABELS: labels}
        found.pop(HELD, None)  # the root itself is not looked for there
        holder = context.get(SPAN_KEY)
        if self._remote is not None:
            found[SPAN_KEY] = NonRecordingSpan(self._remote)
        elif not self._trace_id or _trace_of(holder) == self._trace_id:
            is_new = holder is not self._outer.get(SPAN_KEY) and type(holder) is not RecordedSpan
            if is_new and _trace_of(holder):
                found[SPAN_KEY] = holder
        return Context(found)

    def _end(self, operation: Operation, error: BaseException | None = None) -> None:
        ending = self._ending
        assert ending is not None
        values: ResponseValues = {}
        with guard(f"{self._recorder.name}: response values"):
            values = self.conclude()
        self._ending = _OVER
        operation.end_time = ending.end_time
        if ending.outcome is not None:
            operation.finish(values, ending.outcome)
        elif error is not None:
            operation.fail(error, values)
        else:
            operation.finish({**values, "error": ending.problem} if ending.problem is not None else values)


#: Work whose end has been recorded.
_OVER = _Ending(None, None, None, None)


def _problem(error: BaseException) -> tuple[str, str]:
    message = ""
    with guard("an exception's words"):
        message = str(error)
    return failures.type_name(error), message


def _trace_of(holder: object) -> int:
    found = holder.get_span_context() if isinstance(holder, Span) else None
    return found.trace_id if found is not None and found.is_valid else 0


def held_in(context: Context) -> Held | None:
    """The work that a context belongs to."""
    found = context.get(HELD)
    return found if isinstance(found, Held) else None


def trace_id_in(context: Context) -> int:
    """The id of the trace that `context` belongs to, recorded or about to be; 0 where there is none."""
    holder, held = context.get(SPAN_KEY), context.get(HELD)
    if isinstance(held, Held) and (type(holder) is not RecordedSpan or held.is_nearest(context)):
        return held.trace_id or _trace_of(holder)
    return _trace_of(holder)
