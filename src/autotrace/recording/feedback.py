"""What is said of a trace once it is there: checked, and made what the journal holds of it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import FeedbackError
from .encoding import plain, readable, to_json
from .privacy import Policy, scrubbed

#: Who may give a verdict.
SOURCES = ("human", "llm_judge", "code")
#: Characters of a name, of who gave it, of a text value and of a comment.
NAME_LIMIT, TEXT_LIMIT = 250, 10_000
#: What a mark must lie below: not every place that it goes to can hold more.
NUMBER_LIMIT = 2**63
#: The digits of a span's id where the whole trace is meant.
WHOLE_TRACE = "0" * 16
_TRACE, _SPAN = re.compile("(?:tr-)?([0-9a-f]{32})"), re.compile("[0-9a-f]{16}")


class Feedback(NamedTuple):
    """A verdict, checked.

    Attributes:
        id: The same for what takes the place of what was said before.
        trace: 32 hexadecimal digits.
        span: 16 hexadecimal digits; zeros for the whole trace.
    """

    id: str
    trace: str
    span: str
    kind: str
    value: Any
    name: str
    comment: str | None
    user: str | None
    source: str
    metadata: Mapping[str, Any] | None

    @property
    def key(self) -> str:
        """How the journal names it."""
        return f"{self.trace} {self.span}"

    def body(self, policy: Policy) -> dict[str, Any]:
        """What the journal holds, of content what the policy keeps."""
        kept = None if self.comment is None else policy.value(self.comment[:TEXT_LIMIT])
        text = policy.text if policy.keeps_content else _left_out
        value = self.value
        return {
            "id": self.id,
            "type": self.kind,
            "name": self.name,
            "value": text(value[:TEXT_LIMIT]) if isinstance(value, str) else scrubbed(value, text),
            "comment": None if kept is None else kept[0],
            "source_type": self.source,
            "source": self.user,
            "time": time.time_ns(),
            "metadata": {k: text_of(item) for k, item in scrubbed(dict(self.metadata or {}), text).items()},
        }


def _left_out(_: str) -> str:
    """In place of a text where no content is kept: that there was a verdict is no content."""
    return "<left out>"


def feedback_of(
    kind: str,
    value: Any,
    trace: str,
    *,
    span_id: str | None = None,
    name: str = "feedback",
    comment: str | None = None,
    user: str | None = None,
    source: str = "human",
    metadata: Mapping[str, Any] | None = None,
) -> Feedback:
    """A verdict on a trace; see `autotrace.log_feedback`.

    Args:
        kind: `feedback` or `expectation`.
        value: The verdict.
        trace: 32 hexadecimal digits.
        span_id: One of its spans; the whole trace when None.
        name: What is judged.
        comment: Why, in words.
        user: Who says so.
        source: One of SOURCES.
        metadata: More, by name.

    Raises:
        FeedbackError: Something of it cannot be used.
    """
    if kind == "feedback":
        _check_value(value)
    span = WHOLE_TRACE if span_id is None else span_id
    if not isinstance(span, str) or not _SPAN.fullmatch(span):
        raise FeedbackError(f"{span!r:.80} is not the id of a span: 16 hexadecimal digits")
    if not isinstance(name, str) or not name.strip():
        raise FeedbackError(f"the name must be a text, not {name!r:.80}")
    if source not in SOURCES:
        raise FeedbackError(f"the source must be one of {', '.join(SOURCES)}, not {source!r:.80}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise FeedbackError(f"the metadata must be a mapping, not {type(metadata).__name__}")
    name, who = name.strip()[:NAME_LIMIT], text_of(user)
    who = None if who is None else who[:NAME_LIMIT]
    found = feedback_id(trace, span, kind, name, source, who)
    return Feedback(found, trace, span, kind, value, name, text_of(comment), who, source, metadata)


def _check_value(value: Any) -> None:
    if not isinstance(value, bool | int | float | str):
        raise FeedbackError(f"the value must be true, false, a number or a text, not {type(value).__name__}")
    if isinstance(value, int | float) and not abs(value) < NUMBER_LIMIT:
        raise FeedbackError("a number must be finite, and below 2**63")


def update_body(session: Any, user: Any, tags: Mapping[str, Any], name: Any) -> dict[str, Any]:
    """What the journal holds of a later change of a trace."""
    return {
        "time": time.time_ns(),
        "name": text_of(name),
        "session": text_of(session),
        "user": text_of(user),
        "tags": plain(dict(tags)),
    }


def feedback_id(trace: str, span: str, kind: str, name: str, source: str, user: str | None) -> str:
    """The id of a verdict: the same for what takes the place of what was said before."""
    from hashlib import sha256

    text = "\0".join((trace, span, kind, name, source, user or ""))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def trace_named(trace_id: object) -> str:
    """The id of a trace, as its 32 hexadecimal digits; MLflow's `tr-...` too.

    Raises:
        FeedbackError: It is none.
    """
    found = _TRACE.fullmatch(trace_id.strip().lower()) if isinstance(trace_id, str) else None
    if found is None or set(found[1]) == {"0"}:
        raise FeedbackError(f"{trace_id!r:.80} is not the id of a trace: 32 hexadecimal digits")
    return found[1]


def text_of(value: Any) -> str | None:
    """A text as it is, anything else as JSON: without calling what a stranger's `str` would."""
    return value if value is None else readable(value) if isinstance(value, str) else to_json(value)
