"""Requests to applications made with Starlette: FastAPI, MLflow's AgentServer and its scoring server among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Application, Instrumentation, hookimpl


def route(scope: Mapping[str, Any]) -> str | None:
    """The path's pattern, once Starlette has found the route, beneath what it is mounted at."""
    found = scope.get("route")
    path = getattr(found, "path_format", None) or getattr(found, "path", None)
    return f"{scope.get('root_path', '')}{path}" if isinstance(path, str) else None


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method serves every request, WebSocket and mounted application."""
    application = Application("starlette.applications", "Starlette.__call__", "asgi", route)
    return [Instrumentation("starlette", entries=(application,))]
