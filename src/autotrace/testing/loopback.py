"""What the test servers share: a listener on 127.0.0.1, its connections, and HTTP's framing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HungUpError(Exception):
    """The client closed its connection."""


class Listener(ThreadingHTTPServer):
    """Serves on 127.0.0.1 in daemon threads, and knows its open connections.

    Args:
        port: Port on 127.0.0.1; 0 takes a free one.
        connection: What serves one connection.
        name: Of the thread that accepts connections.

    Raises:
        OSError: The port is taken.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, connection: type[Connection], name: str) -> None:
        self.connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", port), connection)
        # A short poll only so that halt() is quick; requests never wait for it.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=name, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The root, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        # HTTPServer's own looks its host name up, which can take seconds.
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        # Here and not in the connection's own thread: after halt() no connection is unknown.
        with self._changed:
            self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.left(request)
        super().shutdown_request(request)

    def left(self, connection: socket.socket) -> None:
        """A connection is no longer served."""
        with self._changed:
            self.connections.discard(connection)
            self._changed.notify_all()

    def halt(self) -> None:
        """Accept no more connections; those that there are go on."""
        self.shutdown()
        self._thread.join()

    def close(self, deadline: float) -> None:
        """Close all connections; wait for their threads until `deadline`, in seconds of `time.monotonic`."""
        with self._changed:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self.connections, max(deadline - time.monotonic(), 0))
        self.server_close()


class Connection(BaseHTTPRequestHandler):
    """One connection, kept alive between requests; a subclass answers them in `respond`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def finish(self) -> None:
        self.server.left(self.connection)
        super().finish()
        # Half a close now: the socket itself is closed by the caller right after this.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
        """Stay silent."""

    def respond(self) -> None:
        """Read the request's body and send the reply; set `close_connection` if it is the last one."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self.respond()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the names in http.server

    def read_body(self) -> bytes:
        """The body of the request, whether its length is told or it is chunked."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            """Trailers say nothing to us."""
        return body


def head(status: int, phrase: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Status line and headers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {phrase}\r\n{lines}\r\n".encode("latin-1")


def chunk(data: bytes, last: bool) -> bytes:
    """Data in HTTP's chunked coding, with the end of the body after the last one."""
    return b"%x\r\n%b\r\n%b" % (len(data), data, b"0\r\n\r\n" if last else b"")


def wait_for(event: threading.Event, connection: socket.socket) -> None:
    """Wait until the event is set.

    Raises:
        HungUpError: The client was gone before.
        ConnectionError: The client was gone before.
    """
    while not event.wait(0.005):
        if is_gone(connection):
            raise HungUpError


def is_gone(connection: socket.socket) -> bool:
    """Whether the client has closed its side."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
