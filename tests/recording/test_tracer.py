"""The light spans keep every promise of OpenTelemetry's API, and their ids differ whatever the program does."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import autotrace
from autotrace.recording.tracer import MAX_ATTRIBUTES, MAX_EVENTS, LeanTracer, LeanTracerProvider, RecordedSpan

from ..conftest import Collected, Interpreter


def test_the_whole_api() -> None:
    """Every method of the API's span, tracer and provider is there, with the parameters of the API."""
    for ours, theirs in (
        (RecordedSpan, trace.Span),
        (LeanTracer, trace.Tracer),
        (LeanTracerProvider, trace.TracerProvider),
    ):
        for name, method in inspect.getmembers(theirs, inspect.isfunction):
            if not name.startswith("_"):
                assert list(inspect.signature(getattr(ours, name)).parameters) == list(
                    inspect.signature(method).parameters
                ), name


def used_as_the_program_does(provider: Any) -> None:
    """What a program may do with the current span and with a tracer of its own."""
    tracer = provider.get_tracer("mine", "1")
    link = SpanContext(1, 2, True, TraceFlags(1))
    with autotrace.span("outer"), tracer.start_as_current_span("inner", kind=SpanKind.SERVER, links=[Link(link)]):
        current = trace.get_current_span()
        current.set_attribute("a", 1)
        current.set_attributes({"b": [1.5, 2.5], "c": True})
        current.add_event("happened", {"x": "y"}, timestamp=5)
        current.record_exception(ValueError("told"), {"more": 1}, timestamp=6)
        current.update_name("renamed")
        current.set_status(Status(StatusCode.ERROR, "bad"))
        current.add_link(link, {"l": 1})
    with pytest.raises(OSError, match="out"), tracer.start_as_current_span("failing"):
        raise OSError("out")
    tracer.start_span("ended at", start_time=10).end(20)


def test_what_a_program_does_with_spans(spans: Collected) -> None:
    """Attributes, events, exceptions, status, name, links and times end up where OpenTelemetry's SDK puts them."""
    used_as_the_program_does(spans.provider)
    inner, outer, failing, timed = spans.finished
    assert (inner.name, outer.name) == ("renamed", "outer")
    assert inner.parent.span_id == outer.get_span_context().span_id
    assert inner.kind is SpanKind.SERVER
    assert {key: inner.attributes[key] for key in "ac"} == {"a": 1, "c": True}
    assert list(inner.attributes["b"]) == [1.5, 2.5]
    happened, error = inner.events
    assert (happened.name, dict(happened.attributes), happened.timestamp) == ("happened", {"x": "y"}, 5)
    told = {key: error.attributes[key] for key in ("exception.type", "exception.message", "more")}
    assert (error.name, told, error.timestamp) == (
        "exception",
        {"exception.type": "ValueError", "exception.message": "told", "more": 1},
        6,
    )
    assert (inner.status.status_code, inner.status.description) == (StatusCode.ERROR, "bad")
    assert [(link.context.span_id, dict(link.attributes or {})) for link in inner.links] == [(2, {}), (2, {"l": 1})]
    assert failing.status.status_code is StatusCode.ERROR
    assert failing.events[0].attributes["exception.type"] == "OSError"
    assert (timed.start_time, timed.end_time) == (10, 20)


def test_after_the_end(spans: Collected) -> None:
    """Nothing changes a span that has ended, and ending it again does nothing."""
    span = spans.provider.get_tracer("mine").start_span("one")
    assert span.is_recording()
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR)  # OK is final
    span.end()
    assert not span.is_recording()
    if isinstance(span, RecordedSpan):  # OpenTelemetry's SDK logs a warning for each
        span.set_attribute("a", 1)
        span.set_attributes({"a": 1})
        span.set_known({"a": 1})
        span.add_event("e")
        span.update_name("two")
        span.add_link(SpanContext(1, 2, False))
        span.record_exception(ValueError())
        span.end()
    found = spans.one()
    assert (found.name, dict(found.attributes), list(found.events), list(found.links)) == ("one", {}, [], [])
    assert found.status.status_code is StatusCode.OK


def test_limits(clean: None) -> None:
    """Attributes beyond 128 are counted, of events the last 128 are kept (law L42)."""
    ended: list[Any] = []

    class Sink:
        def started(self, span: RecordedSpan) -> None:
            """Nothing."""

        def ended(self, span: RecordedSpan) -> None:
            ended.append(span)

    span = LeanTracerProvider(Sink()).get_tracer("mine").start_span("many")
    for number in range(200):
        span.set_attribute(f"key {number}", number)
        span.add_event(f"event {number}")
    span.set_attribute("key 0", "changed")
    span.end()
    assert len(ended[0].attributes) == MAX_ATTRIBUTES
    assert ended[0].dropped == 200 - MAX_ATTRIBUTES
    assert ended[0].attributes["key 0"] == "changed"
    assert [ended[0].events[0].name, len(ended[0].events)] == ["event 72", MAX_EVENTS]


@pytest.mark.parametrize("is_remote", [True, False])
def test_parents(spans: Collected, is_remote: bool) -> None:
    """A span continues the trace of a parent that was made elsewhere; without one it begins its own."""
    parent = SpanContext(0xABC, 0xDEF, is_remote, TraceFlags(1))
    tracer = spans.provider.get_tracer("mine")
    tracer.start_span("child", context=trace.set_span_in_context(NonRecordingSpan(parent))).end()
    tracer.start_span("root", context=Context()).end()
    child, root = spans.finished
    assert (child.get_span_context().trace_id, child.parent.span_id) == (0xABC, 0xDEF)
    assert root.parent is None
    assert root.get_span_context().is_valid


def test_a_span_of_the_app_s_own_provider(acme: Any, spans: Collected) -> None:
    """A call inside a span of the program's own OpenTelemetry setup belongs to its trace."""
    with TracerProvider(shutdown_on_exit=False).get_tracer("app").start_as_current_span("app") as outer:
        acme.complete("hi")
    assert spans.one().parent.span_id == outer.get_span_context().span_id
    assert spans.one().get_span_context().trace_id == outer.get_span_context().trace_id


def test_ids_differ(python: Interpreter) -> None:
    """Ids differ where the program seeds `random`, and in forked children (law L43)."""
    found = python.json("""
        import json, os, random
        import autotrace, collecting
        autotrace.autolog(tracer_provider=collecting.provider)
        def ids():
            random.seed(1)
            with autotrace.span("one"):
                pass
            context = collecting.finished[-1].get_span_context()
            return [f"{context.trace_id:032x}", f"{context.span_id:016x}"]
        found = [ids() for _ in range(3)]
        for _ in range(3):
            reader, writer = os.pipe()
            if os.fork() == 0:
                os.write(writer, json.dumps(ids()).encode())
                os._exit(0)
            os.wait()
            found.append(json.loads(os.read(reader, 1000)))
        found.append(ids())
        print(json.dumps(found))
    """)
    assert len({trace_id for trace_id, _ in found}) == len({span_id for _, span_id in found}) == 7


def test_fork_inside_a_span(python: Interpreter) -> None:
    """A span that is open when the process forks is ended by the parent alone; calls in the child are its children."""
    found = python.json("""
        import json, os
        import autotrace.auto, acme, collecting, autotrace
        autotrace.autolog(tracer_provider=collecting.provider)
        reader, writer = os.pipe()
        stream = acme.Client().stream("one two three")
        next(stream)
        with autotrace.span("outer") as span:
            child = os.fork()
            acme.complete("in the child" if child == 0 else "in the parent")
            if child == 0:
                span.set(output="child")
        if child == 0:
            list(stream)
            outer = [s.parent.span_id for s in collecting.finished]
            os.write(writer, json.dumps([collecting.names(), outer]).encode())
            os._exit(0)
        os.waitpid(child, 0)
        list(stream)
        outer = next(s for s in collecting.finished if s.name == "outer").get_span_context().span_id
        print(json.dumps([json.loads(os.read(reader, 1000)), collecting.names(), outer]))
    """)
    (in_child, parents), in_parent, outer = found
    assert in_child == ["chat acme-1"]
    assert parents == [outer]
    assert in_parent == ["chat acme-1", "outer", "chat acme-1"]
