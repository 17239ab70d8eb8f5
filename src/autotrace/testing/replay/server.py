"""The server: what it plays, what it was told to spoil, and the requests that it has seen."""

from __future__ import annotations

import json as json_module
import threading
import time
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from os import PathLike
from types import TracebackType
from typing import Any

from autotrace.testing.loopback import Connection, HungUpError, Listener
from autotrace.testing.replay.cassette import Reply, read
from autotrace.testing.replay.exchange import Hold, send_events, send_whole
from autotrace.testing.replay.playback import Playback
from autotrace.testing.replay.request import Request, received


class ReplayServer:
    """Plays recordings on 127.0.0.1; a context manager that starts and stops it.

        with ReplayServer("recordings/messages.json") as server:
            client = anthropic.Anthropic(base_url=server.url, api_key="sk-test", max_retries=0)
            server.cut(after=1)
            ...
            assert server.unmatched == []

    A request that nothing answers gets status 501 with a JSON error that names it and what there is.

    Args:
        paths: Cassettes, or folders of `*.json`, `*.yaml` and `*.yml`; played in this order.
        port: Port on 127.0.0.1; 0 takes a free one.

    Raises:
        ValueError: A cassette cannot be read: names the file, the interaction's number (from 1) and what is wrong.
        ImportError: A cassette is YAML, and PyYAML is not installed.
    """

    def __init__(self, *paths: str | PathLike[str], port: int = 0) -> None:
        if not paths:
            raise ValueError("ReplayServer needs the path of a recording.")
        self._playback = Playback([interaction for path in paths for interaction in read(path)])
        self._port = port
        self._lock = threading.Condition()
        self._requests: list[Request] = []
        self._unmatched: list[Request] = []
        self._failures: deque[Reply] = deque()
        self._cuts: deque[int] = deque()
        self._holds: deque[Hold] = deque()
        self._held: list[Hold] = []
        self._under_way = 0
        self._listener: _Listener | None = None

    def __enter__(self) -> ReplayServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> ReplayServer:
        """Listen, and serve in daemon threads; nothing if it does already.

        Raises:
            OSError: The port is taken.
        """
        if self._listener is None:
            self._listener = _Listener(self, self._port)
        return self

    def stop(self, timeout: float = 2.0) -> None:
        """Release what is held, give replies under way up to `timeout` seconds, close all connections."""
        if self._listener is None:
            return
        deadline = time.monotonic() + timeout
        self._listener.halt()
        self.release()
        with self._lock:
            self._lock.wait_for(lambda: self._under_way == 0, timeout)
        self._listener.close(deadline)
        self._listener = None

    @property
    def url(self) -> str:
        """The root, `http://127.0.0.1:port`: recorded paths follow it.

        Raises:
            RuntimeError: The server is not started.
        """
        if self._listener is None:
            raise RuntimeError("The server is not running: call start(), or use it in a with statement.")
        return self._listener.url

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in the order of arrival, failed and unmatched ones included."""
        with self._lock:
            return list(self._requests)

    @property
    def unmatched(self) -> list[Request]:
        """The requests that no recording answered."""
        with self._lock:
            return list(self._unmatched)

    def fail(
        self, status: int = 500, json: Any = None, times: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next requests with an error, whatever they are; no recording counts as played.

            server.fail(status=429, json={"error": {"message": "Slow down."}}, headers={"retry-after": "0"})

        Args:
            status: HTTP status.
            json: The body; None is an error that says that it was asked for.
            times: How many requests.
            headers: Sent too.

        Raises:
            ValueError: `status` is none, or `times` is less than 1.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"status must be from 200 to 599, not {status}")
        body = {"error": {"type": "api_error", "message": f"Failed as told: {status}."}} if json is None else json
        with self._lock:
            self._failures.extend([_error(status, body, headers or {})] * _count("times", times, 1))

    def cut(self, after: int = 1, times: int = 1) -> None:
        """Drop the connection of the next streams after so many events, so that the client raises there.

        A stream that has fewer loses its end: after all of its events.

        Args:
            after: How many events are sent before.
            times: How many streams; replies that are no streams do not count.

        Raises:
            ValueError: `after` is less than 0, or `times` is less than 1.
        """
        with self._lock:
            self._cuts.extend([_count("after", after, 0)] * _count("times", times, 1))

    def hold(self, after: int = 1) -> threading.Event:
        """Let the next stream wait after so many events until `release`, `reset` or `stop`.

            held = server.hold(after=1)
            ...
            assert held.wait(5)
            server.release()

        A stream that has fewer waits before its end. One whose client leaves waits no longer.

        Returns:
            An event that is set once the stream waits.

        Raises:
            ValueError: `after` is less than 0.
        """
        hold = Hold(_count("after", after, 0))
        with self._lock:
            self._holds.append(hold)
        return hold.reached

    def release(self) -> None:
        """Let all streams go on; a hold that no stream has met yet is forgotten."""
        with self._lock:
            self._holds.clear()
            for hold in self._held:
                hold.released.set()
            self._held.clear()

    def reset(self) -> None:
        """As if just started: nothing was received or played, and nothing fails, is cut or is held."""
        self.release()
        with self._lock:
            self._playback.rewind()
            for memory in (self._requests, self._unmatched, self._failures, self._cuts):
                memory.clear()

    def _arrived(self, request: Request) -> Reply:
        """Record a request that is under way now; what answers it."""
        with self._lock:
            self._under_way += 1
            self._requests.append(request)
            if self._failures:
                return self._failures.popleft()
            interaction = self._playback.play(request)
            if interaction is not None:
                return interaction.reply
            self._unmatched.append(request)
            error = {"type": "unmatched_request", "message": self._playback.explain(request)}
        # The header tells SDKs that have it not to try again.
        return _error(501, {"error": error}, {"x-should-retry": "false"})

    def _spoilt(self) -> tuple[int | None, Hold | None]:
        """What the next stream was told to suffer."""
        with self._lock:
            hold = self._holds.popleft() if self._holds else None
            if hold is not None:
                self._held.append(hold)
            return self._cuts.popleft() if self._cuts else None, hold

    def _left(self) -> None:
        """A request is no longer under way."""
        with self._lock:
            self._under_way -= 1
            self._lock.notify_all()


class _Listener(Listener):
    def __init__(self, owner: ReplayServer, port: int) -> None:
        self.owner = owner
        super().__init__(port, _Connection, "replay-server")


class _Connection(Connection):
    server: _Listener

    def respond(self) -> None:
        owner = self.server.owner
        reply = owner._arrived(received(self.command, self.path, self.headers.items(), self.read_body()))
        try:
            self.close_connection = not self._sent(reply) or self.headers.get("connection", "").lower() == "close"
        except (HungUpError, ConnectionError):
            self.close_connection = True
        finally:
            owner._left()

    def _sent(self, reply: Reply) -> bool:
        """Send the reply; whether the connection can go on."""
        if reply.events is None or self.command == "HEAD":
            send_whole(self.connection, reply, has_body=self.command != "HEAD")
            return True
        return send_events(self.connection, reply, reply.events, *self.server.owner._spoilt())


def _error(status: int, body: Any, headers: Mapping[str, str]) -> Reply:
    phrase = BaseHTTPRequestHandler.responses.get(status, ("Unknown", ""))[0]
    content = json_module.dumps(body).encode()
    sent = {"content-type": "application/json", **{name.lower(): value for name, value in headers.items()}}
    return Reply(status, phrase, tuple(sent.items()), content)


def _count(name: str, value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return value
