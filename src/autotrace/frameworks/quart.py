"""Requests to applications made with Quart."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Application, Instrumentation, hookimpl


def route(_: Mapping[str, Any]) -> str | None:
    """The rule of the request at hand, which Quart keeps as Flask does."""
    quart = sys.modules.get("quart")
    if quart is None or not quart.has_request_context():
        return None
    rule = quart.request.url_rule
    return None if rule is None else str(rule.rule)


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method serves every request."""
    return [Instrumentation("quart", entries=(Application("quart.app", "Quart.__call__", "asgi", route),))]
