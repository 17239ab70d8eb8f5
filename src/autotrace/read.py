"""Reads replies and requests whatever they are made of: an SDK's models, or the JSON that they come from.

A model is read through its own dict: asking a pydantic model for a field that its class does not know costs over a
microsecond, and no two providers leave out and add the same.

Example:
    >>> field({"usage": {"input_tokens": 12}}, "usage", "input_tokens")
    12
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_EMPTY: Mapping[str, Any] = {}


def view(value: Any) -> Mapping[str, Any]:
    """The fields of a dict or a model, by name; none for anything else. Not to be changed.

    Example:
        >>> view({"id": "1"})["id"], dict(view(7))
        ('1', {})
    """
    if type(value) is dict:
        return value
    fields = getattr(value, "__dict__", None)
    if fields is None:
        return _EMPTY
    more = getattr(value, "__pydantic_extra__", None)
    return {**fields, **more} if more else fields


def field(value: Any, *path: str) -> Any:
    """The value at `path`, through dicts and models alike; None where there is none.

    Example:
        >>> field({"usage": {"input_tokens": 12}}, "usage", "input_tokens")
        12
    """
    for name in path:
        if value is None:
            return None
        value = view(value).get(name)
    return value


def text(value: Any, *path: str) -> str | None:
    """Like `field`, where it is a string that says something.

    Example:
        >>> text({"id": ""}, "id") is None
        True
    """
    found = field(value, *path)
    return found if isinstance(found, str) and found else None


def items(value: Any, *path: str) -> Iterator[Any]:
    """The elements at `path`, where it is a list; nothing otherwise. Iterators are left alone.

    Example:
        >>> list(items({"data": [1, 2]}, "data")), list(items({"data": iter([1, 2])}, "data"))
        ([1, 2], [])
    """
    found = field(value, *path)
    return iter(found if isinstance(found, list | tuple) else ())
