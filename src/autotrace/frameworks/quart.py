"""Requests to applications made with Quart."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Application, Instrumentation, hookimpl


def route(_: Mapping[str, Any]) -> str | None:
    """The rule of the request or WebSocket at hand, which Quart keeps as Flask does."""
    quart = sys.modules.get("quart")
    if quart is None or not (quart.has_request_context() or quart.has_websocket_context()):
        return None
    request = quart.request if quart.has_request_context() else quart.websocket
    return None if request.url_rule is None else f"{request.root_path}{request.url_rule.rule}"


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method serves every request."""
    return [Instrumentation("quart", entries=(Application("quart.app", "Quart.__call__", "asgi", route),))]
