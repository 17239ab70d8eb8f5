"""OpenTelemetry: its instrumentations of FastAPI and of the openai SDK, with content; batches go out over OTLP."""

from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from tracers.openai import opentelemetry  # noqa: F401 - importing it switches on the openai SDK's

# Without a span for each message that is sent: a streamed answer would have one for each piece.
FastAPIInstrumentor().instrument(exclude_spans=["receive", "send"])
