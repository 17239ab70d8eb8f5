"""A unit of work, as a plugin describes it: a worker's task, a handler, a notebook's cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class HttpRequest:
    """An HTTP request that reaches the program as something else: an event, a message.

    Example:
        >>> HttpRequest("POST", "/ask", {"content-type": "application/json"}, b'{"question": "why?"}').query
        b''

    Attributes:
        method: `POST`, ...
        path: Without the query.
        headers: By their names in lower case.
        body: The bytes that were sent.
        query: What stands behind the `?`.
        route: The path's pattern, such as `/users/{id}`; None: that is not known.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: bytes = b""
    route: str | None = None


@dataclass(frozen=True)
class HttpResponse:
    """What an HttpRequest was answered.

    Example:
        >>> HttpResponse(200, {"content-type": "text/plain"}, b"because").status
        200

    Attributes:
        status: Its HTTP status.
        headers: By their names in lower case.
        body: The bytes that are sent back.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Work:
    """What a unit of work is.

    Example:
        >>> Work("answer", input="why?", carrier={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}).name
        'answer'

    Attributes:
        name: What its span is called.
        input: What it starts from: any value, or a function that tells it when it is wanted; None: nothing that is
            worth keeping.
        carrier: What its sender sent along (see Sender), if it did.
        continues: It is a part of its sender's trace, as a request is; else a trace of its own, linked to that.
        links: The `traceparent`s of more spans that led to it.
        session: The conversation that it belongs to.
        user: Who asked.
        request_id: What the caller calls it, and TaskEnd.
        request: The HTTP request that it is, where it is one: its question, session, user and ids are read from it.
        server: What has handed it over, by its name, such as `celery`: a program that is given its work so is in
            production, where nothing says otherwise.
        deadline: When the process may be stopped, in seconds since 1970, where that is known.
        kind: `consumer` for what was sent, `server` for what somebody waits for, `internal` for what runs here.
        attributes: More, by name.
    """

    name: str
    input: Any = None
    carrier: Mapping[str, Any] | None = None
    continues: bool = False
    links: Sequence[str] = ()
    session: str | None = None
    user: str | None = None
    request_id: str | None = None
    request: HttpRequest | None = None
    server: str = ""
    deadline: float | None = None
    kind: Literal["consumer", "server", "internal"] = "consumer"
    attributes: Mapping[str, Any] = field(default_factory=dict)
