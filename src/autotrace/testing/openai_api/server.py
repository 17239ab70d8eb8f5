"""The server: its sockets and threads, its script, the requests that it has seen."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from autotrace.testing.loopback import Connection, HungUpError, Listener
from autotrace.testing.openai_api.ask import JSON
from autotrace.testing.openai_api.behaviours import Behaviour, Hang
from autotrace.testing.openai_api.billing import Billed
from autotrace.testing.openai_api.exchange import Exchange
from autotrace.testing.openai_api.request import Request, parsed


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
        self._http: _Listener | None = None

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
        return self

    def stop(self, timeout: float = 2.0) -> None:
        """Release what hangs, give replies under way up to `timeout` seconds, close all connections."""
        if self._http is None:
            return
        self._http.halt()
        for hang in self._hangs:
            hang.release()
        deadline = time.monotonic() + timeout
        for request in self.requests:
            request.finished.wait(max(deadline - time.monotonic(), 0))
        self._http.close(deadline)
        for request in self.requests:
            request.disconnected.wait(max(deadline - time.monotonic(), 0))
        self._http = None

    @property
    def azure_endpoint(self) -> str:
        """The root, as `azure_endpoint=` of an Azure client.

        Raises:
            RuntimeError: The server is not started.
        """
        if self._http is None:
            raise RuntimeError("The server is not running: call start(), or use it in a with statement.")
        return self._http.url

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
        return len(self._http.connections) if self._http else 0

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


class _Listener(Listener):
    def __init__(self, owner: OpenAIServer, port: int) -> None:
        self.owner = owner
        super().__init__(port, _Connection, "openai-server")


class _Connection(Connection):
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.served: list[Request] = []

    def finish(self) -> None:
        super().finish()
        for request in self.served:
            request.disconnected.set()

    def respond(self) -> None:
        target = urlsplit(self.path)
        raw = self.read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(target.query))
        request = Request(self.command, target.path, query, headers, parsed(raw))
        number, wishes = self.server.owner._arrived(request)
        self.served.append(request)
        exchange = Exchange(self.server.owner, self.connection, request, number, wishes)
        try:
            self.close_connection = exchange.answer() or headers.get("connection", "").lower() == "close"
        except (HungUpError, ConnectionError):
            request._outcome.aborted = True
            self.close_connection = True
        finally:
            request.finished.set()
