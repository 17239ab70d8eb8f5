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
    values: Callable[[], ResponseValues] | None
    outcome: str | None
    error: BaseException | None
    end_time: int | None


class Held:
    """A root that waits.

    Args:
        recorder: Records it.
        outer: The context in which the work begins.
        describe: Says what the work is; called when it is recorded, and when something is sent before that.
        kind: SERVER for a request, CONSUMER for a task.
        labels: Whose it is, as far as is known.
        remote: The span of another process that this work belongs to.
        links: Spans that led to it, in traces of their own.
        recorded: Called with the trace's id, 32 hexadecimal digits, when the root is recorded.
        id: What the framework calls it, by which it is known where its end is told of.

    Attributes:
        started: When the work began, in ns since 1970.
        context: What the work is to run in.
    """

    __slots__ = (
        *("_describe", "_ending", "_kind", "_links", "_lock", "_operation", "_outer", "_pid", "_recorded"),
        *("_recorder", "_remote", "_span_id", "_state", "_trace_id", "context", "id", "started"),
    )

    def __init__(
        self,
        recorder: Recorder,
        outer: Context,
        describe: Callable[[], Description],
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
        if isinstance(around, TraceState) and remote is None:  # within a trace already
            self._state = around
            near = outer.get(LABELS)
            known = labels.over(near if isinstance(near, Labels) else EMPTY)
            self.context = Context({**outer, HELD: self, LABELS: known})
        else:
            self._state = TraceState(INVALID_SPAN, labels)
            self.context = Context({**outer, HELD: self, TRACE: self._state})

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
                return known.over(self._describe().labels)
        return known

    def within(self, context: Context) -> Context:
        """A context of this work's, with the root as the parent of what is about to begin in it.

        From now on the root is recorded; not by a process that was forked meanwhile, whose root would be a second one.
        The program's own span stays the current one where there is one; ours lie beneath ours.
        """
        if self._operation is None and self._pid != os.getpid():
            return context
        operation = self._operation or self._begin(context)
        own = self._outer.get(OWN_SPAN)
        if context.get(OWN_SPAN) is not own:  # something of ours in between
            return context
        holder = context.get(SPAN_KEY)
        if holder is self._outer.get(SPAN_KEY):
            return Context({**context, SPAN_KEY: operation.span, OWN_SPAN: operation.span})
        return Context({**context, OWN_SPAN: operation.span, ASIDE: holder})

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
            self._ending = _Ending(values, outcome, error, self._recorder.now() if end_time is None else end_time)
            operation = self._operation
        if operation is not None:
            self._end(operation)

    def _begin(self, context: Context) -> Operation:
        with self._lock:
            if self._operation is None:
                self._operation = self._recorded_root(context)
                is_late = self._ending is not None
            else:
                return self._operation
        if is_late:  # a thread that outlives the work that began it
            self._end(self._operation)
        if self._recorded is not None:
            with guard(f"{self._recorder.name}: recorded"):
                self._recorded(f"{self._operation.span.get_span_context().trace_id:032x}")
        return self._operation

    def _recorded_root(self, context: Context) -> Operation:
        values: RequestValues = {}
        labels = EMPTY
        with guard(f"{self._recorder.name}: request values"):
            values, labels = self._describe()
        self._state.labels = self._state.labels.over(labels)
        operation = self._recorder.start(
            "",
            values,
            parent=self._parent(context),
            started=self.started,
            kind=self._kind,
            ids=(self._trace_id, self._span_id),
        )
        assert isinstance(operation, Operation)
        for link in self._links:
            operation.span.add_link(link)
        self._state.begin(operation.span)
        return operation

    def _parent(self, context: Context) -> Context:
        """What the root lies in: the sender, other work around this, or a span that the program has made of it."""
        outer = self._outer
        around = outer.get(HELD)
        if isinstance(around, Held):
            outer = around.within(outer)
        found: dict[str, object] = {**outer, TRACE: self._state}
        found.pop(HELD, None)  # the root itself is not looked for there
        holder = context.get(SPAN_KEY)
        if self._remote is not None:
            found[SPAN_KEY] = NonRecordingSpan(self._remote)
        elif not self._trace_id or _trace_of(holder) == self._trace_id:
            is_new = holder is not self._outer.get(SPAN_KEY) and type(holder) is not RecordedSpan
            if is_new and _trace_of(holder):
                found[SPAN_KEY] = holder
        return Context(found)

    def _end(self, operation: Operation) -> None:
        ending = self._ending
        assert ending is not None
        values: ResponseValues = {}
        with guard(f"{self._recorder.name}: response values"):
            values = ending.values() if ending.values is not None else {}
        operation.end_time = ending.end_time
        if ending.error is not None:
            operation.fail(ending.error, values)
        else:
            operation.finish(values, ending.outcome)


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
    if type(holder) is not RecordedSpan and isinstance(held, Held) and held.trace_id:
        return held.trace_id
    return _trace_of(holder)
