"""Verdicts on traces: a user's thumb and comment, a judge's mark, the answer that was expected."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from .errors import FeedbackError

#: Who may give a verdict.
SOURCES = ("human", "llm_judge", "code")
#: Characters of a name, of who gave it, of a text value and of a comment.
NAME_LIMIT, TEXT_LIMIT = 250, 10_000
#: What a mark must lie below: not every place that it goes to can hold more.
NUMBER_LIMIT = 2**63
_TRACE, _SPAN = re.compile("(?:tr-)?([0-9a-f]{32})"), re.compile("[0-9a-f]{16}")
_WHOLE_TRACE = "0" * 16


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
    if not isinstance(value, bool | int | float | str):
        raise FeedbackError(f"the value must be true, false, a number or a text, not {type(value).__name__}")
    if isinstance(value, int | float) and not abs(value) < NUMBER_LIMIT:
        raise FeedbackError("a number must be finite, and below 2**63")
    return _log("feedback", value, trace_id, span_id, name, comment, user, source, metadata)


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
    return _log("expectation", value, trace_id, span_id, name, None, user, source, metadata)


def update(trace_id: str, session: str | None, user: str | None, tags: Mapping[str, Any], name: str | None) -> None:
    """Says of a trace that is over whose it is; see `autotrace.update_trace`.

    Raises:
        FeedbackError: The trace's id is none.
    """
    from .activation import active
    from .recording.encoding import plain
    from .recording.guard import guard

    trace = _trace(trace_id)
    with guard("autotrace.update_trace"):
        body = {
            "time": time.time_ns(),
            "name": _text(name),
            "session": _text(session),
            "user": _text(user),
            "tags": plain(dict(tags)),
        }
        active().note("U", f"{trace} {_WHOLE_TRACE}", body)


def _log(
    kind: str,
    value: Any,
    trace_id: str | None,
    span_id: str | None,
    name: str,
    comment: str | None,
    user: str | None,
    source: str,
    metadata: Mapping[str, Any] | None,
) -> str:
    from .activation import active
    from .recording.guard import guard
    from .recording.privacy import scrubbed

    trace = _trace(trace_id)
    span = _WHOLE_TRACE if span_id is None else span_id
    if not isinstance(span, str) or not _SPAN.fullmatch(span):
        raise FeedbackError(f"{span!r:.80} is not the id of a span: 16 hexadecimal digits")
    if not isinstance(name, str) or not name.strip():
        raise FeedbackError(f"the name must be a text, not {name!r:.80}")
    if source not in SOURCES:
        raise FeedbackError(f"the source must be one of {', '.join(SOURCES)}, not {source!r:.80}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise FeedbackError(f"the metadata must be a mapping, not {type(metadata).__name__}")
    name, user = name.strip()[:NAME_LIMIT], _short(user)
    found = feedback_id(trace, span, kind, name, source, user)
    with guard("autotrace.log_feedback"):
        recorder = active().recorder()
        if recorder is None:
            return found
        policy = recorder.policy
        said = _text(comment)
        kept = None if said is None else policy.value(said[:TEXT_LIMIT])
        body = {
            "id": found,
            "type": kind,
            "name": name,
            "value": policy.text(value[:TEXT_LIMIT]) if isinstance(value, str) else scrubbed(value, policy.text),
            "comment": None if kept is None else kept[0],
            "source_type": source,
            "source": user,
            "time": time.time_ns(),
            "metadata": {key: _text(item) for key, item in scrubbed(dict(metadata or {}), policy.text).items()},
        }
        active().note("F", f"{trace} {span}", body)
    return found


def feedback_id(trace: str, span: str, kind: str, name: str, source: str, user: str | None) -> str:
    """The id of a verdict: the same for what takes the place of what was said before."""
    from hashlib import sha256

    text = "\0".join((trace, span, kind, name, source, user or ""))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _trace(trace_id: str | None) -> str:
    if trace_id is None:
        from .recording.current import current_context
        from .recording.held import trace_id_in

        current = trace_id_in(current_context())
        if current:
            return f"{current:032x}"
        raise FeedbackError("there is no current trace: give trace_id, which current_trace_id() tells inside one")
    found = _TRACE.fullmatch(trace_id.strip().lower()) if isinstance(trace_id, str) else None
    if found is None or set(found[1]) == {"0"}:
        raise FeedbackError(f"{trace_id!r:.80} is not the id of a trace: 32 hexadecimal digits")
    return found[1]


def _short(value: Any) -> str | None:
    text = _text(value)
    return None if text is None else text[:NAME_LIMIT]


def _text(value: Any) -> str | None:
    """A text as it is, anything else as JSON: without calling what a stranger's `str` would."""
    from .recording.encoding import readable, to_json

    return value if value is None else readable(value) if isinstance(value, str) else to_json(value)
