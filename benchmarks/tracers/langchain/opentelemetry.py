"""OpenTelemetry's GenAI instrumentation of LangChain, which records the model call too; traces alone, with content."""

from opentelemetry import trace
from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor

from ..otlp import flush, provider

trace.set_tracer_provider(provider)
LangChainInstrumentor().instrument()

__all__ = ["flush"]
