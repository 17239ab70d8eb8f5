"""Requests to applications made with Flask."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Application, Instrumentation, hookimpl


def route(_: Mapping[str, Any]) -> str | None:
    """The rule of the request at hand, beneath what the application is mounted at.

    None once a streamed answer has left the request's context.
    """
    flask = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return None
    rule = flask.request.url_rule
    return None if rule is None else f"{flask.request.root_path}{rule.rule}"


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method serves every request."""
    return [Instrumentation("flask", entries=(Application("flask.app", "Flask.__call__", "wsgi", route),))]
