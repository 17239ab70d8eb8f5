"""Servers written by hand, which do what a test tells them: send in pieces, hang up, raise."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import autotrace

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[Any]]

#: The response's header that tells the trace, and a request's that names the caller's.
HEADER = "x-autotrace-trace-id"
CALLER = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


def scope(path: str = "/chat", method: str = "POST", headers: Iterable[tuple[str, str]] = (), **more: Any) -> Message:
    """An HTTP request as a server begins it by ASGI."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        **more,
    }


def body(*chunks: bytes) -> list[Message]:
    """A request's body in pieces."""
    last = len(chunks) - 1
    return [{"type": "http.request", "body": one, "more_body": at < last} for at, one in enumerate(chunks)]


@dataclass
class AsgiServer:
    """Serves one request by ASGI.

    Attributes:
        incoming: What `receive` gives, in order; then the client has hung up.
        on_send: Called with each message before it is taken.
        sent: What the application has sent, the very objects.
    """

    incoming: list[Message] = field(default_factory=lambda: body(b""))
    on_send: Callable[[Message], object] = lambda _: None
    sent: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        return self.incoming.pop(0) if self.incoming else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.on_send(message)
        self.sent.append(message)

    async def serve(self, app: Callable[..., Awaitable[Any]], known: Message | None = None) -> list[Message]:
        """Calls the application, once; what it has sent."""
        await app(scope() if known is None else known, self.receive, self.send)
        return self.sent

    @property
    def headers(self) -> dict[str, str]:
        """The response's, by name."""
        (start,) = [one for one in self.sent if one["type"] == "http.response.start"]
        return {bytes(name).decode(): bytes(value).decode() for name, value in start["headers"]}


async def answer(
    send: Callable[[Message], Awaitable[None]],
    *chunks: bytes,
    status: int = 200,
    headers: Iterable[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),),
) -> None:
    """Sends a response in pieces; a whole one tells its length."""
    own = [*headers]
    if len(chunks) == 1:
        own.append((b"content-length", str(len(chunks[0])).encode()))
    await send({"type": "http.response.start", "status": status, "headers": own})
    for at, chunk in enumerate(chunks):
        await send({"type": "http.response.body", "body": chunk, "more_body": at < len(chunks) - 1})


def think() -> None:
    """Something that is traced."""
    with autotrace.span("think"):
        pass


async def think_and_answer(scope: Any, receive: Any, send: Any) -> None:
    """An application that can be pickled."""
    think()
    await answer(send, b"{}")


def serve(
    web: ModuleType, handler: Callable[..., Awaitable[Any]], known: Message | None = None, **more: Any
) -> AsgiServer:
    """Serves one request with an application that is this function; the server."""
    server = AsgiServer(**more)
    asyncio.run(server.serve(web.Asgi(handler), known))
    return server


class WsgiServer:
    """Serves one request by WSGI.

    Attributes:
        environ: What the application is called with.
        status: What it has answered, with `headers`.
        written: What it has sent by the callable that `start_response` returns.
    """

    def __init__(self, path: str = "/chat", method: str = "POST", content: bytes = b"", **more: Any) -> None:
        self.environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "CONTENT_LENGTH": str(len(content)),
            "CONTENT_TYPE": "application/json",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **more,
        }
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.started: list[tuple[Any, ...]] = []
        self.written: list[bytes] = []

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = status, headers
        self.started.append((status, headers, exc_info))
        return self.write

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def call(self, app: Callable[..., Iterable[bytes]]) -> Iterable[bytes]:
        """Calls the application; its iterable, as it is."""
        return app(self.environ, self.start_response)

    def serve(self, app: Callable[..., Iterable[bytes]]) -> bytes:
        """Calls the application and sends all; the body."""
        result = self.call(app)
        try:
            return b"".join(self.written) + b"".join(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def header(self, name: str) -> str | None:
        """A header of the response."""
        return next((value for known, value in self.headers if known.lower() == name), None)


class Counted:
    """A body that counts its steps and its closes."""

    def __init__(self, *chunks: bytes) -> None:
        self.steps = self.iters = self.closes = 0
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        self.iters += 1
        return self

    def __next__(self) -> bytes:
        self.steps += 1
        return next(self._chunks)

    def close(self) -> None:
        self.closes += 1
