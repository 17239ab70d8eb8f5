"""What the settings say of requests, put together once: see `Service`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..config import Config
from ..recording.feedback import Feedback, feedback_of, trace_named
from .feedback_endpoint import FeedbackEndpoint
from .hosts import own_hosts
from .request_ids import RequestIds
from .service import Asked, Service

#: Where a served application takes feedback.
FEEDBACK_PATH = "/autotrace/feedback"


def service_of(
    config: Config, log: Callable[[Feedback], None], served_by: Callable[[str], None], flush: Callable[[], object]
) -> Service:
    """What concerns requests.

    Args:
        config: The settings.
        log: Takes feedback that has come in.
        served_by: Told of the server that has handed a request over.
        flush: Delivers what has been recorded.
    """
    requests = RequestIds(config.home / "journal")
    origins = frozenset(config.feedback_origins)
    endpoint = None
    if config.feedback_endpoint:
        endpoint = FeedbackEndpoint(
            FEEDBACK_PATH, partial(_logged, log), requests.find, config.feedback_origins, config.feedback_rate
        )
    return Service(
        asked=_asked,
        reader=lambda *_: None,
        endpoint=endpoint,
        tells_trace=config.trace_header,
        origins=lambda origin: "*" in origins or origin.lower() in origins,
        served_by=served_by,
        noted=requests.note,
        propagates=bool(config.propagate_to),
        is_own_host=own_hosts(config.propagate_to),
        flush=flush,
    )


def _logged(log: Callable[[Feedback], None], value: Any, *, trace_id: str, **more: Any) -> str:
    given = feedback_of("feedback", value, trace_named(trace_id), **more)
    log(given)
    return given.id


def _asked(method: str, content_type: str, query: bytes, body: bytes, headers: Mapping[str, str]) -> Asked:
    import json

    value: Any = json.loads(body) if body else None
    return Asked(value, None, headers.get("x-session-id"), headers.get("x-user-id"), headers.get("x-request-id"))
