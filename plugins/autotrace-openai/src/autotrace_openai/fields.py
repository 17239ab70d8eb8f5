"""Reads replies and requests whatever they are made of: the SDK's models, or the JSON they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def field(value: Any, *path: str) -> Any:
    """The value at `path`, through dicts and objects alike; None where there is none."""
    for name in path:
        if type(value) is dict:
            value = value.get(name)
        elif value is None:
            return None
        else:
            value = getattr(value, name, None)
    return value


def text(value: Any, *path: str) -> str | None:
    """Like `field`, where it is a string that says something."""
    found = field(value, *path)
    return found if isinstance(found, str) and found else None


def count(value: Any, *path: str) -> int | None:
    """Like `field`, where it is a whole number."""
    found = field(value, *path)
    return found if type(found) is int else None


def items(value: Any, *path: str) -> Iterator[Any]:
    """The elements at `path`, where it is a list; nothing otherwise. Iterators are left alone."""
    found = field(value, *path)
    return iter(found if isinstance(found, list | tuple) else ())
