"""A server in a few lines, by ASGI and by WSGI: it serves one request, and may hang up in the midst of the answer."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Message = MutableMapping[str, Any]


@dataclass
class Response:
    """What a client has got.

    Attributes:
        status: HTTP's; 0 for none.
        headers: By their names in lower case.
        pieces: The body, as it was sent.
        error: What the application raised to the server.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def body(self) -> bytes:
        """The whole of it."""
        return b"".join(self.pieces)


def serve(
    application: Any,
    protocol: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    leaves_after: int | None = None,
) -> Response:
    """Serves one POST.

    Args:
        application: The application.
        protocol: `asgi` or `wsgi`.
        path: Where it goes.
        body: JSON.
        headers: Beside those that tell what the body is.
        leaves_after: So many pieces of the answer the client waits for, then hangs up; None: it stays.
    """
    known = {"content-type": "application/json", "content-length": str(len(body)), "host": "127.0.0.1", **headers}
    if protocol == "asgi":
        return asyncio.run(_Cycle(path, body, known, leaves_after).served(application))
    return _by_wsgi(application, path, body, known, leaves_after)


class _Cycle:
    """One request, and its answer, as uvicorn has it."""

    def __init__(self, path: str, body: bytes, headers: Mapping[str, str], leaves_after: int | None) -> None:
        self.response = Response()
        self.disconnected = False
        self._incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._leaves_after = leaves_after
        self._is_over = asyncio.Event()
        self._scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "extensions": {},
            "state": {},
        }

    async def served(self, application: Any) -> Response:
        try:
            await application(self._scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 (the application's own)
            self.response.error = error
        return self.response

    async def receive(self) -> Message:
        if self._incoming:
            return self._incoming.pop(0)
        await self._is_over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        response = self.response
        if self.disconnected:
            await asyncio.sleep(0)
        elif message["type"] == "http.response.start":
            response.status = int(message["status"])
            headers = [(bytes(name).decode(), bytes(value).decode()) for name, value in message["headers"]]
            response.headers = {name.lower(): value for name, value in headers}
        elif message["type"] == "http.response.body":
            self._take(bytes(message.get("body") or b""))
            if not message.get("more_body", False):
                self._is_over.set()

    def _take(self, piece: bytes) -> None:
        if piece:
            self.response.pieces.append(piece)
        if len(self.response.pieces) == self._leaves_after:
            self.disconnected = True
            self._is_over.set()


def _by_wsgi(
    application: Any, path: str, body: bytes, headers: Mapping[str, str], leaves_after: int | None
) -> Response:
    response = Response()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        response.status = int(status[:3])
        response.headers = {name.lower(): value for name, value in headers}
        return response.pieces.append

    own = {"CONTENT_TYPE": headers["content-type"], "CONTENT_LENGTH": headers["content-length"]}
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()},
        **own,
    }
    result = None
    try:
        result = application(environ, start_response)
        for piece in result:
            if piece:
                response.pieces.append(bytes(piece))
            if len(response.pieces) == leaves_after:
                break
    except Exception as error:  # noqa: BLE001 (the application's own)
        response.error = error
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    return response
