"""OpenLLMetry: Traceloop's instrumentors for LlamaIndex and openai together, which is how its makers mean it."""

from opentelemetry.instrumentation.openai import OpenAIInstrumentor

from .openllmetry import flush

OpenAIInstrumentor().instrument()

__all__ = ["flush"]
