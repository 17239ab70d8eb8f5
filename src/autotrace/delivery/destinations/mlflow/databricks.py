"""Spans on Databricks: a file a trace, in cloud storage, behind a signed address.

Databricks takes no spans over OTLP into an experiment. What a file holds already is kept: the rest of a trace comes
later, or from another process.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from autotrace.delivery.destinations import Record, RetryLater
from autotrace.delivery.otlp.spans import INTERRUPTED_MESSAGE
from autotrace.delivery.replies import Refused, Reply, raise_for, words

from . import limits
from .api import Api, NotFound, mlflow_id, trace_path
from .traces import Trace, sendable

_STATUSES: Mapping[str, str] = {"ok": "STATUS_CODE_OK", "error": "STATUS_CODE_ERROR", "unset": "STATUS_CODE_UNSET"}


def send(api: Api, traces: Sequence[Trace]) -> tuple[list[Trace], list[tuple[Trace, str | int, str]]]:
    """Stores the spans of traces, as `traces.send` sends them.

    Returns:
        The traces that are stored, and those that are not: a status of 404 says that the trace is not known there yet.

    Raises:
        RetryLater: Databricks, or the cloud behind it, takes nothing now.
    """
    taken: list[Trace] = []
    refused: list[tuple[Trace, str | int, str]] = []
    for trace in traces:
        try:
            store(api, trace)
        except NotFound as error:
            refused.append((trace, 404, str(error)))
        except Refused as error:
            refused.append((trace, error.status, error.words))
        else:
            taken.append(trace)
    return taken, refused


def store(api: Api, trace: Trace) -> None:
    """Adds the spans of a trace to its file.

    Raises:
        NotFound: Databricks does not know the trace: its info comes first.
        Refused: It takes none of this.
        RetryLater: It does not now.
    """
    spans = {span["span_id"]: span for span in _stored(api, trace.id)}
    spans.update((span["span_id"], span) for span in (span_of(record, trace) for record in trace.spans))
    _upload(api, trace.id, orjson.dumps({"spans": list(spans.values())}))


def span_of(record: Record, trace: Trace) -> dict[str, Any]:
    """A span as MLflow writes it into the file: every attribute is a JSON text."""
    shown = sendable(record)
    body, is_over = shown.body, record.kind == "E"
    attributes = {key: _json(value) for key, value in trace.attributes[record.span_id].items() if value is not None}
    attributes["mlflow.traceRequestId"] = limits.json_text(mlflow_id(trace.id))
    ends = [body["start"], *(event["time"] for event in body["events"])]
    return {
        "trace_id": _base64(trace.id),
        "span_id": _base64(record.span_id),
        "parent_span_id": None if body["parent_id"] is None else _base64(body["parent_id"]),
        "name": body["name"],
        "start_time_unix_nano": body["start"],
        "end_time_unix_nano": body["end"] if is_over else max(ends),
        "events": [
            {"name": event["name"], "time_unix_nano": event["time"], "attributes": event["attributes"]}
            for event in body["events"]
        ],
        "status": {
            "code": _STATUSES[body["status"]] if is_over else "STATUS_CODE_ERROR",
            "message": (body["message"] or "") if is_over else INTERRUPTED_MESSAGE,
        },
        "attributes": attributes,
        "links": [
            {"trace_id": mlflow_id(link["trace_id"]), "span_id": link["span_id"], "attributes": link["attributes"]}
            for link in body["links"]
        ],
    }


def _json(value: Any) -> str:
    """JSON of a value; a text that is JSON of more than a number is that already."""
    if isinstance(value, str) and not isinstance(limits.parsed(value), (bool, int, float, type(None))):
        parsed = limits.parsed(value)
        if parsed is not value:
            return value
    return limits.json_text(value)


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode("ascii")


def _stored(api: Api, trace_id: str) -> Sequence[dict[str, Any]]:
    """The spans that the file holds; none where there is no file."""
    reply = _signed(api, trace_id, "download", "GET", None)
    if reply.status == 404:
        return []
    _check(reply)
    try:
        found = orjson.loads(reply.body)["spans"]
        return [span for span in found if isinstance(span, dict) and "span_id" in span]
    except (ValueError, KeyError, TypeError):
        return []


def _upload(api: Api, trace_id: str, content: bytes) -> None:
    _check(_signed(api, trace_id, "upload", "PUT", content))


def _signed(api: Api, trace_id: str, way: str, method: str, content: bytes | None) -> Reply:
    """One request to the signed address of a trace's file."""
    found = api.call("GET", trace_path(trace_id, f"credentials-for-data-{way}"), version="2.0")
    given = found.get("credential_info", {})
    url, kind = given.get("signed_uri"), given.get("type")
    if not isinstance(url, str):
        raise RetryLater("Databricks gives no address to store spans at")
    headers = {header["name"]: header["value"] for header in given.get("headers", ())}
    if content is None:
        return api.storage("GET", url, None, headers)
    if kind == "AZURE_SAS_URI":
        return api.storage("PUT", url, content, {**headers, "x-ms-blob-type": "BlockBlob"})
    if kind == "AZURE_ADLS_GEN2_SAS_URI":
        _check(api.storage("PUT", f"{url}&resource=file", b"", headers))
        return api.storage("PATCH", f"{url}&action=append&position=0&flush=true", content, headers)
    return api.storage(method, url, content, headers)


def _check(reply: Reply) -> None:
    """Returns where the cloud's storage has done what was asked of it.

    Raises:
        RetryLater: It has not: no trace is to blame for that.
    """
    if 400 <= reply.status < 500 and reply.status not in (408, 429):
        raise RetryLater(f"the cloud's storage answers {reply.status}: {words(reply)}")
    raise_for(reply)
