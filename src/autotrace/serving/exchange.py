"""One request and its response, whatever the protocol: what passed, and the root span that comes of it.

Nothing is read before something inside is recorded: a request without it costs a few microseconds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..recording import semconv
from ..recording.guard import guard
from ..recording.held import Description, Held, held_in
from ..recording.labels import Labels
from ..recording.messages import RequestValues, ResponseValues
from ..recording.recorder import Recorder
from .reading import Answered, AnswerReader, Asked
from .service import TRACE_HEADER, Service

#: Bytes of a request's body that are read for what it asks.
BODY_LIMIT = 5_000_000
#: What a body may be that asks something.
_READ = ("json", "x-www-form-urlencoded", "text/plain", "multipart/form-data")
#: Parts of a path that stand for one of many: numbers, and ids in hexadecimal digits.
_ONE_OF_MANY = re.compile(
    r"(?<=/)(?:\d+|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}|[0-9a-fA-F]{16,})(?=/|$)"
)
_propagator = TraceContextTextMapPropagator()
#: A member of a `tracestate`, and how many there may be: https://www.w3.org/TR/trace-context/#tracestate-header.
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MEMBERS = 32


class Request:
    """A request as it comes in.

    Args:
        method: `POST`, ...; `WEBSOCKET` for a message that came on one.
        path: Without the query.
        query: What stands behind the `?`.
        headers: Called when they are needed: by their names in lower case.
        route: Called when it is needed: the path's pattern, such as `/users/{id}`; None where that is not known.
        server: Called when it is needed: the server's name.
    """

    __slots__ = ("headers", "method", "path", "query", "route", "server")

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Callable[[], Mapping[str, str]],
        route: Callable[[], str | None],
        server: Callable[[], str],
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.route = route
        self.server = server

    def name(self, route: str | None) -> str:
        """`POST /users/{id}`, by the path's pattern where that is known."""
        return f"{self.method} {route or _ONE_OF_MANY.sub('{id}', self.path)}"


class Exchange(Held):
    """A request and its response: the root that comes of them.

    Args:
        recorder: Records it.
        service: The settings that concern requests.
        request: The request.
        outer: The context in which it arrives.
        remote: The caller's span, where it names one.
    """

    __slots__ = (
        *("_around", "_body", "_error", "_is_read", "_known", "_left", "_reader", "_request", "_request_id", "_route"),
        *("__weakref__", "_service", "_status"),
    )

    def __init__(
        self, recorder: Recorder, service: Service, request: Request, outer: Context, remote: SpanContext | None = None
    ) -> None:
        super().__init__(recorder, outer, kind=SpanKind.SERVER, remote=remote)
        self._service = service
        self._request = request
        self._body: list[bytes] = []
        self._left = self._known = BODY_LIMIT
        self._is_read: bool | None = None
        self._reader: AnswerReader | None = None
        self._status = 0
        self._request_id: str | None = None
        self._route: str | None = None
        self._error: BaseException | None = None
        self._around = sys.exc_info()[1]

    def reads_body(self) -> bool:
        """Whether the request's body may ask something, by its type."""
        if self._is_read is None:
            content_type = self._request.headers().get("content-type") or "application/json"
            self._is_read = any(kind in content_type.lower() for kind in _READ)
        return self._is_read

    def asked(self, chunk: bytes) -> None:
        """A piece of the request's body has been read by the application."""
        if self._left <= 0 or not chunk:
            return
        if self.reads_body():
            self._body.append(bytes(chunk[: self._left]))
            self._left -= len(chunk)
        else:
            self._left = 0

    def begins(
        self, status: int, headers: Mapping[str, str], error: BaseException | None = None
    ) -> list[tuple[str, str]]:
        """The response begins; what it is to say beside its own headers.

        Args:
            status: Its HTTP status.
            headers: By their names in lower case.
            error: What it is answered for, where the application says so.
        """
        self._status = status = int(status)
        self._error = error
        if self._recorder.policy.keeps_content:
            content_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
            self._reader = self._service.reader(max(status, 200), content_type, encoding)
        # An answer whose length is known is there already; what is yet to be made may lead to anything.
        is_open = "content-length" not in headers and status >= 200 and status not in (204, 304)
        if is_open:  # what makes it may know of no route
            self._finds_route()
        if not self._service.tells_trace or TRACE_HEADER in headers:
            return []
        trace_id = self.trace_id if self.is_recorded or is_open else 0
        if not trace_id:
            return []
        found = [(TRACE_HEADER, f"{trace_id:032x}")]
        origin = self._request.headers().get("origin")
        if origin and self._service.origins(origin):
            found.append(("access-control-expose-headers", TRACE_HEADER))
        return found

    def answered(self, chunk: bytes) -> None:
        """A piece of the response's body passes."""
        if self._reader is not None:
            self._reader.feed(chunk)

    @property
    def feed(self) -> Callable[[bytes], None] | None:
        """What to tell of the pieces of the response's body once that has begun, at the least cost; None: nothing."""
        return None if self._reader is None else self._reader.feed

    def completes(self) -> None:
        """The last byte is about to leave. All that is to be said of it is recorded before: who has it, has a trace."""
        error = None
        if self._status >= 500:
            error = self._error or sys.exc_info()[1]
        self.finish(error=error if error is not self._around else None)

    def left(self) -> None:
        """The client has hung up."""
        self.finish(outcome="disconnected")

    def ends(self) -> None:
        """The application is done. An answer that is not complete by now will not be."""
        self.finish(outcome="closed")

    def fails(self, error: BaseException) -> None:
        """The application has failed."""
        if is_disconnect(error):
            self.left()
        else:
            self.finish(error=error)

    def describe(self) -> Description:
        """What is asked, as far as it has been read."""
        request = self._request
        self._service.served_by(request.server())
        self._known = self._left
        asked = Asked()
        with guard("serving: what a request asks"):
            asked = self._service.asked(request.method, request.query, b"".join(self._body), request.headers())
        self._finds_route()
        self._request_id = asked.request_id
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "url.path": request.path,
            "http.route": self._route,
            semconv.REQUEST_ID: asked.request_id,
        }
        values: RequestValues = {"name": request.name(self._route), "attributes": attributes}
        if asked.messages:
            values["input"] = asked.messages
        elif asked.input is not None:
            values["input_value"] = asked.input
        return Description(values, Labels(asked.session, asked.user))

    def noted(self, trace_id: str) -> None:
        """What the caller calls the request leads to its trace."""
        if self._request_id:
            self._service.noted(self._request_id, trace_id)

    def _finds_route(self) -> bool:
        """Looks for the path's pattern, unless that is known; answers whether it has been found now."""
        if self._route is None:
            with guard("serving: route"):
                self._route = self._request.route()
            return self._route is not None
        return False

    def conclude(self) -> ResponseValues:
        """What is answered."""
        if self._left != self._known or self._finds_route():
            self.restate()  # what was traced first came before the application looked for the route, or read
        self._body.clear()
        self._error = None  # whose frames lead here
        values: ResponseValues = {"attributes": {"http.response.status_code": self._status or None}}
        answered = Answered()
        if self._reader is not None:
            with guard("serving: what a response answers"):
                answered = self._reader.answered()
        if self._status >= 500:
            values["error"] = str(self._status), answered.error or ""
        elif answered.error and self._status < 400:
            values["error"] = "error", answered.error  # a stream that fails on its way has begun with 200
        if answered.messages:
            values["output"] = answered.messages
        elif answered.output is not None or answered.error:
            values["output_value"] = answered.error if answered.output is None else answered.output
        return values


def is_served(context: Context) -> bool:
    """Whether this is within a request that an application is at work on."""
    held = held_in(context)
    return isinstance(held, Exchange) and not held.is_over


#: Exceptions by which an application is told that the client has hung up: Starlette's, Litestar's, uvicorn's.
_LEFT = frozenset({"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"})


def is_disconnect(error: BaseException) -> bool:
    """Whether this says that the client has hung up."""
    return any(kind.__name__ in _LEFT for kind in type(error).__mro__)


def remote_span(traceparent: str, tracestate: str | None = None) -> SpanContext | None:
    """The span of the caller, by W3C Trace Context; None where the header makes no sense."""
    carrier = {"traceparent": traceparent}
    if tracestate and _is_state(tracestate):
        carrier["tracestate"] = tracestate
    found = get_current_span(_propagator.extract(carrier, Context())).get_span_context()
    return found if found.is_valid else None


def _is_state(tracestate: str) -> bool:
    """Whether OpenTelemetry takes it: what it does not take it logs, as long as the client has made it."""
    members = [member.strip(" \t") for member in tracestate.split(",", _MEMBERS)]
    return len(members) <= _MEMBERS and all(not member or _MEMBER.fullmatch(member) for member in members)
