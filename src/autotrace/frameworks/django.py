"""Requests to applications made with Django, by WSGI and ASGI."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Application, Instrumentation, hookimpl


def route(request: Mapping[str, Any]) -> str | None:
    """The pattern of a path, by the application's own URLs. Where the request is at, Django tells nobody."""
    urls = sys.modules.get("django.urls")
    path = request.get("PATH_INFO", request.get("path"))
    if urls is None or not isinstance(path, str):
        return None
    mounted = request.get("SCRIPT_NAME", request.get("root_path")) or ""
    if "path" in request:
        path = path.removeprefix(mounted)
    try:
        found = urls.resolve(path).route
    except urls.Resolver404:
        return None
    return f"{mounted}/{str(found).replace('^', '').removesuffix('$').lstrip('/')}"


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method of each protocol's handler serves every request."""
    entries = (
        Application("django.core.handlers.wsgi", "WSGIHandler.__call__", "wsgi", route),
        Application("django.core.handlers.asgi", "ASGIHandler.__call__", "asgi", route),
    )
    return [Instrumentation("django", entries=entries)]
