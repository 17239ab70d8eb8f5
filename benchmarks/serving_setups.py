"""The environments of the benchmark of serving: the same application, model and load; only the tracer differs."""

from __future__ import annotations

from families import Family
from setups import BASELINE, OURS, ROOT, Setup

FAMILY = Family(
    name="serving",
    title="Serving",
    requirements=("fastapi", "openai", "uvicorn[standard]"),
    pinned=("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "openai", "pydantic", "httpx2"),
    cases=(),
    trees=True,
)
SETUPS = (
    Setup(FAMILY, BASELINE, "no tracer", "tracers.none", "", shown=FAMILY.pinned, recorded_in="nowhere"),
    Setup(
        FAMILY,
        OURS,
        "autotrace",
        "tracers.autotrace",
        "",
        projects=(ROOT, ROOT / "plugins/autotrace-openai"),
        variables={"AUTOTRACE_HOME": "{home}"},
        shown=("autotrace-ai", "autotrace-openai"),
        recorded_in="autotrace",
    ),
    Setup(
        FAMILY,
        "opentelemetry",
        "OpenTelemetry FastAPI + GenAI",
        "served.opentelemetry",
        "",
        requirements=(
            "opentelemetry-instrumentation-fastapi",
            "opentelemetry-instrumentation-genai-openai",
            "opentelemetry-sdk",
            "opentelemetry-exporter-otlp-proto-http",
        ),
        variables={
            "OTEL_EXPORTER_OTLP_ENDPOINT": "{sink}",
            "OTEL_SERVICE_NAME": "bench",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
        },
        shown=(
            "opentelemetry-instrumentation-fastapi",
            "opentelemetry-instrumentation-genai-openai",
            "opentelemetry-sdk",
        ),
    ),
    Setup(
        FAMILY,
        "mlflow",
        "MLflow autolog",
        "tracers.openai.mlflow",
        "",
        requirements=("mlflow",),
        variables={"MLFLOW_TRACKING_URI": "sqlite:///{home}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"},
        shown=("mlflow",),
        recorded_in="mlflow",
    ),
)
TITLES = {setup.name: setup.title for setup in SETUPS}
