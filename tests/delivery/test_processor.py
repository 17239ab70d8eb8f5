"""From OpenTelemetry into the journal."""

from __future__ import annotations

import logging

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from autotrace.delivery import processor
from autotrace.delivery.encoding import dumps
from autotrace.delivery.processor import Family, JournalProcessor


def roots(records):
    """Which spans are roots, by name; starts exist for these alone."""
    found = {record.body["name"]: record.body["root"] for record in records if record.kind == "E"}
    starts = {record.body["name"] for record in records if record.kind == "S"}
    assert starts <= {name for name, root in found.items() if root}
    return found


@pytest.fixture
def line(make_line, collecting):
    return make_line([collecting])


@pytest.fixture
def records(line, journalled):
    return journalled


def remote():
    context = SpanContext(7 << 100, 5, is_remote=True, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(context))


def test_children_are_no_roots(line, records):
    """A span below one of ours is no root, whether its parent is open, has ended, or is known by its ids alone."""
    root = line.tracer.start_span("root")
    within = trace.set_span_in_context(root)
    line.tracer.start_span("child", context=within).end()
    bare = trace.set_span_in_context(NonRecordingSpan(root.get_span_context()))
    line.tracer.start_span("bare", context=bare).end()
    root.end()
    line.tracer.start_span("late", context=within).end()
    assert roots(records()) == {"root": True, "child": False, "bare": False, "late": False}


def test_local_roots(line, records):
    """A span below a remote one, or below one of the application's own, is a root of ours."""
    line.tracer.start_span("remote", context=remote()).end()
    app = TracerProvider(resource=Resource({}), shutdown_on_exit=False).get_tracer("app")
    with app.start_as_current_span("not ours") as parent:
        line.tracer.start_span("below").end()
    found = records()
    assert roots(found) == {"remote": True, "below": True}
    parents = {record.body["name"]: record.body["parent_id"] for record in found if record.kind == "E"}
    assert parents == {"remote": "0000000000000005", "below": f"{parent.get_span_context().span_id:016x}"}


def test_root_below_a_filtered_span_of_the_same_provider(line, records):
    """A parent that did not pass through the processor does not count as ours."""
    other = TracerProvider(resource=line.provider.resource, shutdown_on_exit=False)
    parent = other.get_tracer("app").start_span("filtered")
    line.tracer.start_span("below", context=trace.set_span_in_context(parent)).end()
    assert roots(records()) == {"below": True}


def test_everything_a_span_has(line, records):
    """Kind, status, message, attributes, events and links are journalled."""
    context = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
    span = line.tracer.start_span(
        "all", kind=SpanKind.CLIENT, links=[Link(context, {"why": "x"})], attributes={"a": [1, 2], "b": True}
    )
    span.record_exception(ValueError("no"), timestamp=9)
    span.set_status(StatusCode.ERROR, "it failed")
    span.end()
    [body] = [record.body for record in records() if record.kind == "E"]
    assert (body["kind"], body["status"], body["message"]) == ("client", "error", "it failed")
    assert body["attributes"] == {"a": [1, 2], "b": True}
    [event] = body["events"]
    assert (event["name"], event["time"]) == ("exception", 9)
    assert event["attributes"]["exception.message"] == "no"
    assert body["links"] == [{"trace_id": f"{1:032x}", "span_id": f"{2:016x}", "attributes": {"why": "x"}}]


def test_unsampled_spans_are_left_out(collecting, make_line, home):
    """What is not sampled is not journalled."""
    line = make_line([collecting])
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(line.processor)
    provider.get_tracer("x").start_span("unsampled").end()
    assert not home.exists()


def test_never_raises(line, caplog, monkeypatch):
    """An error of ours is logged once and counted; the program does not feel it."""

    def broken(span, root):
        raise RuntimeError("ours")

    monkeypatch.setattr(processor, "encode", broken)
    with caplog.at_level(logging.ERROR, "autotrace"):
        for _ in range(5):
            line.tracer.start_span("x").end()
    assert line.processor.failures == 10
    assert [record.getMessage().count("ours") for record in caplog.records] == [1]


def test_never_raises_when_waking_fails(make_line, collecting, caplog):
    """Nor does an error of the callback."""

    def broken():
        raise RuntimeError("callback")

    line = make_line([collecting])
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(JournalProcessor(line.journal, broken))
    provider.get_tracer("x").start_span("x").end()
    assert "callback" in caplog.text


def test_family_is_bounded(monkeypatch):
    """Ended spans are remembered for a while, open ones up to a bound."""
    monkeypatch.setattr(processor, "ENDED", 10)
    monkeypatch.setattr(processor, "OPEN", 10)
    family = Family()
    for span_id in range(100):
        family.add(span_id)
        family.end(span_id)
    assert 99 in family
    assert sum(span_id in family for span_id in range(100)) <= 20
    for span_id in range(200, 300):
        family.add(span_id)
    assert sum(span_id in family for span_id in range(200, 300)) <= 10


def test_dumps_survives_anything():
    """JSON of strangers, deep nests and cycles is text."""
    cycle: dict = {}
    cycle["self"] = cycle
    assert dumps({"a": object, "b": {1: {2}}}) == b'{"a":"<class \'object\'>","b":{"1":[2]}}'
    assert dumps(cycle).startswith(b'{"self":{"self":')
