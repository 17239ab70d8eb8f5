"""Leaves out what was said, where the page is to show figures alone."""

from __future__ import annotations

from typing import Any

#: Fields of pages that hold words of users, models and tools.
CONTENT = frozenset({"request", "response", "comment", "error", "question", "message", "value", "tags"})


def hidden(data: Any) -> Any:
    """The same without what was said."""
    if isinstance(data, dict):
        return {
            name: None if name in CONTENT and not isinstance(value, bool) else hidden(value)
            for name, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [hidden(value) for value in data]
    return data
