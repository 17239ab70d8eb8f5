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
from ..recording.held import Description, Held
from ..recording.labels import Labels
from ..recording.messages import RequestValues, ResponseValues
from ..recording.recorder import Recorder
from .reading import Answered, AnswerReader, Asked
from .service import TRACE_HEADER, Service

#: Bytes of a request's body that are read for what it asks.
BODY_LIMIT = 1_000_000
#: What a body may be that asks something.
_READ = ("json", "x-www-form-urlencoded", "text/plain", "multipart/form-data")
#: Parts of a path that stand for one of many: numbers, and ids in hexadecimal digits.
_ONE_OF_MANY = re.compile(
    r"(?<=/)(?:\d+|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}|[0-9a-fA-F]{16,})(?=/|$)"
)
_propagator = TraceContextTextMapPropagator()


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


class Exchange:
    """A request and its response.

    Args:
        recorder: Records the root span.
        service: The settings that concern requests.
        request: The request.
        outer: The context in which it arrives.
        remote: The value of its `traceparent`, where it has one.
    """

    __slots__ = (
        *("_around", "_body", "_is_read", "_left", "_reader", "_recorder", "_request", "_request_id", "_route"),
        *("_service", "_status", "held"),
    )

    def __init__(
        self, recorder: Recorder, service: Service, request: Request, outer: Context, remote: SpanContext | None = None
    ) -> None:
        self._recorder = recorder
        self._service = service
        self._request = request
        self._body: list[bytes] = []
        self._left = BODY_LIMIT
        self._is_read: bool | None = None
        self._reader: AnswerReader | None = None
        self._status = 0
        self._request_id: str | None = None
        self._route: str | None = None
        self._around = sys.exc_info()[1]
        self.held = Held(recorder, outer, self._describe, kind=SpanKind.SERVER, remote=remote, recorded=self._recorded)

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

    def begins(self, status: int, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """The response begins; what it is to say beside its own headers.

        Args:
            status: Its HTTP status.
            headers: By their names in lower case.
        """
        self._status = status = int(status)
        if self._recorder.policy.keeps_content:
            content_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
            self._reader = self._service.reader(max(status, 200), content_type, encoding)
        if not self._service.tells_trace or TRACE_HEADER in headers:
            return []
        # An answer whose length is known is there already; what is yet to be made may lead to anything.
        is_open = "content-length" not in headers and status >= 200 and status not in (204, 304)
        trace_id = self.held.trace_id if self.held.is_recorded or is_open else 0
        if not trace_id:
            return []
        found = [(TRACE_HEADER, f"{trace_id:032x}")]
        origin = self._request.headers().get("origin")
        if origin and self._service.origins(origin):
            found.append(("access-control-expose-headers", TRACE_HEADER))
        return found

    def answered(self, chunk: bytes) -> None:
        """A piece of the response's body passes."""
        if self._reader is not None and chunk:
            self._reader.feed(chunk)

    def completes(self) -> None:
        """The last byte is about to leave. All that is to be said of it is recorded before: who has it, has a trace."""
        error = sys.exc_info()[1] if self._status >= 500 else None
        self.held.finish(self._values, error=error if error is not self._around else None)

    def left(self) -> None:
        """The client has hung up."""
        self.held.finish(self._values, outcome="disconnected")

    def ends(self) -> None:
        """The application is done. An answer that is not complete by now will not be."""
        self.held.finish(self._values, outcome="closed")

    def finish(self, outcome: str | None, error: BaseException | None, end_time: int | None) -> None:
        """It has ended, well or not, at `end_time` in ns since 1970; now when None."""
        self.held.finish(self._values, outcome, error, end_time)

    def fails(self, error: BaseException) -> None:
        """The application has failed."""
        if type(error).__name__ in _LEFT:
            self.left()
        else:
            self.held.finish(self._values, error=error)

    def _describe(self) -> Description:
        request = self._request
        self._service.served_by(request.server())
        asked = self._question()
        self._request_id = asked.request_id
        self._find_route()
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

    def _find_route(self) -> bool:
        """Looks for the path's pattern, unless that is known; answers whether it has been found now."""
        if self._route is None:
            with guard("serving: route"):
                self._route = self._request.route()
            return self._route is not None
        return False

    def _question(self) -> Asked:
        request = self._request
        with guard("serving: what a request asks"):
            return self._service.asked(request.method, request.query, b"".join(self._body), request.headers())
        return Asked()

    def _recorded(self, trace_id: str) -> None:
        if self._request_id:
            self._service.noted(self._request_id, trace_id)

    def _values(self) -> ResponseValues:
        """What the response came to."""
        self._body.clear()
        attributes: dict[str, Any] = {"http.response.status_code": self._status or None}
        if self._find_route():  # what was traced first was traced before the application looked for it
            attributes["http.route"] = self._route
            self.held.rename(self._request.name(self._route))
        values: ResponseValues = {"attributes": attributes}
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
        elif answered.output is not None:
            values["output_value"] = answered.output
        return values


#: Exceptions by which an application is told that the client has hung up (Starlette's, uvicorn's).
_LEFT = frozenset({"ClientDisconnect", "ClientDisconnected"})


def remote_span(traceparent: str, tracestate: str | None = None) -> SpanContext | None:
    """The span of the caller, by W3C Trace Context; None where the header makes no sense."""
    carrier = {"traceparent": traceparent}
    if tracestate:
        carrier["tracestate"] = tracestate
    found = get_current_span(_propagator.extract(carrier, Context())).get_span_context()
    return found if found.is_valid else None
