"""Handlers of AWS Lambda: each event is a trace. The process is frozen once it has answered."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from autotrace import Call, HttpRequest, HttpResponse, Instrumentation, ResponseValues, Task, Work, hookimpl

Event = Mapping[str, Any]

#: X-Ray's own header: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
_XRAY = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24});(?:.*;)?Parent=([0-9a-f]{16})")


def invocation(call: Call) -> Work | None:
    """One event, and what Lambda says of it."""
    event, context = (*call.args, None, None)[:2]
    if not hasattr(context, "aws_request_id"):
        return None  # not as Lambda calls it
    request = http_request(event)
    headers = {} if request is None else request.headers
    carrier = _carrier(context, headers)
    attributes = {
        "faas.name": context.function_name,
        "faas.invocation_id": context.aws_request_id,
        "faas.trigger": "http" if request is not None else _trigger(event),
        "cloud.resource_id": context.invoked_function_arn,
    }
    return Work(
        context.function_name or "lambda",
        input=event,
        carrier=carrier,
        # A request, or what a program waits for, is part of what calls it; messages are a trace of their own.
        continues="traceparent" in carrier,
        links=tuple(_sent_with(event)) + tuple(_xray(headers.get("x-amzn-trace-id"))),
        request_id=context.aws_request_id,
        request=request,
        deadline=time.time() + context.get_remaining_time_in_millis() / 1000,
        kind="consumer" if "Records" in _mapping(event) else "server",
        attributes=attributes,
    )


def http_request(event: Any) -> HttpRequest | None:
    """The request that a gateway, a load balancer or a function's own address has made an event of; None for others."""
    event = _mapping(event)
    context = _mapping(event.get("requestContext"))
    http = _mapping(context.get("http"))  # the second format, and function URLs
    method = http.get("method") or event.get("httpMethod")
    path = http.get("path") or event.get("rawPath") or event.get("path")
    if not isinstance(method, str) or not isinstance(path, str):
        return None
    return HttpRequest(
        method,
        path,
        _headers(event),
        _bytes(event.get("body"), event.get("isBase64Encoded")),
        _query(event).encode(),
        _route(event),
    )


def answer(result: Any) -> ResponseValues | HttpResponse:
    """What a handler returned: a response, as gateways want it, or any value."""
    known = _mapping(result)
    status = known.get("statusCode")
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    if not isinstance(status, int):
        return {"output_value": result}
    body = _bytes(known.get("body"), known.get("isBase64Encoded"))
    return HttpResponse(status, {"content-type": "application/json", **_headers(known)}, body)


def _mapping(value: Any) -> Event:
    return value if isinstance(value, Mapping) else {}


def _headers(event: Event) -> dict[str, str]:
    """By their names in lower case; load balancers may send lists of values."""
    several = {name: values[-1] for name, values in _mapping(event.get("multiValueHeaders")).items() if values}
    found = {**several, **_mapping(event.get("headers"))}
    return {str(name).lower(): str(value) for name, value in found.items() if value is not None}


def _query(event: Event) -> str:
    raw = event.get("rawQueryString")
    if isinstance(raw, str):
        return raw
    several = _mapping(event.get("multiValueQueryStringParameters"))
    return urlencode(several or _mapping(event.get("queryStringParameters")), doseq=bool(several))


def _route(event: Event) -> str | None:
    """`/users/{id}`: the resource of a REST API, or the second half of an HTTP API's route, `POST /users/{id}`."""
    route = event.get("resource") or str(event.get("routeKey") or "").partition(" ")[2]
    return route if isinstance(route, str) and route.startswith("/") else None


def _bytes(body: Any, is_base64: Any) -> bytes:
    if not isinstance(body, str):
        return b""
    if is_base64:
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error:
            return b""
    return body.encode("utf-8", "replace")


def _carrier(context: Any, headers: Mapping[str, str]) -> Mapping[str, Any]:
    """What the caller sent along: in a request's headers, or where Lambda has a place for it."""
    told = context.w3c() if hasattr(context, "w3c") else {}
    return {**_mapping(getattr(context.client_context, "custom", None)), **told, **headers}


def _sent_with(event: Any) -> Iterator[str]:
    """`traceparent` of each message of a batch, by its attributes (SQS, SNS)."""
    records = _mapping(event).get("Records")
    for record in records if isinstance(records, list) else ():
        known = _mapping(record)
        sent = _mapping(known.get("messageAttributes")) or _mapping(_mapping(known.get("Sns")).get("MessageAttributes"))
        told = _mapping(sent.get("traceparent"))
        found = told.get("stringValue") or told.get("Value")
        if isinstance(found, str):
            yield found


def _xray(header: str | None) -> Iterator[str]:
    """X-Ray's span, by W3C's words."""
    found = _XRAY.search(header or "")
    if found:
        yield f"00-{found[1]}{found[2]}-{found[3]}-01"


def _trigger(event: Any) -> str:
    """`faas.trigger`, as OpenTelemetry's conventions call it."""
    known = _mapping(event)
    records = known.get("Records")
    if isinstance(records, list) and records:
        source = str(_mapping(records[0]).get("eventSource") or _mapping(records[0]).get("EventSource"))
        return "pubsub" if source in ("aws:sqs", "aws:sns", "aws:kinesis") else "datasource"
    return "timer" if known.get("source") == "aws.events" else "other"


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """Lambda's runtime gives the handler to one function for each event, which tells what came of it.

    Not where it looks the handler up: the handler's own module may be what switches tracing on.
    """
    handle = Task(
        "awslambdaric.bootstrap", "handle_event_request", invocation, answer, takes="request_handler", flushes=True
    )
    return [Instrumentation("awslambda", entries=(handle,))]
