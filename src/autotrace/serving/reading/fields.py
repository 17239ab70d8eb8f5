"""Where something stands in JSON: paths that the user configured, names in any spelling."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: Fields of one object that are looked at.
MOST = 1000
_INDEX = re.compile(r"-?[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fields:
    """Dotted paths into JSON, from the settings: tried in order, before the names that are built in.

    Attributes:
        input: Where a request has the user's query.
        output: Where a response, or a piece of a streamed one, has the answer.
        session: Where a request has the conversation's id.
        user: Where a request has the user's id.
    """

    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    user: tuple[str, ...] = ()


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path, `a.b.0.c`; None where there is nothing. `-1` is the last of a list."""
    for name in path.split("."):
        if type(value) is dict:
            value = value.get(name)
        elif type(value) is list and _INDEX.fullmatch(name) and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def first_at(value: Any, paths: Iterable[str]) -> Any:
    """What stands at the first of the paths that leads to anything."""
    return next((found for path in paths if (found := at(value, path)) is not None), None)


def folded(value: Any) -> Mapping[str, Any]:
    """An object's fields by their names without capitals and marks: `session_id` and `sessionId` are one."""
    if type(value) is not dict:
        return {}
    found: dict[str, Any] = {}
    for name, item in itertools.islice(value.items(), MOST):
        found.setdefault(name.replace("_", "").replace("-", "").lower(), item)
    return found
