"""Feedback on a trace, as its page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotrace.store.feedback import Feedback
from autotrace.store.spans import utc

from .trace_details import HIDDEN
from .trace_text import Texts, label

#: Verdicts that are shown: the latest.
_SHOWN = 100


def shown(feedback: Sequence[Feedback], texts: Texts, hide_content: bool) -> dict[str, Any]:
    """`verdicts`, the latest first, and `left_out`, how many older ones there are."""
    latest = list(feedback)[::-1][:_SHOWN]
    return {
        "verdicts": [_verdict(each, texts, hide_content) for each in latest],
        "left_out": max(0, len(feedback) - _SHOWN),
    }


def _verdict(each: Feedback, texts: Texts, hide_content: bool) -> dict[str, Any]:
    is_thumb = isinstance(each.value, bool) and each.type != "expectation"
    is_plain = each.value is None or isinstance(each.value, bool | int | float)
    value = texts.shown(each.value) if is_plain or not hide_content else {"text": HIDDEN, "left_out": 0}
    comment = None if not each.comment else texts.shown(each.comment) if not hide_content else {"text": HIDDEN}
    return {
        "type": label(each.type),
        "name": label(each.name),
        "thumb": ("up" if each.value else "down") if is_thumb else None,
        "value": value,
        "comment": comment,
        "source_type": None if each.source_type is None else label(each.source_type),
        "source": None if each.source is None else label(each.source),
        "span_id": None if each.span_id is None else label(each.span_id),
        "time": utc(each.time_ns),
        "time_ns": each.time_ns,
    }
