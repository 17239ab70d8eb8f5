"""Attributes that were lists and objects: `llm.input_messages.0.message.role` and their like, put together again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: Where a value stands whose name is that of an object, too.
VALUE = ""


def tree(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What stands beneath `prefix`, as dicts in one another."""
    found: dict[str, Any] = {}
    start = prefix + "."
    for key, value in attributes.items():
        if key.startswith(start):
            *path, last = key[len(start) :].split(".")
            at = found
            for part in path:
                below = at.get(part)
                if not isinstance(below, dict):
                    below = at[part] = {} if below is None else {VALUE: below}
                at = below
            if isinstance(at.get(last), dict):
                at[last][VALUE] = value
            else:
                at[last] = value
    return found


def elements(holder: Any, name: str = VALUE) -> Iterator[Any]:
    """The elements of a list, in order, that `tree` holds by their numbers: of `holder[name]`, or of `holder`."""
    found = at(holder, name) if name else holder
    if isinstance(found, Mapping):
        yield from (found[key] for key in sorted((key for key in found if key.isdigit()), key=int))


def listed(value: Any) -> list[Any]:
    """A list as it is; nothing as no element; anything else as the only one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def at(holder: Any, *path: str) -> Any:
    """The value at `path`; None where there is none."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    return holder


def text(holder: Any, *path: str) -> str | None:
    """The text at `path`; None where there is none that says something."""
    found = at(holder, *path)
    return found if isinstance(found, str) and found else None


def parsed(value: Any) -> Any:
    """JSON text as the value that it stands for; any other value as it is."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:  # what an instrumentor wrote: JSON as a rule, cut off at times
        return json.loads(value)
    except ValueError:
        return value
