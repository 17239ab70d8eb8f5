"""OpenTelemetry's GenAI instrumentation. The environment asks for content.

Only traces are set up: with no MeterProvider and LoggerProvider its metrics and events cost next to nothing.
"""

from opentelemetry import trace
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

from ..otlp import flush, provider

trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()

__all__ = ["flush"]
