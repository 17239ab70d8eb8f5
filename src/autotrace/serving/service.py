"""What the wrappers of served applications need to know: the settings that concern requests, and where they lead.

Put together by `activation`; the wrappers ask for it at each request, for settings may change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ..recording.messages import Message
from .feedback_endpoint import FeedbackEndpoint


class Asked(NamedTuple):
    """What a request asks, as far as it is known.

    Attributes:
        input: What was asked, where it is no conversation.
        messages: The conversation that was sent.
        session: The conversation it belongs to.
        user: Who asks.
        request_id: What the caller calls the request.
    """

    input: Any = None
    messages: list[Message] | None = None
    session: str | None = None
    user: str | None = None
    request_id: str | None = None


class Answered(NamedTuple):
    """What a response answers, as far as it is known.

    Attributes:
        output: The answer, where it is no message.
        messages: The messages that were answered with.
        error: Why there is none, in words.
    """

    output: Any = None
    messages: list[Message] | None = None
    error: str | None = None


class Reader(Protocol):
    """Takes a response's body as it passes."""

    def feed(self, chunk: bytes) -> None:
        """A piece of the body."""

    def answered(self, status: int) -> Answered:
        """What the pieces came to."""
        ...


class Service(NamedTuple):
    """What concerns requests.

    Attributes:
        asked: From method, content type, query string, body and headers (by their names in lower case) to what is
            asked.
        reader: For a content type and a content encoding what reads such a response; None: it is no answer.
        endpoint: Takes feedback; None: the application alone answers.
        tells_trace: Whether responses tell the trace's id.
        origins: Whether pages of an origin may read that.
        served_by: Called with the server's name when a request is recorded.
        noted: Called with a request's id and the trace's, 32 hexadecimal digits.
        propagates: Whether any host is told of traces.
        is_own_host: Whether a host, `name` or `name:port`, is told of them.
        flush: Delivers what has been recorded.
    """

    asked: Callable[[str, str, bytes, bytes, Mapping[str, str]], Asked]
    reader: Callable[[str, str], Reader | None]
    endpoint: FeedbackEndpoint | None = None
    tells_trace: bool = True
    origins: Callable[[str], bool] = lambda _: False
    served_by: Callable[[str], None] = lambda _: None
    noted: Callable[[str, str], None] = lambda *_: None
    propagates: bool = False
    is_own_host: Callable[[str], bool] = lambda _: False
    flush: Callable[[], object] = lambda: None


#: The response's header that tells the trace's id.
TRACE_HEADER = "x-autotrace-trace-id"
