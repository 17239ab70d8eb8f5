"""What requests of `requests` tell other services of a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from autotrace import Call, Instrumentation, Sender, hookimpl

_PORTS = {"http": 80, "https": 443}


def host(call: Call) -> str | None:
    """Where a request goes, as it is sent: each redirect is a request of its own. None: the program tells itself."""
    request = call.argument("request")
    if "traceparent" in request.headers:
        return None
    url = urlsplit(request.url)  # as `requests` reads it
    return f"{url.hostname}:{url.port or _PORTS.get(url.scheme, 0)}"


def put(call: Call, headers: Mapping[str, str]) -> Callable[[], object]:
    """For as long as it is being sent, the request has other headers; the program's are never changed."""
    request: Any = call.argument("request")
    own = request.headers
    request.headers = type(own)(own)
    request.headers.update(headers)
    return lambda: setattr(request, "headers", own)


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """Beneath sessions, which follow redirects."""
    return [Instrumentation("requests", senders=(Sender("requests.adapters", "HTTPAdapter.send", put, host),))]
