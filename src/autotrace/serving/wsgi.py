"""What the host puts around a WSGI application: PEP 3333.

The application is called once. What it reads of the request and what it answers with pass by here, in the same steps;
the request's context is current while the application works, never while the server does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

import wrapt

from ..recording.current import current_context, enter, leave
from ..recording.guard import guard
from ..recording.recorder import Recorder
from ..recording.suppression import is_suppressed
from .exchange import BODY_LIMIT, Exchange, Request, is_served, remote_span
from .feedback_endpoint import FeedbackEndpoint
from .service import Service

if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:  # generic for type checkers alone, in most releases
    _Proxy = wrapt.ObjectProxy

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[..., Iterable[bytes]]


class WsgiFunction:
    """What the host puts around an application's `__call__`.

    Args:
        label: Names it in reports.
        recorder: The framework's recorder.
        service: The settings that concern requests, as they are now.
        route: From the environment to the pattern of the path; None where that is not known.
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

    def __call__(self, wrapped: App, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterable[bytes]:
        """Calls the application once, as the server asked."""
        if not self.enabled:
            return wrapped(*args, **kwargs)
        try:
            begun = self._begun(args, kwargs)
        except Exception as error:  # noqa: BLE001 (a server's own shapes)
            guard.report(f"{self.label}: request", error)
            begun = None
        if begun is None:
            return wrapped(*args, **kwargs)
        return begun if isinstance(begun, list) else begun.served(wrapped)

    def _begun(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Http | list[bytes] | None:
        given = [*args, *(kwargs[name] for name in ("environ", "start_response") if name in kwargs)]
        if len(given) != 2:
            return None
        environ, start_response = given
        outer = current_context()
        if is_served(outer):
            return None  # mounted in another application, or asked by it
        service = self._service()
        path = environ.get("PATH_INFO", "")
        if service.endpoint is not None and service.endpoint.is_at(path):
            return _answer(service.endpoint, environ, start_response)
        if is_suppressed(outer, self._recorder.name, self._recorder.is_shared):
            return None
        request = Request(
            environ["REQUEST_METHOD"],
            f"{environ.get('SCRIPT_NAME', '')}{path}",
            environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
            lambda: headers_of(environ),
            lambda: self._route(environ),
            lambda: server_of(environ),
        )
        traceparent = environ.get("HTTP_TRACEPARENT")
        parent = remote_span(traceparent, environ.get("HTTP_TRACESTATE")) if traceparent else None
        return _Http(Exchange(self._recorder, service, request, outer, parent), environ, start_response)


class _Http:
    """One request at the application.

    Attributes:
        context: What the application works in.
    """

    def __init__(self, exchange: Exchange, environ: Environ, start_response: StartResponse) -> None:
        self.context = exchange.context
        self._exchange = exchange
        self._environ = environ
        self._start_response = start_response
        #: Bytes of the answer that are to come, where its length is told.
        self._left: int | None = None

    def served(self, wrapped: App) -> Iterable[bytes]:
        """Calls the application."""
        exchange, environ = self._exchange, self._environ
        with guard("serving: a request's body"):
            self._tap(environ)
        token = enter(self.context)
        try:
            result = wrapped(environ, self.start_response)
        except BaseException as error:
            self.fails(error)
            raise
        finally:
            leave(token)
        try:
            return self._followed(result)
        except Exception as error:  # noqa: BLE001 (an application's own shapes)
            guard.report("serving: a response", error)
            exchange.ends()
            return result

    def start_response(self, *args: Any, **kwargs: Any) -> Callable[[bytes], object]:
        """Hands on the application's status and headers."""
        if len(args) > 1:
            status, given, *more = args
            own, added = given, []
            with guard("serving: a response"):
                own = list(given)
                exc_info = more[0] if more else kwargs.get("exc_info")
                added = self._begun(status, own, exc_info[1] if exc_info else None)
            if added or (own is not given and iter(given) is given):  # and now read
                args = status, [*own, *added], *more
        return self._start_response(*args, **kwargs)

    def _begun(self, status: str, headers: list[Any], error: BaseException | None) -> list[tuple[str, str]]:
        known: dict[str, str] = {}
        for name, value in headers:
            known.setdefault(name.lower(), value)
        length = known.get("content-length", "")
        self._left = int(length) if length.isdecimal() else None
        return self._exchange.begins(int(status[:3]), known, error)

    def _tap(self, environ: Environ) -> None:
        """Lets the request's body pass by here, where it may ask something."""
        length = str(environ.get("CONTENT_LENGTH") or "")
        is_long = length.isdecimal() and int(length) > BODY_LIMIT
        if "wsgi.input" in environ and length != "0" and not is_long and self._exchange.reads_body():
            # Weakly, as the exchange refers to the environment.
            environ["wsgi.input"] = _Input(environ["wsgi.input"], WeakMethod(self._exchange.asked))

    def _followed(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """What the server gets: the application's own where that is whole, else one that follows it."""
        if isinstance(result, list | tuple):
            for chunk in result:
                self._exchange.answered(chunk)
            self._exchange.completes()
            return result
        wrapper = self._environ.get("wsgi.file_wrapper")
        if hasattr(result, "read") or (isinstance(wrapper, type) and isinstance(result, wrapper)):
            self._exchange.completes()  # a file, which the server may send by other means
            return result
        return (_SizedBody if hasattr(result, "__len__") else _Body)(result, self)

    def passes(self, chunk: bytes) -> None:
        """A piece of the answer is about to be sent."""
        with guard("serving: a response"):
            self._exchange.answered(chunk)
            if self._left is not None:
                self._left -= len(chunk)
                if self._left <= 0:
                    self._exchange.completes()

    def completes(self) -> None:
        """The application has no more to send."""
        with guard("serving: end of a request"):
            self._exchange.completes()

    def left(self) -> None:
        """The server wants no more."""
        with guard("serving: end of a request"):
            self._exchange.left()

    def fails(self, error: BaseException) -> None:
        """The application has failed."""
        with guard("serving: end of a request"):
            self._exchange.fails(error)


class _Body:
    """A response's body in the steps in which the application makes it; looked at, it is the application's."""

    def __init__(self, source: Iterable[bytes], http: _Http) -> None:
        self._source: Any = source
        self._http = http

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __iter__(self) -> Iterator[bytes]:
        token = enter(self._http.context)
        try:
            steps = iter(self._source)
        except BaseException as error:
            self._http.fails(error)
            raise
        finally:
            leave(token)
        return self if steps is self._source else _Body(steps, self._http)

    def __next__(self) -> bytes:
        http = self._http
        token = enter(http.context)
        try:
            chunk: bytes = next(self._source)
        except StopIteration:
            http.completes()
            raise
        except BaseException as error:
            http.fails(error)
            raise
        finally:
            leave(token)
        http.passes(chunk)
        return chunk

    def close(self) -> None:
        """The server is done; before the end, because the client has hung up."""
        token = enter(self._http.context)
        try:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
        finally:
            leave(token)
            self._http.left()


class _SizedBody(_Body):
    """One that says how many pieces it has."""

    def __len__(self) -> int:
        return len(self._source)


class _Input(_Proxy):
    """A request's body: the server's, whatever the application reads of it told; in all else it passes for that."""

    def __init__(self, source: Any, told: WeakMethod[Callable[[bytes], None]]) -> None:
        super().__init__(source)
        self._self_told = told

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        if name == "readinto":
            return lambda buffer: self._fill(found, buffer)
        if name == "read1":
            return lambda *args: self._tell(found(*args))
        return found

    def __iter__(self) -> Iterator[bytes]:
        for line in self.__wrapped__:
            yield self._tell(line)

    def __next__(self) -> bytes:
        return self._tell(next(self.__wrapped__))

    def __enter__(self) -> Any:
        kind = type(self.__wrapped__)
        if not hasattr(kind, "__enter__"):
            raise TypeError(f"{kind.__name__!r} object does not support the context manager protocol")
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """As the server's."""
        return self._tell(self.__wrapped__.read(*args, **kwargs))

    def readline(self, *args: Any, **kwargs: Any) -> bytes:
        """As the server's."""
        return self._tell(self.__wrapped__.readline(*args, **kwargs))

    def readlines(self, *args: Any, **kwargs: Any) -> list[bytes]:
        """As the server's."""
        lines: list[bytes] = self.__wrapped__.readlines(*args, **kwargs)
        for line in lines:
            self._tell(line)
        return lines

    def _fill(self, readinto: Callable[[Any], int], buffer: Any) -> int:
        count = readinto(buffer)
        self._tell(bytes(memoryview(buffer)[: count or 0]))
        return count

    def _tell(self, data: bytes) -> bytes:
        told = self._self_told()
        if told is not None:
            with guard("serving: a request's body"):
                told(data)
        return data


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers, by their names in lower case."""
    found = {
        name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = str(environ[name])
    return found


def server_of(environ: Mapping[str, Any]) -> str:
    """The server's name, such as `gunicorn`."""
    for name in ("uwsgi.version", "mod_wsgi.version"):
        if name in environ:
            return name.partition(".")[0]
    return str(environ.get("SERVER_SOFTWARE", "")).partition("/")[0]


def _answer(endpoint: FeedbackEndpoint, environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Answers in the application's place."""
    reply = endpoint.answer(environ["REQUEST_METHOD"], headers_of(environ), _body(environ, endpoint.limit + 1))
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", reply.headers)
    return [reply.body]


def _body(environ: Environ, limit: int) -> bytes:
    """The request's body, as far as the limit: as long as it says, or to its end where the server knows that."""
    length = str(environ.get("CONTENT_LENGTH") or "")
    if length:
        wanted = min(int(length), limit) if length.isdecimal() and len(length) < 10 else 0
    else:
        wanted = limit if environ.get("wsgi.input_terminated") else 0
    body: bytes = environ["wsgi.input"].read(wanted) if wanted else b""
    return body
