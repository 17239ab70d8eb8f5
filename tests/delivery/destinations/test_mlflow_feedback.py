"""Feedback over HTTP, taken by several workers, on a real MLflow server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autotrace.delivery.destinations.mlflow import MlflowDestination
from tests.serving.feedback_worker import trace_id, value
from tests.serving.test_feedback_of_many import serve

from .mlflow_server import RESOURCE, Server, feedback, new_trace, span

WORKERS, TRACES, USERS = 2, 12, 5


def test_assessments(mlflow_server: Server, experiment: str, tmp_path: Path) -> None:
    """Each is one assessment of its trace, with value, rationale and source, also where it came first or twice."""
    serve(
        WORKERS,
        TRACES,
        USERS,
        AUTOTRACE_HOME=str(tmp_path),
        AUTOTRACE_EXIT_TIMEOUT="30",
        MLFLOW_TRACKING_URI=mlflow_server.url,
        MLFLOW_EXPERIMENT_NAME=experiment,
        NO_PROXY="*",
    )
    for number in range(TRACES):
        found = mlflow_server.info(trace_id(number))["assessments"]
        told = [(one["source"], one["rationale"], one["feedback"]["value"], one["assessment_name"]) for one in found]
        expected = [
            (
                {"source_type": "HUMAN", "source_id": f"user-{user}"},
                f"user {user} on trace {number}",
                value(number, user),
                "feedback",
            )
            for user in range(USERS)
        ]
        assert sorted(told, key=str) == sorted(expected, key=str)


EXTREMES: dict[str, dict[str, Any]] = {
    "long value": {"value": "y" * 10_000},
    "long comment": {"comment": "\U0001f600" * 10_000},
    "long name": {"name": "n" * 250},
    "odd name": {"name": "a/b 'c' \"d\" <e> %f ${g} \U0001f600"},
    "long user": {"source": "u" * 250},
    "much metadata": {"metadata": {f"{number:064}": "m" * 1000 for number in range(20)}},
    "large": {"value": 2**63 - 1},
    "small": {"value": -(2**63) + 1},
    "float": {"value": 9.2e18},
    "tiny": {"value": 5e-324},
    "lines": {"value": "a\r\n\tb", "comment": "a\r\n\tb"},
}


def test_all_that_the_endpoint_takes(to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
    """MLflow refuses nothing of what the endpoint takes, however long or large; what it cannot hold is cut."""
    trace = new_trace()
    left = to_mlflow.deliver([span(trace), *(feedback(trace, **body) for body in EXTREMES.values())], RESOURCE)
    assert (left, to_mlflow.rejected) == ([], 0)
    assert len(mlflow_server.info(trace)["assessments"]) == len(EXTREMES)
