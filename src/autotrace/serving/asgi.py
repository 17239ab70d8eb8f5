"""What the host puts around an ASGI application: https://asgi.readthedocs.io/en/latest/specs/www.html.

The application is called once, with `receive` and `send` that look at what passes. What they hand on is the server's
own; a response may get one header more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from ..recording.current import current_context, enter, leave
from ..recording.guard import guard
from ..recording.recorder import Recorder
from ..recording.suppression import is_suppressed
from .exchange import Exchange, Request, is_served, remote_span
from .feedback_endpoint import FeedbackEndpoint
from .service import Service
from .sockets import Connection

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[..., Awaitable[Any]]

#: Extensions by which the server itself reads what is sent; `more_body` tells whether more comes.
_FILES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


class AsgiFunction:
    """What the host puts around an application's `__call__`.

    Args:
        label: Names it in reports.
        recorder: The framework's recorder.
        service: The settings that concern requests, as they are now.
        route: From the scope to the pattern of the path; None where that is not known.
    """

    def __init__(
        self,
        label: str,
        recorder: Recorder,
        service: Callable[[], Service],
        route: Callable[[Mapping[str, Any]], str | None] | None = None,
    ) -> None:
        self.label = label
        self.enabled = True
        self._recorder = recorder
        self._service = service
        self._route = route or (lambda _: None)

    def __call__(self, wrapped: App, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
        """Calls the application once, as the server asked."""
        if not self.enabled:
            return wrapped(*args, **kwargs)
        try:
            served = self._served(wrapped, args, kwargs)
        except Exception as error:  # noqa: BLE001 (a server's own shapes)
            guard.report(f"{self.label}: request", error)
            served = None
        return wrapped(*args, **kwargs) if served is None else served

    def _served(self, wrapped: App, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any] | None:
        given = _arguments(args, kwargs)
        if given is None:
            return None
        scope, receive, send = given
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            return None
        outer = current_context()
        if is_served(outer):
            return None  # mounted in another application, or asked by it
        service = self._service()
        path = scope["path"]
        if kind == "http" and service.endpoint is not None and service.endpoint.is_at(_within(scope)):
            return _answer(service.endpoint, scope, receive, send)
        if is_suppressed(outer, self._recorder.name, self._recorder.is_shared):
            return None
        headers = _Headers(scope)
        request = Request(
            scope["method"] if kind == "http" else "WEBSOCKET",
            path,
            scope.get("query_string", b""),
            headers,
            lambda: self._route(scope),
            lambda: server_of(receive),
        )
        parent = headers.parent()
        if kind == "websocket":
            return Connection(self._recorder, service, request, outer, parent, receive, send).served(wrapped, scope)
        return _Http(Exchange(self._recorder, service, request, outer, parent), receive, send).served(wrapped, scope)


class _Http:
    """One HTTP request at the application."""

    __slots__ = ("_disconnected", "_exchange", "_is_complete", "_read", "_receive", "_send")

    def __init__(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._is_complete = False
        self._disconnected = False
        #: Takes the pieces of the answer.
        self._read: Callable[[bytes], None] | None = None

    async def served(self, wrapped: App, scope: Scope) -> Any:
        """Calls the application."""
        exchange = self._exchange
        token = enter(exchange.context)
        try:
            result = await wrapped(scope, self.receive, self.send)
        except BaseException as error:
            with guard("serving: end of a request"):
                exchange.left() if self._is_left() or self._is_refused(error) else exchange.fails(error)
            raise
        finally:
            leave(token)
        with guard("serving: end of a request"):
            exchange.left() if self._is_left() else exchange.ends()
        return result

    async def receive(self) -> Message:
        """The server's next message."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "http.request":
                self._exchange.asked(message.get("body", b""))
            elif kind == "http.disconnect":
                self._disconnected = True
        except Exception as error:  # noqa: BLE001 (a server's own shapes)
            guard.report("serving: a request's body", error)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Looks at what the application sends. No coroutine of ours: the server's own is what the application gets."""
        try:
            kind = message["type"]
            if kind == "http.response.body":
                if self._read is not None:
                    self._read(message.get("body", b""))
                if not message.get("more_body", False):
                    self._complete()
            elif kind == "http.response.start":
                message = self._begun(message)
            elif kind in _FILES and not message.get("more_body", False):
                self._complete()
        except Exception as error:  # noqa: BLE001 (an application's own shapes)
            guard.report("serving: a response", error)
        return self._send(message)

    def _begun(self, message: Message) -> Message:
        given = message.get("headers") or ()
        own = list(given)
        if iter(given) is given:  # and now read
            message = {**message, "headers": own}
        more: list[tuple[str, str]] = []
        with guard("serving: a response"):
            more = self._exchange.begins(message["status"], _by_name(own))
            self._read = self._exchange.feed
        if not more:
            return message
        added = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in more]
        return {**message, "headers": [*own, *added]}

    def _complete(self) -> None:
        if self._is_left():
            self._exchange.left()
        else:
            self._exchange.completes()
        self._is_complete = True

    def _is_left(self) -> bool:
        """Whether the client has hung up before the answer was complete, as far as can be seen."""
        if self._is_complete:
            return False
        # uvicorn tells an application only that asks; but it knows.
        return self._disconnected or getattr(getattr(self._receive, "__self__", None), "disconnected", False) is True

    def _is_refused(self, error: BaseException) -> bool:
        """Whether the server's `send` has raised this: by ASGI 2.4 an OSError, when the client has hung up."""
        if not isinstance(error, OSError):
            return False
        code, trace = getattr(self._send, "__code__", None), error.__traceback__
        while trace is not None and (code is None or trace.tb_frame.f_code is not code):
            trace = trace.tb_next
        return trace is not None


class _Headers:
    """A request's headers, by their names in lower case: made when they are asked for."""

    __slots__ = ("_found", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._found: dict[str, str] | None = None

    def __call__(self) -> Mapping[str, str]:
        if self._found is None:
            self._found = _by_name(self._scope.get("headers") or ())
        return self._found

    def parent(self) -> Any:
        """The caller's span, where the request names one."""
        for header in self._scope.get("headers") or ():
            if header[0] == b"traceparent":
                headers = self()
                return remote_span(headers.get("traceparent", ""), headers.get("tracestate"))
        return None


def _by_name(headers: Iterable[Any]) -> dict[str, str]:
    """Headers by their names in lower case; what is none is left out.

    The first of one name counts: a proxy appends its own, but so may a client.
    """
    found: dict[str, str] = {}
    for header in headers:
        try:
            name, value = header
            found.setdefault(_text(name).lower(), _text(value))
        except (TypeError, ValueError):
            continue
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value, "latin-1")


def server_of(receive: Any) -> str:
    """The server's name, such as `uvicorn`, by where its `receive` comes from."""
    owner = getattr(receive, "__self__", None)
    module = type(owner).__module__ if owner is not None else getattr(receive, "__module__", None)
    return str(module or type(receive).__module__).partition(".")[0].lstrip("_")


def _arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Scope, Receive, Send] | None:
    """What a server calls an application with; None for anything else: uvicorn tries whether it is a factory."""
    given = [*args, *(kwargs[name] for name in ("scope", "receive", "send") if name in kwargs)]
    if len(given) != 3:
        return None
    scope, receive, send = given
    return scope, receive, send


def _within(scope: Scope) -> str:
    """The path within the application, where a proxy has put it below another one."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


async def _answer(endpoint: FeedbackEndpoint, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in the application's place."""
    body = b""
    while len(body) <= endpoint.limit:
        message = await receive()
        if message["type"] != "http.request":
            return  # the client has hung up
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    reply = endpoint.answer(scope["method"], _Headers(scope)(), body)
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
