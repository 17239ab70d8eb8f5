"""An OpenAI-compatible server on loopback that answers deterministically, meters, and misbehaves if told to.

    with OpenAIServer() as server:
        client = openai.OpenAI(base_url=server.url, api_key="sk-test")
        server.script(Status(429, retry_after=0), (Chunks(60), Hang(after=10)))
        ...
        assert server.billed.input_tokens == ...

Each step of the script is for one request, in the order of arrival; a tuple is several behaviours for the
same request. After the script the server behaves normally again.

What is billed, once per request:

- a whole reply with tokens, when it is sent;
- a stream with tokens, in full, as soon as it is generated (before its last chunk is sent) or as soon as the
  client is found to have hung up: what would have been reported, whether or not the client asked for usage;
- a background response, when it is created; reading, polling and cancelling it bill nothing;
- nothing for an error, for a reply that carries no tokens (audio by the second, moderations, models), and for
  what the server spoils itself: a connection that it drops or cuts, a stream that it ends in an error event,
  a body that it replaces. A broken event spoils no stream: it is billed in full.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gzip
import json
import math
import socket
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from autotrace.testing.openai_replies import (
    JSON,
    SSE,
    Ask,
    Billed,
    Reply,
    Wanted,
    encode,
    error,
    event,
    reply_to,
)

__all__ = [
    "Behaviour",
    "Billed",
    "BrokenEvent",
    "Chunks",
    "Cut",
    "Drop",
    "Empty",
    "ErrorEvent",
    "Gzip",
    "Hang",
    "Huge",
    "Literal",
    "LoneSurrogate",
    "Malformed",
    "OpenAIServer",
    "Request",
    "RunningUsage",
    "Status",
    "Surprise",
    "Text",
]


class Behaviour:
    """What the script can ask for."""


_Wish = TypeVar("_Wish", bound=Behaviour)


@dataclass(frozen=True, slots=True)
class Status(Behaviour):
    """An HTTP error in OpenAI's shape.

    Args:
        status: 400, 401, 404, 429, 500, ...
        message: The error's message.
        retry_after: Seconds for `retry-after` and `retry-after-ms`; 0 becomes 1 ms in the latter, for clients
            take 0 as no advice and wait half a second.
    """

    status: int
    message: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Literal(Behaviour):
    """This very reply; it bills nothing."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Malformed(Behaviour):
    """A JSON body that breaks off, of the right length for HTTP."""


class Surprise(Behaviour):
    """A JSON object of unknown shape."""


class Empty(Behaviour):
    """Status 200 without a body."""


class Drop(Behaviour):
    """The connection is closed before any header."""


@dataclass(frozen=True, slots=True)
class Cut(Behaviour):
    """The connection is closed after this many chunks, or in the middle of a whole body."""

    after: int = 1


@dataclass(frozen=True, slots=True)
class ErrorEvent(Behaviour):
    """After this many chunks the stream ends with an error event."""

    after: int = 1
    message: str = "The server had an error while processing your request."


@dataclass(frozen=True, slots=True)
class BrokenEvent(Behaviour):
    """After this many chunks comes an event whose data is no JSON; the stream then goes on."""

    after: int = 1


class RunningUsage(Behaviour):
    """Chat and text streams carry usage so far on every chunk, as DeepSeek's do; no chunk is added for it."""


class Gzip(Behaviour):
    """The body, whole or streamed, is sent with `content-encoding: gzip`."""


@dataclass(frozen=True, slots=True)
class Chunks(Behaviour):
    """The stream's length.

    Args:
        count: Chunks per choice of a chat or text stream, all but the one with usage (a chat has at least 3);
            text deltas of a response or of a transcription.
    """

    count: int


@dataclass(frozen=True, slots=True)
class Text(Behaviour):
    """The text of the answer."""

    text: str


class Huge(Text):
    """An answer of this many bytes."""

    def __init__(self, size: int) -> None:
        super().__init__("x" * size)


class LoneSurrogate(Text):
    r"""An answer with half a pair, escaped as \ud83d in the JSON."""

    def __init__(self) -> None:
        super().__init__("half a face \ud83d here")


class Hang(Behaviour):
    """The server waits after this many chunks, or before a whole reply, until released or the client is gone.

    Attributes:
        reached: Set once the server waits.
        released: Setting it lets the server go on; `stop()` does so too.
    """

    def __init__(self, after: int = 0) -> None:
        self.after = after
        self.reached = threading.Event()
        self.released = threading.Event()

    def release(self) -> None:
        """Let the server go on."""
        self.released.set()


@dataclass(slots=True)
class _Outcome:
    status: int | None = None
    billed: Billed = field(default_factory=Billed)
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request that arrived, and what became of it.

    Attributes:
        method: HTTP method.
        path: Path without query, as sent.
        query: The query's parameters.
        headers: By lower-case name.
        body: Parsed JSON; raw bytes if it is no JSON, such as a form; None without a body.
        finished: Set once the reply is sent, or given up.
        disconnected: Set once the client's connection is closed, by either side.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    finished: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    disconnected: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    _outcome: _Outcome = field(default_factory=_Outcome)

    @property
    def status(self) -> int | None:
        """The HTTP status sent; None before, or if the connection was dropped."""
        return self._outcome.status

    @property
    def billed(self) -> Billed:
        """What this request was billed so far."""
        return self._outcome.billed

    @property
    def aborted(self) -> bool:
        """Whether the client hung up while something was left to send. Final once `finished` is set."""
        return self._outcome.aborted


class _HungUpError(Exception):
    """The client closed its connection."""


class OpenAIServer:
    """The server; a context manager that starts and stops it.

    Args:
        port: Port on 127.0.0.1; 0 takes a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._script: deque[tuple[Behaviour, ...]] = deque()
        self._hangs: list[Hang] = []
        self._stored: dict[str, JSON] = {}
        self._connections: set[socket.socket] = set()
        self._http: _Listener | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> OpenAIServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> OpenAIServer:
        """Listen, and serve in daemon threads.

        Raises:
            OSError: The port is taken.
        """
        self._http = _Listener(self, self._port)
        # A short poll only so that stop() is quick; requests never wait for it.
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="openai-server", daemon=True
        )
        self._thread.start()
        return self

    def stop(self, timeout: float = 2.0) -> None:
        """Release what hangs, give replies under way up to `timeout` seconds, close all connections."""
        if self._http is None or self._thread is None:
            return
        self._http.shutdown()
        self._thread.join()
        for hang in self._hangs:
            hang.release()
        deadline = time.monotonic() + timeout
        for request in self.requests:
            request.finished.wait(max(deadline - time.monotonic(), 0))
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for request in self.requests:
            request.disconnected.wait(max(deadline - time.monotonic(), 0))
        self._http.server_close()
        self._http = None

    @property
    def azure_endpoint(self) -> str:
        """The root, as `azure_endpoint=` of an Azure client.

        Raises:
            RuntimeError: The server is not started.
        """
        if self._http is None:
            raise RuntimeError("The server is not running: call start(), or use it in a with statement.")
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def url(self) -> str:
        """The `base_url=` of a client; it ends in /v1."""
        return f"{self.azure_endpoint}/v1"

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in the order of arrival, those under way included."""
        with self._lock:
            return list(self._requests)

    @property
    def billed(self) -> Billed:
        """The total of what was billed so far."""
        return sum((request.billed for request in self.requests), Billed())

    @property
    def open_connections(self) -> int:
        """How many connections of clients are open now, idle ones included."""
        return len(self._connections)

    def script(self, *steps: Behaviour | tuple[Behaviour, ...]) -> None:
        """Queue one step for each of the next requests."""
        normal = [step if isinstance(step, tuple) else (step,) for step in steps]
        with self._lock:
            self._script.extend(normal)
            self._hangs += (wish for step in normal for wish in step if isinstance(wish, Hang))

    def reset(self) -> None:
        """Forget the requests, what they billed, the stored responses and the rest of the script."""
        with self._lock:
            self._requests.clear()
            self._script.clear()
            self._stored.clear()

    def _arrived(self, request: Request) -> tuple[int, tuple[Behaviour, ...]]:
        """Record a request; its number, and what the script wants for it."""
        with self._lock:
            self._requests.append(request)
            return len(self._requests), self._script.popleft() if self._script else ()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: OpenAIServer, port: int) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks its host name up, which can take seconds.
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.served: list[Request] = []
        self.server.owner._connections.add(self.connection)

    def finish(self) -> None:
        self.server.owner._connections.discard(self.connection)
        super().finish()
        # Half a close now: the socket itself is closed by the caller right after this.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        for request in self.served:
            request.disconnected.set()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
        """Stay silent."""

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(target.query))
        request = Request(self.command, target.path, query, headers, _parsed(raw))
        number, wishes = self.server.owner._arrived(request)
        self.served.append(request)
        exchange = _Exchange(self.server.owner, self.connection, request, number, wishes)
        try:
            self.close_connection = exchange.answer() or headers.get("connection", "").lower() == "close"
        except (_HungUpError, ConnectionError):
            request._outcome.aborted = True
            self.close_connection = True
        finally:
            request.finished.set()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_GET  # noqa: N815 - the names that http.server calls


class _Exchange:
    """One request and its reply on the wire."""

    def __init__(
        self,
        owner: OpenAIServer,
        connection: socket.socket,
        request: Request,
        number: int,
        wishes: tuple[Behaviour, ...],
    ) -> None:
        self.owner = owner
        self.connection = connection
        self.request = request
        self.number = number
        self.wishes = wishes

    def _wish(self, kind: type[_Wish]) -> _Wish | None:
        """The script's behaviour of this kind, if it wants one."""
        return next((wish for wish in self.wishes if isinstance(wish, kind)), None)

    def answer(self) -> bool:
        """Send the reply; whether the connection must be closed after it.

        Raises:
            _HungUpError: The client is gone.
            ConnectionError: The client is gone.
        """
        if self._wish(Drop):
            return True
        reply, headers = self._reply()
        self.request._outcome.status = reply.status
        if reply.chunks is None:
            return self._send_whole(reply, headers)
        return self._send_chunks(reply, reply.chunks, headers)

    def _reply(self) -> tuple[Reply, dict[str, str]]:
        """The reply as the script wants it, and its additional headers."""
        status, literal = self._wish(Status), self._wish(Literal)
        if status:
            return _refused(status)
        if literal:
            named = {name.lower(): value for name, value in literal.headers.items()}
            kind = named.pop("content-type", "application/json")
            return Reply(literal.body, content_type=kind, status=literal.status), named
        if self._wish(Surprise):
            return Reply(encode({"surprise": True})), {}
        if self._wish(Empty):
            return Reply(), {}
        reply = self._normal_reply()
        if self._wish(Malformed):
            body = reply.body or b"".join(reply.chunks or ())
            return Reply(body[: len(body) // 2]), {}
        return reply, {}

    def _normal_reply(self) -> Reply:
        endpoint, deployment = _endpoint(self.request.path)
        if endpoint == "billed":
            return Reply(encode(dataclasses.asdict(self.owner.billed)))
        body = self._fields()
        if body is None:
            return error(400, "We could not parse the JSON body of your request.")
        if deployment is not None:
            body = {"model": deployment, **body}
        text, chunks = self._wish(Text), self._wish(Chunks)
        wanted = Wanted(
            text=text.text if text else None,
            chunks=chunks.count if chunks else None,
            running_usage=self._wish(RunningUsage) is not None,
        )
        return reply_to(Ask(self.request.method, endpoint, body, wanted, self.owner._stored))

    def _fields(self) -> JSON | None:
        """The request's parameters; None if they cannot be read."""
        body = self.request.body
        if isinstance(body, dict):
            return body
        if body is None:
            return dict(self.request.query)
        kind = self.request.headers.get("content-type", "")
        if isinstance(body, bytes) and kind.startswith("multipart/form-data"):
            return _form(body, kind.partition("boundary=")[2].strip('"'))
        return None

    def _send_whole(self, reply: Reply, headers: Mapping[str, str]) -> bool:
        hang = self._wish(Hang)
        if hang:
            self._wait(hang)
        body = reply.body
        if self._wish(Gzip):
            body = gzip.compress(body, mtime=0)
        head = self._head(reply, {"content-length": str(len(body)), **headers})
        if self._wish(Cut):
            self.connection.sendall(head + body[: len(body) // 2])
            return True
        self.request._outcome.billed = reply.billed
        self.connection.sendall(head + body)
        return False

    def _send_chunks(self, reply: Reply, chunks: Sequence[bytes], headers: Mapping[str, str]) -> bool:
        """Send chunk by chunk; before each one the client may be found gone."""
        frames, complete = self._frames(list(chunks), reply.content_type == SSE)
        pack = zlib.compressobj(wbits=31) if self._wish(Gzip) else None
        hang, cut = self._wish(Hang), self._wish(Cut)
        outcome = self.request._outcome
        try:
            self.connection.sendall(self._head(reply, {"transfer-encoding": "chunked", **headers}))
            for number, frame in enumerate(frames):
                last = number == len(frames) - 1
                if cut and number >= cut.after:
                    return True
                if hang and number == hang.after:
                    self._wait(hang)
                if self._gone():
                    raise _HungUpError
                if last and complete:
                    outcome.billed = reply.billed
                # The end of the body goes with the last chunk: a client that leaves there has had it all.
                self.connection.sendall(_packed(frame, pack, last))
        except (_HungUpError, ConnectionError):
            outcome.billed = reply.billed
            raise
        return False

    def _frames(self, frames: list[bytes], events: bool) -> tuple[list[bytes], bool]:
        """The chunks with what the script adds; whether they still are the whole answer."""
        failure, broken = self._wish(ErrorEvent), self._wish(BrokenEvent)
        if broken and events:
            frames.insert(broken.after, b'data: {"id": "broken", \n\n')
        if failure and events:
            return [*frames[: failure.after], self._failure(failure)], False
        return frames, True

    def _failure(self, failure: ErrorEvent) -> bytes:
        """The error event as this endpoint sends it."""
        value = {"type": "server_error", "code": "server_error", "message": failure.message, "param": None}
        if _endpoint(self.request.path)[0].startswith("responses"):
            return event({**value, "type": "error", "sequence_number": failure.after}, "error")
        return event({"error": value})

    def _head(self, reply: Reply, headers: Mapping[str, str]) -> bytes:
        phrase = BaseHTTPRequestHandler.responses.get(reply.status, ("Unknown", ""))[0]
        members = {
            "content-type": reply.content_type,
            "x-request-id": f"req_{self.number:032x}",
            "openai-organization": "autotrace-tests",
            "openai-processing-ms": "7",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "1999000",
            "x-ratelimit-reset-requests": "6ms",
            "x-ratelimit-reset-tokens": "30ms",
            **({"content-encoding": "gzip"} if self._wish(Gzip) else {}),
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in members.items())
        return f"HTTP/1.1 {reply.status} {phrase}\r\n{lines}\r\n".encode("latin-1")

    def _wait(self, hang: Hang) -> None:
        hang.reached.set()
        while not hang.released.wait(0.005):
            if self._gone():
                raise _HungUpError

    def _gone(self) -> bool:
        """Whether the client has closed its side."""
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False


def _refused(wish: Status) -> tuple[Reply, dict[str, str]]:
    """OpenAI's type and code for a status, and its advice when to retry."""
    kinds = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }
    kind, code = kinds.get(wish.status, ("server_error", None))
    headers = {}
    if wish.retry_after is not None:
        headers["retry-after"] = str(math.ceil(wish.retry_after))
        headers["retry-after-ms"] = str(max(round(wish.retry_after * 1000), 1))
    return error(wish.status, wish.message or f"Scripted error {wish.status}.", kind=kind, code=code), headers


def _packed(frame: bytes, pack: zlib._Compress | None, last: bool) -> bytes:
    """A chunk in HTTP's chunked coding, and the end of the body after the last one."""
    if pack is not None:
        frame = pack.compress(frame) + pack.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    return b"%x\r\n%b\r\n%b" % (len(frame), frame, b"0\r\n\r\n" if last else b"")


def _parsed(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _endpoint(path: str) -> tuple[str, str | None]:
    """The part of a path that names the endpoint, and Azure's deployment if it names one."""
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["openai", "deployments"] and len(parts) > 3:
        return "/".join(parts[3:]), parts[2]
    for prefix in (["openai", "v1"], ["openai"], ["v1"]):
        if parts[: len(prefix)] == prefix:
            return "/".join(parts[len(prefix) :]), None
    return "/".join(parts), None


def _form(body: bytes, boundary: str) -> JSON:
    """The fields of a multipart form: texts, and each file as its name and its size in bytes."""
    members: JSON = {}
    for name, filename, content in _parts(body, boundary):
        members[name] = content.decode("utf-8", "replace") if filename is None else [filename, len(content)]
    return members


def _parts(body: bytes, boundary: str) -> Iterator[tuple[str, str | None, bytes]]:
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        names = {}
        for attribute in head.decode("utf-8", "replace").replace("\r\n", ";").split(";"):
            key, _, value = attribute.strip().partition("=")
            names[key] = value.strip('"')
        yield names.get("name", ""), names.get("filename"), content.removesuffix(b"\r\n")


def main() -> None:
    """Serve until interrupted, for other processes; `GET /billed` tells them the totals."""
    parser = argparse.ArgumentParser(description="A metering, OpenAI-compatible server on loopback.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    with OpenAIServer(parser.parse_args().port) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
