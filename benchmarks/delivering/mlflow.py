"""MLflow's own client, with the server that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import logging

import mlflow

from . import ATTRIBUTES, CONTENT, SPANS

logging.getLogger("mlflow").setLevel(logging.ERROR)


def begin() -> None:
    """Chooses the experiment, once: by a variable alone MLflow would ask the server for it at every trace."""
    mlflow.set_experiment("bench")


def trace() -> None:
    """Makes one trace."""
    with mlflow.start_span("work", attributes=ATTRIBUTES) as span:
        span.set_inputs(CONTENT)
        for _ in range(SPANS - 1):
            with mlflow.start_span("step", attributes=ATTRIBUTES):
                pass


def flush(seconds: float) -> bool:
    """Delivers what there is."""
    mlflow.flush_trace_async_logging()
    return True
