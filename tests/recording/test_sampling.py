"""Our spans in a program that samples its own: what it exports, and what it tells others, is as without us."""

from __future__ import annotations

from ..conftest import Interpreter

PROGRAM = """
import json, sys
from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

exporter = InMemorySpanExporter()
provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(RATIO)))
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("http")

import autotrace

flags = set()

def request():
    with tracer.start_as_current_span("POST"):
        carrier = {}
        inject(carrier)
        flags.add(carrier["traceparent"][-1])

for number in range(50):
    with autotrace.span("ours"):
        request()
    with tracer.start_as_current_span("GET /chat"), autotrace.span("ours"):
        request()
print(json.dumps([len(exporter.get_finished_spans()), sorted(flags)]))
"""


def test_an_app_that_samples_nothing(python: Interpreter) -> None:
    """Beneath our spans nothing is exported that the app's sampler would not have taken, and nobody is told to."""
    count, flags = python.json(PROGRAM.replace("RATIO", "0.0"))
    assert count == 0
    assert {int(flag) & 1 for flag in flags} == {0}


def test_an_app_that_samples_everything(python: Interpreter) -> None:
    """Its spans beneath ours are exported as ever."""
    count, flags = python.json(PROGRAM.replace("RATIO", "1.0"))
    assert count == 150
    assert {int(flag) & 1 for flag in flags} == {1}
