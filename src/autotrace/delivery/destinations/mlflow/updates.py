"""What was said of a trace after its first span had ended."""

from __future__ import annotations

from typing import Any

from autotrace.delivery.destinations import Record

from . import limits
from .api import Api, trace_path
from .attributes import NAME_TAG, tags_of
from .completion import SESSION, USER, same


def deliver(api: Api, record: Record) -> None:
    """Changes the trace that a record is of.

    Raises:
        NotFound: The server does not know the trace (yet).
        Refused: It takes no such change.
        RetryLater: It does not now.
    """
    body = record.body
    metadata, tags = _metadata(body), tags_of(body["tags"])
    if body["name"] is not None:
        tags[NAME_TAG] = limits.cut(limits.text_of(body["name"]), limits.TRACE_NAME)
    # Asked in any case: a tag of a trace that is not there is refused in words that differ from database to database.
    info = api.trace_info(record.trace_id)
    if metadata:
        api.call("POST", "traces", {"trace": {"trace_info": {**same(info), "trace_metadata": metadata}}})
    for key, value in tags.items():
        api.call("PATCH", trace_path(record.trace_id, "tags"), {"key": key, "value": value})


def _metadata(body: dict[str, Any]) -> dict[str, str]:
    given = ((SESSION, body["session"]), (USER, body["user"]))
    return {key: limits.identifier(limits.text_of(value), limits.METADATA) for key, value in given if value is not None}
