"""OpenInference: its instrumentor. Content capture is its default."""

from openinference.instrumentation.openai import OpenAIInstrumentor

from ..otlp import flush, provider

OpenAIInstrumentor().instrument(tracer_provider=provider)

__all__ = ["flush"]
