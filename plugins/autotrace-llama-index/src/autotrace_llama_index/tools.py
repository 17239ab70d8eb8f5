"""Calls of tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from autotrace import RequestValues, Run

from .values import of_arguments


class Called(NamedTuple):
    """A step that an agent runs to call a tool.

    Attributes:
        id: The model's id of the call.
    """

    id: str | None


class Running(NamedTuple):
    """A tool that runs.

    Attributes:
        name: The tool's.
    """

    name: str


def tool(
    instance: Any, arguments: Mapping[str, Any], around: Run | None
) -> tuple[Callable[[], RequestValues] | None, str, Running]:
    """What a tool's call tells. A tool calls itself by another method, an adapter the tool inside it: that is one."""
    about = instance.metadata
    name = str(getattr(about, "name", None) or type(instance).__name__)
    outer = around.note if around is not None else None
    if outer == Running(name):
        return None, "", Running(name)

    def values() -> RequestValues:
        return {
            "name": name,
            "input_value": of_arguments(arguments),
            "attributes": {
                "gen_ai.tool.type": "function",
                "gen_ai.tool.description": getattr(about, "description", None),
                "gen_ai.tool.call.id": outer.id if isinstance(outer, Called) else None,
            },
        }

    return values, "execute_tool", Running(name)
