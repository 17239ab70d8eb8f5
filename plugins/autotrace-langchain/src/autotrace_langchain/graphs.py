"""LangGraph's graphs: what a graph knows of the run that it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import Call


def told(call: Call) -> Mapping[str, Any]:
    """Whether it is an agent, and which conversation it carries on."""
    graph = call.instance
    found: dict[str, Any] = {"operation": "invoke_agent" if _is_agent(graph) else "invoke_workflow"}
    config = call.argument("config")
    known = config.get("configurable") if isinstance(config, dict) else None
    thread = known.get("thread_id") if isinstance(known, dict) else None
    if thread is not None:
        found["session"] = str(thread)
    return found


def _is_agent(graph: Any) -> bool:
    """Graphs of `create_agent` say so; those of `create_react_agent` have two nodes of these names."""
    config = getattr(graph, "config", None)
    about = config.get("metadata") if isinstance(config, dict) else None
    if isinstance(about, dict) and about.get("ls_integration") == "langchain_create_agent":
        return True
    nodes = getattr(graph, "nodes", None)
    return isinstance(nodes, dict) and "agent" in nodes and "tools" in nodes
