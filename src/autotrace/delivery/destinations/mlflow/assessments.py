"""Feedback and expectations as MLflow's assessments.

An assessment is known by our id, which stands in its metadata: what comes twice is there once, and what is given again
under the same id takes the place of what was given before.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from autotrace.delivery.destinations import WHOLE_TRACE, Record

from . import limits
from .api import Api, Failed, mlflow_id, trace_path
from .completion import moment

_ID, _TIME = "autotrace.feedback.id", "autotrace.feedback.time"
_SOURCES: Mapping[str, str] = {"human": "HUMAN", "llm_judge": "LLM_JUDGE", "code": "CODE"}


def deliver(api: Api, record: Record) -> None:
    """Creates or updates the assessment that a record describes.

    Raises:
        NotFound: The server does not know the trace (yet).
        Refused: It takes no such assessment.
        RetryLater: It does not now.
    """
    known = _known(api, record)
    if known is None:
        try:
            api.call("POST", trace_path(record.trace_id, "assessments"), {"assessment": assessment(record)})
        except Failed:  # as it does where another process of ours creates it at the same moment
            known = _known(api, record)
            if known is None:
                raise
    if known is not None and _time(known) < record.body["time"]:
        _update(api, record, known)


def _known(api: Api, record: Record) -> Mapping[str, Any] | None:
    """What the server has under our id."""
    for found in api.trace_info(record.trace_id).get("assessments", ()):
        if isinstance(found, dict) and found.get("metadata", {}).get(_ID) == record.body["id"]:
            return found
    return None


def _time(known: Mapping[str, Any]) -> int:
    try:
        return int(known["metadata"][_TIME])
    except (KeyError, ValueError, TypeError):
        return 0


def _update(api: Api, record: Record, known: Mapping[str, Any]) -> None:
    wanted = assessment(record)
    kind = "expectation" if "expectation" in wanted else "feedback"
    path = trace_path(record.trace_id, "assessments", str(known["assessment_id"]))
    if kind not in known or known.get("source") != wanted["source"]:
        # MLflow changes neither the kind nor the source of an assessment.
        api.call("DELETE", path)
        api.call("POST", trace_path(record.trace_id, "assessments"), {"assessment": wanted})
        return
    changes = {key: wanted[key] for key in ("assessment_name", kind, "metadata")}
    changes["rationale"] = wanted.get("rationale", "")
    mask = ",".join(["assessmentName", kind, "rationale", "metadata"])  # in JSON protobuf wants names so
    body = {"assessment": {**changes, "trace_id": mlflow_id(record.trace_id)}, "update_mask": mask}
    api.call("PATCH", path, body)


def assessment(record: Record) -> dict[str, Any]:
    """The record in MLflow's words."""
    body = record.body
    kind = _SOURCES.get(body["source_type"], "CODE")
    found: dict[str, Any] = {
        "assessment_name": limits.cut(body["name"], limits.ASSESSMENT_NAME),
        "trace_id": mlflow_id(record.trace_id),
        "assessment_id": assessment_id(record),
        "source": {"source_type": kind, "source_id": limits.cut(body["source"] or "default", limits.METADATA)},
        "create_time": moment(body["time"]),
        "last_update_time": moment(body["time"]),
        "metadata": {**_metadata(body["metadata"]), _ID: body["id"], _TIME: str(body["time"])},
    }
    if record.span_id != WHOLE_TRACE:
        found["span_id"] = record.span_id
    if body["comment"]:
        found["rationale"] = limits.cut(body["comment"], limits.RATIONALE)
    value = body["value"]
    if body["type"] != "expectation":
        found["feedback"] = {"value": value}
    elif value is None or isinstance(value, (dict, list)):
        written = {"serialization_format": "JSON_FORMAT", "value": limits.json_text(value)}
        found["expectation"] = {"serialized_value": written}
    else:
        found["expectation"] = {"value": value}
    return found


def assessment_id(record: Record) -> str:
    """The id that MLflow's server gives an assessment where it takes ours: one that no other trace's feedback has."""
    return "a-" + sha256(f"{record.trace_id} {record.body['id']}".encode()).hexdigest()[:32]


def _metadata(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        return {}
    return {
        limits.cut(str(key), limits.TAG_KEY): limits.cut(limits.text_of(v), limits.TAG_VALUE)
        for key, v in given.items()
    }
