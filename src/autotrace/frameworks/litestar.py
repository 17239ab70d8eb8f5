"""Requests to applications made with Litestar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Application, Instrumentation, hookimpl


def route(scope: Mapping[str, Any]) -> str | None:
    """The path's pattern, as Litestar's router leaves it in the scope."""
    found = scope.get("path_template")
    return found if isinstance(found, str) else None


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method serves every request."""
    return [Instrumentation("litestar", entries=(Application("litestar.app", "Litestar.__call__", "asgi", route),))]
