"""Runs of tools."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from autotrace import Call, Ended, RequestValues, Run

from .values import shown

Find = Callable[[Hashable], Run | None]


def started(call: Call, manager: Any, find: Find) -> Run:
    """A tool's run that has begun."""
    about = call.argument("serialized")
    about = about if isinstance(about, dict) else {}
    given = call.kwargs.get("inputs")
    values: RequestValues = {
        "name": str(call.kwargs.get("name") or about.get("name") or "tool"),
        "input_value": shown(given if given is not None else call.argument("input_str")),
        "attributes": {
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": about.get("description"),
            "gen_ai.tool.call.id": call.kwargs.get("tool_call_id"),
        },
    }
    return Run(manager.run_id, parent=manager.parent_run_id, operation="execute_tool", values=values, holder=manager)


def ended(call: Call) -> Ended:
    """A tool's run that has ended well."""
    output = call.argument("output")
    content = getattr(output, "content", None) if getattr(output, "type", None) == "tool" else None
    return Ended(call.instance.run_id, lambda: {"output_value": shown(output) if content is None else content})
