"""Reads the SDK's models, and the dicts that it takes in their place, in either spelling: `file_uri`, `fileUri`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import Any

from autotrace import read


def field(value: Any, *path: str) -> Any:
    """What stands at `path`, by the names of the SDK's models; None where there is nothing."""
    for name in path:
        known = read.view(value)
        value = known.get(name, known.get(_camel(name)))
    return _plain(value)


def items(value: Any, *path: str) -> Sequence[Any]:
    """The elements at `path`, where it is a list; none otherwise. Iterators are left alone."""
    found = field(value, *path)
    return [_plain(one) for one in found] if isinstance(found, list | tuple) else ()


def _plain(value: Any) -> Any:
    """An enum's member by its word."""
    return value.value if isinstance(value, Enum) else value


@cache
def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))
