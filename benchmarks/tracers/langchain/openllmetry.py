"""OpenLLMetry: Traceloop's instrumentor for LangChain; traces alone. Content capture is its default."""

from opentelemetry import trace
from opentelemetry.instrumentation.langchain import LangchainInstrumentor

from ..otlp import flush, provider

trace.set_tracer_provider(provider)
LangchainInstrumentor().instrument()

__all__ = ["flush"]
