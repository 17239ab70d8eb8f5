"""What the settings say of requests, put together once: see `Service`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..config import Config
from ..recording.feedback import Feedback, feedback_of, trace_named
from .feedback_endpoint import FeedbackEndpoint
from .hosts import own_hosts
from .reading import AnswerReader, Asked, Fields, Names, databricks_request_id, identity_of, read_request
from .request_ids import RequestIds
from .service import Service

#: Where a served application takes feedback.
FEEDBACK_PATH = "/autotrace/feedback"


def service_of(
    config: Config, log: Callable[[Feedback], bool], served_by: Callable[[str], None], flush: Callable[[float], object]
) -> Service:
    """What concerns requests.

    Args:
        config: The settings.
        log: Journals feedback that has come in; whether it did.
        served_by: Told of the server that has handed a request over.
        flush: Delivers what has been recorded, in so many seconds at most.
    """
    fields = Fields(config.input_fields, config.output_fields, config.session_fields, config.user_fields)
    names = Names(config.session_headers, config.user_headers, config.request_id_headers)
    requests = RequestIds(config.home / "journal")
    origins = frozenset(config.feedback_origins)
    endpoint = None
    if config.feedback_endpoint:
        endpoint = FeedbackEndpoint(
            FEEDBACK_PATH, partial(_logged, log), requests.find, config.feedback_origins, config.feedback_rate
        )
    return Service(
        asked=partial(_asked, fields, names),
        reader=partial(AnswerReader, fields=fields),
        endpoint=endpoint,
        tells_trace=config.trace_header,
        origins=lambda origin: "*" in origins or origin.lower() in origins,
        served_by=served_by,
        noted=requests.note,
        propagates=bool(config.propagate_to),
        is_own_host=own_hosts(config.propagate_to),
        flush=lambda seconds: flush(min(seconds, config.exit_timeout)),
    )


def _logged(log: Callable[[Feedback], bool], value: Any, *, trace_id: str, **more: Any) -> str | None:
    given = feedback_of("feedback", value, trace_named(trace_id), **more)
    return given.id if log(given) else None


def _asked(fields: Fields, names: Names, method: str, query: bytes, body: bytes, headers: Mapping[str, str]) -> Asked:
    """What a request asks; whose it is, its headers say rather than its body."""
    asked = read_request(method, headers.get("content-type"), query, body, fields)
    said = identity_of(headers, names)
    return asked._replace(
        session=said.session or asked.session,
        user=said.user or asked.user,
        request_id=databricks_request_id() or said.request_id or asked.request_id,
    )
