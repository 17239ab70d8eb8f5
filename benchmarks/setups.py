"""What is compared: one `Setup` per tracer, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Setup:
    """A tracer, how it is installed and how it is switched on.

    Attributes:
        activation: The statement that switches the tracer on.
        requirements: What pip installs.
        projects: Folders that are installed in editable mode.
        variables: The environment; `{sink}` stands for the collector's address, `{home}` for a fresh folder.
        shown: The distributions whose versions identify the tracer.
        recorded_in: Where its spans can be counted.
        block_share: Less than 1 for a tracer so slow that whole blocks would take minutes.
        seeded: A home starts as a copy of one used before, so that a database is not created in each process.
    """

    name: str
    title: str
    activation: str
    requirements: tuple[str, ...] = ()
    projects: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    recorded_in: str = "sink"
    block_share: float = 1.0
    seeded: bool = False


_OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "{sink}", "OTEL_SERVICE_NAME": "bench"}
_OTLP_PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")

SETUPS = (
    Setup("none", "no tracer", "import tracers.none", recorded_in="nowhere"),
    Setup(
        "autotrace",
        "autotrace",
        "import autotrace.auto",
        projects=(ROOT, ROOT / "plugins" / "autotrace-openai"),
        variables={"AUTOTRACE_HOME": "{home}"},
        shown=("autotrace-ai", "autotrace-openai", "opentelemetry-sdk"),
        recorded_in="autotrace",
    ),
    Setup(
        "openinference",
        "OpenInference",
        "import tracers.openinference",
        requirements=("openinference-instrumentation-openai", *_OTLP_PACKAGES),
        variables=_OTLP,
        shown=("openinference-instrumentation-openai", *_OTLP_PACKAGES),
    ),
    Setup(
        "opentelemetry",
        "OpenTelemetry GenAI",
        "import tracers.opentelemetry",
        requirements=("opentelemetry-instrumentation-genai-openai", *_OTLP_PACKAGES),
        variables={**_OTLP, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only"},
        shown=("opentelemetry-instrumentation-genai-openai", *_OTLP_PACKAGES),
    ),
    Setup(
        "langfuse",
        "Langfuse",
        "import tracers.langfuse",
        requirements=("langfuse",),
        variables={
            "LANGFUSE_BASE_URL": "{sink}",
            "LANGFUSE_HOST": "{sink}",
            "LANGFUSE_PUBLIC_KEY": "pk-lf-bench",
            "LANGFUSE_SECRET_KEY": "sk-lf-bench",
        },
        shown=("langfuse", "opentelemetry-sdk"),
    ),
    Setup(
        "mlflow",
        "MLflow",
        "import tracers.mlflow",
        requirements=("mlflow",),
        # Usage reporting to MLflow's makers needs the internet; without it, its retries would be measured.
        variables={"MLFLOW_TRACKING_URI": "sqlite:///{home}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"},
        shown=("mlflow", "opentelemetry-sdk"),
        recorded_in="mlflow",
        block_share=0.15,
        seeded=True,
    ),
)
