"""OpenTelemetry's GenAI instrumentations of LlamaIndex and of openai together, which is how its makers mean it."""

from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

from .opentelemetry import flush

OpenAIInstrumentor().instrument()

__all__ = ["flush"]
