"""Requests to applications made with Starlette: FastAPI, MLflow's AgentServer and its scoring server among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Application, Instrumentation, hookimpl, read


def route(scope: Mapping[str, Any]) -> str | None:
    """The path's pattern, once Starlette has found the route, beneath what it is mounted at."""
    found = scope.get("route")
    if read.field(found, "endpoint") is None:
        return None  # no more is known than what it is mounted at
    # FastAPI (0.165) keeps beside a route what the prefix of an included router makes of it.
    effective = read.field(scope, "fastapi", "effective_route_context")
    if found is not None and read.field(effective, "original_route") is found:
        found = read.field(effective, "starlette_route") or effective
    path = read.field(found, "path_format") or read.field(found, "path")
    return f"{scope.get('root_path', '')}{path}" if isinstance(path, str) else None


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method serves every request, WebSocket and mounted application."""
    application = Application("starlette.applications", "Starlette.__call__", "asgi", route)
    return [Instrumentation("starlette", entries=(application,))]
