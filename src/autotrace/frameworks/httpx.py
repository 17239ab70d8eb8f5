"""What requests of httpx tell other services of a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autotrace import Amendment, Call, Instrumentation, Sender, hookimpl

_PORTS = {"http": 80, "https": 443}


def host(call: Call) -> str | None:
    """Where a request goes, as it is sent: each redirect is a request of its own. None: the program tells itself."""
    request = call.argument("request")
    if "traceparent" in request.headers:
        return None
    url = request.url
    return f"{url.raw_host.decode('ascii')}:{url.port or _PORTS.get(url.scheme, 0)}"


def put(module: str) -> Callable[[Call, Mapping[str, str]], Amendment]:
    """Sends a copy that carries the headers: the program's own, and what a redirect makes of it, does not."""

    def carrying(call: Call, headers: Mapping[str, str]) -> Amendment:
        own: Any = call.argument("request")
        more = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        request = sys.modules[module].Request(
            own.method, own.url, headers=[*own.headers.raw, *more], stream=own.stream, extensions=own.extensions
        )
        return Amendment((request,), {})

    return carrying


def instrumentation(name: str) -> Instrumentation:
    """httpx, or another release of it under its own name."""
    module = f"{name}._transports.default"
    return Instrumentation(
        name,
        senders=(
            Sender(module, "HTTPTransport.handle_request", put(name), host),
            Sender(module, "AsyncHTTPTransport.handle_async_request", put(name), host),
        ),
    )


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """Beneath everything that a client or a program's own transport does."""
    return [instrumentation("httpx")]
