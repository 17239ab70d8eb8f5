"""The manual API: spans of one's own, and what is said of a trace.

It works with and without `import autotrace.auto`. Nothing heavy is imported before the first call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recording.contributions import Contribution
    from .recording.messages import RequestValues, ResponseValues
    from .recording.recorder import Operation

_UNSET: Any = object()


class Span:
    """A span that is open in a `with autotrace.span(...)` block.

    Example:
        >>> import autotrace
        >>> with autotrace.span("plan") as span:
        ...     span.set(output=["book a train", "pack"])
    """

    def __init__(self, operation: Operation | Contribution | None) -> None:
        self._operation = operation
        self._attributes: dict[str, Any] = {}

    def set(self, *, output: Any = _UNSET, attributes: Mapping[str, Any] | None = None) -> None:
        """Adds what has become known.

        Example:
            >>> import autotrace
            >>> with autotrace.span("plan", input="a trip to Rome") as span:
            ...     span.set(output=["book a train", "pack"], attributes={"steps": 2})

        Args:
            output: What the work came to: any value.
            attributes: More, by name.
        """
        if self._operation is None:
            return
        from .recording.guard import guard

        with guard("autotrace.span"):
            self._attributes.update(attributes or {})
            values: ResponseValues = {"attributes": self._attributes}
            if output is not _UNSET:
                values["output_value"] = output
            self._operation.set(values)


@contextmanager
def span(
    name: str,
    *,
    input: Any = _UNSET,  # noqa: A002
    operation: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> Iterator[Span]:
    """Records a block of code as a span; calls made inside nest under it.

    Example:
        >>> import autotrace
        >>> with autotrace.span("answer", input={"question": "why?"}) as span:
        ...     span.set(output="because")

    Args:
        name: What the span is called.
        input: What the work starts from: any value.
        operation: `gen_ai.operation.name`, such as `invoke_agent` or `execute_tool`, where it is one.
        attributes: More, by name.

    An exception passes through; the span then ends with it.
    """
    started = _started(name, input, operation, attributes)
    if started is None:
        yield Span(None)
        return
    from .recording.current import enter, leave

    token = enter(started.context)
    try:
        yield Span(started)
    except BaseException as error:
        started.fail(error)
        raise
    else:
        started.finish()
    finally:
        leave(token)


def _started(
    name: str, value: Any, operation: str, attributes: Mapping[str, Any] | None
) -> Operation | Contribution | None:
    from .activation import active
    from .recording.current import current_context
    from .recording.guard import guard
    from .recording.suppression import is_suppressed

    try:
        recorder = active().recorder()
        if recorder is None or is_suppressed(current_context(), "autotrace"):
            return None
        values: RequestValues = {"name": str(name), "attributes": dict(attributes or {})}
        if value is not _UNSET:
            values["input_value"] = value
        return recorder.start(operation, values)
    except Exception as error:  # noqa: BLE001 (values of any shape)
        guard.report("autotrace.span", error)
        return None


def update_trace(
    *,
    session: str | None = None,
    user: str | None = None,
    tags: Mapping[str, Any] | None = None,
    name: str | None = None,
    trace_id: str | None = None,
) -> None:
    """Says of the current trace whose it is, or of one that is over. Does nothing where there is none.

    Example:
        >>> import autotrace
        >>> with autotrace.span("answer"):
        ...     autotrace.update_trace(session="chat-7", user="alice", tags={"plan": "pro"})

    Args:
        session: The conversation that it belongs to.
        user: Who asked.
        tags: More to find it by; added to what is there.
        name: What the trace is called.
        trace_id: A trace that is over, as `current_trace_id` told it; the current one when None.

    Raises:
        FeedbackError: `trace_id` is no trace's id.
    """
    if trace_id is not None:
        from .feedback import update

        update(trace_id, session, user, _tags(tags, "autotrace.update_trace"), name)
        return
    from .recording.current import current_context
    from .recording.guard import guard
    from .recording.labels import TRACE, Labels, TraceState

    state = current_context().get(TRACE)
    if isinstance(state, TraceState):
        with guard("autotrace.update_trace"):
            state.update(Labels(session, user, _tags(tags, "autotrace.update_trace")), name)


def _tags(tags: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """The tags as a dict of our own; none, and a report, when they are no mapping."""
    from .recording.guard import guard

    try:
        return dict(tags or {})
    except Exception as error:  # noqa: BLE001 (values of any shape)
        guard.report(f"{where}: tags", error)
        return {}


@contextmanager
def context(
    *, session: str | None = None, user: str | None = None, tags: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Says whose the traces are that begin inside: for code that one does not own.

    Example:
        >>> import autotrace
        >>> with autotrace.context(session="chat-7", user="alice"):
        ...     pass  # every trace that begins here is Alice's

    Args:
        session: The conversation that they belong to.
        user: Who asked.
        tags: More to find them by.
    """
    from opentelemetry.context import Context

    from .recording.current import current_context, enter, leave
    from .recording.labels import EMPTY, LABELS, Labels

    around = current_context()
    known = around.get(LABELS)
    labels = Labels(session, user, _tags(tags, "autotrace.context")).over(known if isinstance(known, Labels) else EMPTY)
    token = enter(Context({**around, LABELS: labels}))
    try:
        yield
    finally:
        leave(token)


@contextmanager
def suppress(*frameworks: str) -> Iterator[None]:
    """Traces no calls of these frameworks (of none at all, when none is named) inside.

    Example:
        >>> import autotrace
        >>> with autotrace.suppress("openai"):
        ...     pass  # calls of openai leave no span

    Args:
        *frameworks: Names as in `autotrace.autolog`; `autotrace` stands for spans of one's own.
    """
    from .recording.current import enter, leave
    from .recording.suppression import suppressing

    token = enter(suppressing(frozenset(frameworks)))
    try:
        yield
    finally:
        leave(token)


def current_trace_id() -> str | None:
    """The id of the current trace, 32 hexadecimal digits; None where there is none.

    Example:
        >>> import autotrace
        >>> autotrace.current_trace_id() is None
        True
    """
    from .recording.current import current_context
    from .recording.held import trace_id_in

    found = trace_id_in(current_context())
    return f"{found:032x}" if found else None
