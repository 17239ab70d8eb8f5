"""What MLflow's list of traces shows of a request and its response: words, where the content holds any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace.store.messages import request_text, response_text

from . import limits


def request(attributes: Mapping[str, Any], limit: int) -> str | None:
    """What was asked."""
    return _preview(request_text(attributes), "user", limit)


def response(attributes: Mapping[str, Any], limit: int) -> str | None:
    """What was answered."""
    return _preview(response_text(attributes), "assistant", limit)


def _preview(text: str | None, role: str, limit: int) -> str | None:
    if not text:
        return None
    return limits.cut(_spoken(limits.parsed(text), role) or text, limit)


def _spoken(value: Any, role: str) -> str | None:
    """The words in a value: the last of a role, where it is a conversation; the only text, where it holds one."""
    if not isinstance(value, dict):
        return None
    messages = value.get("messages")
    if not isinstance(messages, list):
        only = next(iter(value.values())) if len(value) == 1 else None
        return only if isinstance(only, str) else None
    said = [
        message["content"]
        for message in messages
        if isinstance(message, dict) and message.get("role") == role and isinstance(message.get("content"), str)
    ]
    return next((words for words in reversed(said) if words), None)
