"""What spans alone do not tell MLflow of a trace, told by REST.

The request's id, the source and the commit, previews in words; and for a trace whose root lies in another process, or
whose process is gone, that it is over: the server would show it as running for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from . import limits, previews, totals
from .api import Api, NotFound, mlflow_id
from .attributes import COST, USAGE, tags_of, trace_tags
from .traces import Trace, tags_of_process

#: Whose values the server adds to no longer: the trace has been told by REST.
FINAL = "mlflow.trace.infoFinalized"
SESSION, USER = "mlflow.trace.session", "mlflow.trace.user"
TOKENS_TOTAL, COST_TOTAL = "mlflow.trace.tokenUsage", "mlflow.trace.cost"
INTERRUPTED = "interrupted: its process ended before it did"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_RUNNING = ("IN_PROGRESS", "STATE_UNSPECIFIED", None)


class Completion:
    """Completes traces of one process.

    Args:
        api: The server.
        experiment_id: Where the traces are.
        resource: The process's attributes.
    """

    def __init__(self, api: Api, experiment_id: str, resource: Mapping[str, Any]) -> None:
        self._api = api
        self.experiment_id = experiment_id
        self._metadata = metadata_of_process(resource)
        self._tags = tags_of(tags_of_process(resource))
        self._limit = limits.PREVIEW_DATABRICKS if api.settings.is_databricks else limits.PREVIEW

    def announce(self, trace: Trace) -> bool:
        """Tells of a trace whose root has ended here, before its spans are sent: the server takes it faster so.

        Returns:
            Whether the server had tokens of it already: it will add none to them by itself.

        Raises:
            NotFound: There is no such experiment any more.
            Refused: The server takes none of this.
            RetryLater: It does not now.
        """
        info = self.info(trace)
        metadata = self._metadata_of(trace)
        if self._api.settings.is_databricks and trace.root is not None:
            info["tags"] = {**self._tags, **trace_tags(trace.root)}
            sums = {key: totals.total(_nodes(trace, of)) for key, of in ((TOKENS_TOTAL, USAGE), (COST_TOTAL, COST))}
            metadata |= {key: limits.json_text(value) for key, value in sums.items() if value}
        known = self._post({**info, "trace_metadata": metadata})
        return TOKENS_TOTAL in known.get("trace_metadata", {})

    def complete(self, trace: Trace) -> None:
        """Ends a trace that no root span of its own will end, once the server has the spans (Databricks: before).

        Raises:
            NotFound: The server does not know the trace.
            Refused: It takes none of this.
            RetryLater: It does not now.
        """
        root = trace.root
        if root is None:
            return
        try:
            known = self._api.trace_info(trace.id)
        except NotFound:
            if not self._api.settings.is_databricks:
                raise
            known = {}
        if known.get("state") not in _RUNNING and not trace.is_whole:
            return
        info = self.info(trace)
        if root.kind == "I" and "execution_duration" in known:
            info["execution_duration"] = known["execution_duration"]
        if not trace.is_whole and "request_time" in known:
            info["request_time"] = known["request_time"]
        self._post({**info, "trace_metadata": self._metadata_of(trace), "tags": trace_tags(root)})

    def recount(self, trace: Trace) -> None:
        """Sums tokens and cost anew: to what has been told by REST the server adds nothing of later spans.

        Raises:
            NotFound: The server does not know the trace.
            RetryLater: It takes nothing now.
        """
        if self._api.settings.is_databricks or not any(USAGE in found for found in trace.attributes.values()):
            return
        query = {"trace_id": mlflow_id(trace.id), "allow_partial": "true"}
        found = self._api.call("GET", "traces/get", query=query)["trace"]
        info, spans = found["trace_info"], found.get("spans")
        if FINAL not in info.get("trace_metadata", {}):
            return
        sums = {
            key: totals.total(totals.nodes_of(spans, of)) for key, of in ((TOKENS_TOTAL, USAGE), (COST_TOTAL, COST))
        }
        changed = {
            key: limits.json_text(value) for key, value in sums.items() if value and _figures(info, key) != value
        }
        if changed:
            self._post({**same(info), "trace_metadata": changed})

    def info(self, trace: Trace) -> dict[str, Any]:
        """What MLflow calls a trace's info, as far as its local root knows it."""
        root = trace.root
        if root is None:
            raise ValueError("a trace without a root")
        body, given = root.body, root.body["attributes"]
        ends = [span.body["end"] for span in trace.spans if span.body["end"] is not None]
        end = body["end"] if body["end"] is not None else max([body["start"], *ends])
        is_bad = root.kind == "I" or body["status"] == "error"
        found: dict[str, Any] = {
            "trace_id": mlflow_id(trace.id),
            "trace_location": self._location(),
            "request_time": moment(body["start"]),
            "execution_duration": _duration(end - body["start"]),
            "state": "ERROR" if is_bad else "OK",
            "request_preview": previews.request(given, self._limit),
            "response_preview": INTERRUPTED if root.kind == "I" else previews.response(given, self._limit),
            "client_request_id": _request_id(given),
        }
        return {key: value for key, value in found.items() if value is not None}

    def _post(self, info: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._api.call("POST", "traces", {"trace": {"trace_info": info}})
        known = answer.get("trace", {}).get("trace_info", {})
        return known if isinstance(known, dict) else {}

    def _location(self) -> dict[str, Any]:
        return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.experiment_id}}

    def _metadata_of(self, trace: Trace) -> dict[str, str]:
        given = trace.root.body["attributes"] if trace.root is not None else {}
        found = dict(self._metadata)
        for name, key in (("session.id", SESSION), ("user.id", USER)):
            if given.get(name) is not None:
                found[key] = limits.identifier(limits.text_of(given[name]), limits.METADATA)
        if trace.root is not None and trace.root.kind == "I":
            found["autotrace.outcome"] = "interrupted"
        return found


def same(info: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be told again of a trace, lest telling something else of it takes it away."""
    keys = ("trace_id", "trace_location", "request_time", "execution_duration", "state", "client_request_id")
    return {key: info[key] for key in keys if key in info}


def metadata_of_process(resource: Mapping[str, Any]) -> dict[str, str]:
    """What MLflow shows of where a trace comes from, under its own names."""
    release, service = _text(resource.get("service.version")), _text(resource.get("service.name"))
    if service is not None and service.startswith("unknown_service"):
        service = None
    commit = _text(resource.get("vcs.ref.head.revision"))
    if commit is None and release is not None and _COMMIT.fullmatch(release):
        commit = release
    program = _text(resource.get("process.command")) or service or _text(resource.get("host.name"))
    found = {
        "mlflow.trace_schema.version": "3",
        "mlflow.source.name": program,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": _text(resource.get("vcs.ref.head.name")),
        "mlflow.source.git.repoURL": _text(resource.get("vcs.repository.url.full")),
        "mlflow.user": _text(resource.get("process.owner")),
        "environment": _text(resource.get("deployment.environment.name")),
        "service": service,
        "app_version": release,
    }
    return {key: limits.cut(value, limits.METADATA) for key, value in found.items() if value is not None}


def _nodes(trace: Trace, key: str) -> list[totals.Node]:
    return [
        totals.Node(span.span_id, span.body["parent_id"], totals.figures_of(trace.attributes[span.span_id].get(key)))
        for span in trace.spans
    ]


def _figures(info: Mapping[str, Any], key: str) -> dict[str, float]:
    return totals.figures_of(info.get("trace_metadata", {}).get(key)) or {}


def _request_id(given: Mapping[str, Any]) -> str | None:
    found = given.get("autotrace.request.id")
    return None if found is None else limits.identifier(limits.text_of(found), limits.REQUEST_ID)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def moment(nanoseconds: int) -> str:
    """A moment as MLflow's REST wants it.

    Args:
        nanoseconds: Since 1970; what lies before that, or after 2262, is taken for the nearest that does not.
    """
    found = _EPOCH + timedelta(microseconds=min(max(nanoseconds, 0), 2**63 - 1) // 1000)
    return found.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def _duration(nanoseconds: int) -> str:
    return f"{max(nanoseconds, 0) / 1e9:.9f}s"
