"""What a plugin's hook returned, checked: a mistake is told in its author's words, before anything is patched."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..errors import PluginError
from .instrumentation import (
    Application,
    Boundary,
    Event,
    Instrumentation,
    Patch,
    RunContext,
    RunEnd,
    RunStart,
    Sender,
    StreamClass,
    Task,
    TaskEnd,
)

#: What each field of an Instrumentation holds.
_KINDS: dict[str, tuple[type, ...]] = {
    "patches": (Patch,),
    "streams": (StreamClass,),
    "events": (Event,),
    "runs": (RunStart, RunEnd, RunContext, Boundary),
    "entries": (Application, Task, TaskEnd),
    "senders": (Sender,),
}


def offered(plugin: str, answers: Iterable[Any]) -> list[Instrumentation]:
    """The instrumentations among what the hook returned.

    Args:
        plugin: The plugin's name, for the error.
        answers: What each implementation of `instrumentations()` returned.

    Raises:
        PluginError: It is something else.
    """
    found: list[Instrumentation] = []
    for answer in answers:
        if inspect.iscoroutine(answer):
            answer.close()  # else Python would warn that nobody awaits it
        if not isinstance(answer, Sequence) or not all(isinstance(one, Instrumentation) for one in answer):
            problem = f"instrumentations() must return a list of Instrumentation, not {_described(answer)}"
            raise PluginError(plugin, problem)
        found += answer
    for one in found:
        for problem in _problems(one):
            raise PluginError(plugin, problem)
    return found


def _problems(one: Instrumentation) -> Iterator[str]:
    if not isinstance(one.name, str) or not one.name:
        yield f"the name of an Instrumentation must be a text, not {one.name!r}"
    for field, kinds in _KINDS.items():
        value = getattr(one, field)
        if not isinstance(value, tuple | list):
            yield f"{field} of Instrumentation {one.name!r} must be a tuple, not {type(value).__name__}"
            continue
        for item in value:
            if not isinstance(item, kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                yield f"{field} of Instrumentation {one.name!r} must be {wanted}, not {type(item).__name__}"


def _described(answer: Any) -> str:
    """The type of what a hook returned; of a list, the types of what is wrong in it."""
    if not isinstance(answer, list | tuple):
        return type(answer).__name__
    wrong = sorted({type(one).__name__ for one in answer} - {"Instrumentation"})
    return f"{type(answer).__name__} of {', '.join(wrong)}"
