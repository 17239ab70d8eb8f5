"""urllib3's connections, with an end to the time that one answer may take.

urllib3's own read timeout counts from one piece to the next: a server that sends a byte now and then would hold us
for hours.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Answer(io.RawIOBase):
    """Reads a socket until a moment."""

    def __init__(self, connection: socket.socket, source: io.BufferedReader, seconds: float) -> None:
        self._connection = connection
        self._source = source
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._source.readinto1(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


def pool_classes(seconds: float) -> dict[str, Any]:
    """Pools by scheme whose connections give sending, and then the whole answer, as many seconds."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
            super().__init__(sock, *arguments, **options)
            self.fp = io.BufferedReader(_Answer(sock, self.fp, seconds))

    class Connection(HTTPConnection):
        response_class = Response

        def request(self, *arguments: Any, **options: Any) -> None:
            self.timeout = seconds  # urllib3 would send with the timeout for connecting
            if self.sock is not None:
                self.sock.settimeout(seconds)
            super().request(*arguments, **options)

    class SecureConnection(Connection, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}
