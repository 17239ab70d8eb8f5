"""A web framework that does nothing: an application is the function that it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any


class Asgi:
    """An application by ASGI."""

    def __init__(self, handler: Callable[[Any, Any, Any], Awaitable[Any]]) -> None:
        self.handler = handler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Serves one request."""
        return await self.handler(scope, receive, send)


class Wsgi:
    """An application by WSGI."""

    def __init__(self, handler: Callable[[Any, Any], Iterable[bytes]]) -> None:
        self.handler = handler

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Serves one request."""
        return self.handler(environ, start_response)
