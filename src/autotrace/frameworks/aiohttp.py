"""What requests of aiohttp's client tell other services of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Call, Instrumentation, Sender, hookimpl


def host(call: Call) -> str | None:
    """Where a request goes, as it is sent. None: the program tells itself, or it is the proxy that is asked."""
    request: Any = call.instance
    if "traceparent" in request.headers or request.method == "CONNECT":
        return None
    return f"{request.url.raw_host}:{request.url.port}"


def put(call: Call, headers: Mapping[str, str]) -> None:
    """aiohttp makes such an object for each request, and for each redirect from the headers that the program gave."""
    request: Any = call.instance
    request.headers.update(headers)


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """Beneath sessions, which follow redirects."""
    return [Instrumentation("aiohttp", senders=(Sender("aiohttp.client_reqrep", "ClientRequest.send", put, host),))]
