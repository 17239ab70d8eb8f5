"""Verdicts on traces: a user's thumb and comment, a judge's mark, the answer that was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import FeedbackError


def log_feedback(
    value: bool | int | float | str,
    *,
    trace_id: str | None = None,
    span_id: str | None = None,
    name: str = "feedback",
    comment: str | None = None,
    user: str | None = None,
    source: str = "human",
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Says how good a trace was: it goes the way of its spans, to every destination that has a place for it.

    It may be given before the trace has arrived anywhere, in another process than the trace's, and more than once:
    what the same user says under the same name of the same trace takes the place of what was said before.

    Example:
        >>> import autotrace
        >>> with autotrace.span("answer"):
        ...     trace_id = autotrace.current_trace_id()
        >>> feedback = autotrace.log_feedback(True, trace_id=trace_id, user="alice", comment="just what I needed")

    Args:
        value: True and False are thumbs up and down; or a number, or a text such as a category.
        trace_id: The trace, as `current_trace_id` gives it (MLflow's `tr-...` too); the current one when None.
        span_id: One of its spans, 16 hexadecimal digits; the whole trace when None.
        name: What is judged, such as `helpfulness`.
        comment: Why, in words. Like any content, it is redacted, cut and left out as the settings say.
        user: Who says so.
        source: `human`, `llm_judge` or `code`.
        metadata: More, by name.

    Returns:
        The feedback's id, 32 hexadecimal digits.

    Raises:
        FeedbackError: There is no trace, or a value cannot be used.
    """
    return _log(
        "feedback",
        value,
        trace_id,
        span_id=span_id,
        name=name,
        comment=comment,
        user=user,
        source=source,
        metadata=metadata,
    )


def log_expectation(
    value: Any,
    *,
    trace_id: str | None = None,
    span_id: str | None = None,
    name: str = "expected_response",
    user: str | None = None,
    source: str = "human",
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Says what a trace should have come to, for evaluations; otherwise as `log_feedback`.

    Example:
        >>> import autotrace
        >>> with autotrace.span("answer"):
        ...     expectation = autotrace.log_expectation("42", user="alice")

    Args:
        value: Any value that JSON can hold.
        trace_id: The trace; the current one when None.
        span_id: One of its spans; the whole trace when None.
        name: What is expected.
        user: Who says so.
        source: `human`, `llm_judge` or `code`.
        metadata: More, by name.

    Returns:
        The expectation's id, 32 hexadecimal digits.

    Raises:
        FeedbackError: There is no trace, or a value cannot be used.
    """
    return _log("expectation", value, trace_id, span_id=span_id, name=name, user=user, source=source, metadata=metadata)


def update(trace_id: str, session: str | None, user: str | None, tags: Mapping[str, Any], name: str | None) -> None:
    """Says of a trace that is over whose it is; see `autotrace.update_trace`.

    Raises:
        FeedbackError: The trace's id is none.
    """
    from .activation import active
    from .recording.feedback import WHOLE_TRACE, trace_named, update_body
    from .recording.guard import guard

    trace = trace_named(trace_id)
    with guard("autotrace.update_trace"):
        active().note("U", f"{trace} {WHOLE_TRACE}", update_body(session, user, tags, name))


def _log(kind: str, value: Any, trace_id: str | None, **more: Any) -> str:
    from .activation import active
    from .recording.feedback import feedback_of, trace_named

    trace = _current_trace() if trace_id is None else trace_named(trace_id)
    given = feedback_of(kind, value, trace, **more)
    active().log(given)
    return given.id


def _current_trace() -> str:
    from .recording.current import current_context
    from .recording.held import trace_id_in

    current = trace_id_in(current_context())
    if not current:
        raise FeedbackError("there is no current trace: give trace_id, which current_trace_id() tells inside one")
    return f"{current:032x}"
