"""OpenTelemetry's GenAI instrumentation of LlamaIndex alone: it leaves the model calls to that of the model's SDK."""

from opentelemetry import trace
from opentelemetry.instrumentation.genai.llama_index import LlamaIndexInstrumentor

from ..otlp import flush, provider

trace.set_tracer_provider(provider)
LlamaIndexInstrumentor().instrument()

__all__ = ["flush"]
