"""The plugin for it, as a project's own."""

from __future__ import annotations

from autotrace import Application, Instrumentation, hookimpl


@hookimpl
def instrumentations() -> list[Instrumentation]:
    """Both protocols; where a test knows the route, it says so in the scope."""
    entries = (
        Application("acme_web", "Asgi.__call__", "asgi", lambda scope: scope.get("acme.route")),
        Application("acme_web", "Wsgi.__call__", "wsgi", lambda environ: environ.get("acme.route")),
    )
    return [Instrumentation("acme_web", entries=entries)]
