"""OpenTelemetry's GenAI instrumentation: a batch processor, OTLP over HTTP. The environment asks for content.

Only traces are set up: with no MeterProvider and LoggerProvider its metrics and events cost next to nothing.
"""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_provider = TracerProvider()
_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(_provider)
OpenAIInstrumentor().instrument()


def flush() -> None:
    """Export every finished span."""
    _provider.force_flush()
