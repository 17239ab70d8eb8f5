"""What is compared: one `Setup` per tracer and family, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from families import LANGCHAIN, LLAMA_INDEX, OPENAI, Family

ROOT = Path(__file__).resolve().parent.parent
BASELINE, OURS = "none", "autotrace"


@dataclass(frozen=True)
class Setup:
    """A tracer of one family's calls, how it is installed and how it is switched on.

    Attributes:
        name: The tracer's, the same in every family.
        tracer: The module under `tracers` that switches it on.
        activation: The statement by which a program switches it on.
        requirements: What pip installs besides the family's.
        projects: Folders that are installed in editable mode.
        variables: The environment; `{sink}` stands for the collector's address, `{home}` for a fresh folder.
        shown: The distributions whose versions identify the tracer.
        recorded_in: Where its spans can be counted.
        block_share: Less than 1 for a tracer so slow that whole blocks would take minutes.
        seeded: A home starts as a copy of one used before, so that a database is not created in each process.
    """

    family: Family
    name: str
    title: str
    tracer: str
    activation: str
    requirements: tuple[str, ...] = ()
    projects: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    recorded_in: str = "sink"
    block_share: float = 1.0
    seeded: bool = False

    @property
    def key(self) -> str:
        """Its name among the setups of all families."""
        return f"{self.family.name}-{self.name}"


def _none(family: Family) -> Setup:
    return Setup(
        family, BASELINE, "no tracer", "none", "import tracers.none", shown=family.pinned, recorded_in="nowhere"
    )


def _autotrace(family: Family, *plugins: str) -> Setup:
    return Setup(
        family,
        OURS,
        "autotrace",
        "autotrace",
        "import autotrace.auto",
        projects=(ROOT, *(ROOT / "plugins" / plugin for plugin in plugins)),
        variables={"AUTOTRACE_HOME": "{home}"},
        shown=("autotrace-ai", *plugins, "opentelemetry-sdk"),
        recorded_in="autotrace",
    )


def _exporting(
    family: Family, name: str, title: str, *packages: str, variables: Mapping[str, str] | None = None
) -> Setup:
    """A tracer that sends batches to a collector in OpenTelemetry's protocol."""
    requirements = (*packages, "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
    return Setup(
        family,
        name,
        title,
        f"{family.name}.{name}",
        f"import tracers.{family.name}.{name}",
        requirements=requirements,
        variables={"OTEL_EXPORTER_OTLP_ENDPOINT": "{sink}", "OTEL_SERVICE_NAME": "bench", **(variables or {})},
        shown=requirements,
    )


def _langfuse(family: Family) -> Setup:
    return Setup(
        family,
        "langfuse",
        "Langfuse",
        f"{family.name}.langfuse",
        f"import tracers.{family.name}.langfuse",
        requirements=("langfuse",),
        variables={
            "LANGFUSE_BASE_URL": "{sink}",
            "LANGFUSE_HOST": "{sink}",
            "LANGFUSE_PUBLIC_KEY": "pk-lf-bench",
            "LANGFUSE_SECRET_KEY": "sk-lf-bench",
        },
        shown=("langfuse", "opentelemetry-sdk"),
    )


def _mlflow(family: Family) -> Setup:
    return Setup(
        family,
        "mlflow",
        "MLflow",
        f"{family.name}.mlflow",
        f"import tracers.{family.name}.mlflow",
        requirements=("mlflow",),
        # Usage reporting to MLflow's makers needs the internet; without it, its retries would be measured.
        variables={"MLFLOW_TRACKING_URI": "sqlite:///{home}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"},
        shown=("mlflow", "opentelemetry-sdk"),
        recorded_in="mlflow",
        block_share=0.15,
        seeded=True,
    )


_OPENTELEMETRY = "OpenTelemetry GenAI"
_GENAI_OPENAI = "opentelemetry-instrumentation-genai-openai"
_GENAI_LLAMA_INDEX = "opentelemetry-instrumentation-genai-llama-index"
_TRACELOOP_LLAMA_INDEX = "opentelemetry-instrumentation-llamaindex"
_WITH_CONTENT = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only"}

SETUPS = (
    _none(OPENAI),
    _autotrace(OPENAI, "autotrace-openai"),
    _exporting(OPENAI, "openinference", "OpenInference", "openinference-instrumentation-openai"),
    _exporting(OPENAI, "opentelemetry", _OPENTELEMETRY, _GENAI_OPENAI, variables=_WITH_CONTENT),
    _langfuse(OPENAI),
    _mlflow(OPENAI),
    _none(LANGCHAIN),
    _autotrace(LANGCHAIN, "autotrace-openai", "autotrace-langchain"),
    _exporting(LANGCHAIN, "openinference", "OpenInference", "openinference-instrumentation-langchain"),
    _exporting(
        LANGCHAIN,
        "opentelemetry",
        _OPENTELEMETRY,
        "opentelemetry-instrumentation-genai-langchain",
        variables=_WITH_CONTENT,
    ),
    _exporting(LANGCHAIN, "openllmetry", "OpenLLMetry", "opentelemetry-instrumentation-langchain"),
    _mlflow(LANGCHAIN),
    _none(LLAMA_INDEX),
    _autotrace(LLAMA_INDEX, "autotrace-openai", "autotrace-llama-index"),
    _exporting(LLAMA_INDEX, "openinference", "OpenInference", "openinference-instrumentation-llama-index"),
    _exporting(LLAMA_INDEX, "opentelemetry", _OPENTELEMETRY, _GENAI_LLAMA_INDEX, variables=_WITH_CONTENT),
    _exporting(
        LLAMA_INDEX,
        "opentelemetry_openai",
        f"{_OPENTELEMETRY} + openai",
        _GENAI_LLAMA_INDEX,
        _GENAI_OPENAI,
        variables=_WITH_CONTENT,
    ),
    _exporting(LLAMA_INDEX, "openllmetry", "OpenLLMetry", _TRACELOOP_LLAMA_INDEX),
    _exporting(
        LLAMA_INDEX,
        "openllmetry_openai",
        "OpenLLMetry + openai",
        _TRACELOOP_LLAMA_INDEX,
        "opentelemetry-instrumentation-openai",
    ),
    _mlflow(LLAMA_INDEX),
)
TITLES = {setup.name: setup.title for setup in SETUPS}
