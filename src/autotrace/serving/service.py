"""What the wrappers of served applications need to know: the settings that concern requests, and where they lead.

Put together by `activation`; the wrappers ask for it at each request, for settings may change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .feedback_endpoint import FeedbackEndpoint
from .reading import AnswerReader, Asked


class Service(NamedTuple):
    """What concerns requests.

    Attributes:
        asked: From method, query string, body and headers (by their names in lower case) to what is asked.
        reader: For a status, a content type and a content encoding what reads such a response.
        endpoint: Takes feedback; None: the application alone answers.
        tells_trace: Whether responses tell the trace's id.
        origins: Whether pages of an origin may read that.
        served_by: Called with the server's name when a request is recorded.
        noted: Called with a request's id and the trace's, 32 hexadecimal digits.
        propagates: Whether any host is told of traces.
        is_own_host: Whether a host, `name` or `name:port`, is told of them.
        flush: Delivers what has been recorded, in so many seconds at most.
    """

    asked: Callable[[str, bytes, bytes, Mapping[str, str]], Asked]
    reader: Callable[[int, str, str], AnswerReader]
    endpoint: FeedbackEndpoint | None = None
    tells_trace: bool = True
    origins: Callable[[str], bool] = lambda _: False
    served_by: Callable[[str], None] = lambda _: None
    noted: Callable[[str, str], None] = lambda *_: None
    propagates: bool = False
    is_own_host: Callable[[str], bool] = lambda _: False
    flush: Callable[[float], object] = lambda _: None


#: The response's header that tells the trace's id.
TRACE_HEADER = "x-autotrace-trace-id"
