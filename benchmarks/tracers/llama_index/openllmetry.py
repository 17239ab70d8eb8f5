"""OpenLLMetry: Traceloop's instrumentor for LlamaIndex alone: it leaves what OpenAI's models do to that of openai.

Traces alone. Content capture is its default.
"""

from opentelemetry import trace
from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor

from ..otlp import flush, provider

trace.set_tracer_provider(provider)
LlamaIndexInstrumentor().instrument()

__all__ = ["flush"]
