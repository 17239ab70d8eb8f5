"""The fixture `spans`: what it collects, and what it does not let pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import autotrace
from autotrace.activation import active
from autotrace.testing import Spans

from ..conftest import LightCollected


@pytest.fixture
def spans(clean: None) -> Iterator[Spans]:
    """The fixture that users get; the suite has one of the same name."""
    with Spans() as found:
        yield found


def test_ids_and_times_count(spans: Spans) -> None:
    """Ids count from 1 and each look at the clock is a second later, so that a whole test can be compared."""
    with autotrace.span("outer"), autotrace.span("inner"):
        pass
    with autotrace.span("another"):
        pass
    found = [(span.name, span.trace_id, span.span_id, span.parent_id, span.start_s, span.end_s) for span in spans.all()]
    assert found == [("outer", 1, 1, None, 1, 4), ("inner", 1, 2, 1, 2, 3), ("another", 2, 3, None, 5, 6)]


def test_the_tree_is_one_value(spans: Spans) -> None:
    """All that has ended is one value: roots, children, statuses, messages, events, attributes."""

    @autotrace.trace(name="outer")
    def outer_work(a: list[int]) -> None:
        with autotrace.span("inner") as inner:
            inner.set(output="done", attributes={"acme.steps": 2})
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        outer_work([1])
    (outer,) = spans.tree()
    (event,) = outer.pop("events")
    assert event[0] == "exception"
    inside = {"openinference.span.kind": "CHAIN", "output.value": "done", "output.mime_type": "text/plain"}
    assert outer == {
        "name": "outer",
        "kind": "internal",
        "status": "error",
        "message": "nothing there",
        "attributes": {
            "openinference.span.kind": "CHAIN",
            "input.value": '{"a":[1]}',
            "input.mime_type": "application/json",
            "error.type": "LookupError",
        },
        "children": [
            {"name": "inner", "kind": "internal", "status": "ok", "attributes": {**inside, "acme.steps": 2}},
        ],
    }
    assert spans.outline() == "outer !\n  inner"


def test_one_and_named(spans: Spans) -> None:
    """Asking for the one span where there are none or several is a failure that names what there is."""
    with pytest.raises(AssertionError, match=r"one span was expected, there are 0"):
        spans.one()
    for _ in range(2):
        with autotrace.span("twin"):
            pass
    with pytest.raises(AssertionError, match=r"2 spans are called 'twin'"):
        spans.named("twin")
    spans.clear()
    assert spans.all() == []


def test_off_and_on(spans: Spans) -> None:
    """Tracing can be switched off and on again within a test."""
    spans.off()
    with autotrace.span("unseen"):
        pass
    spans.on()
    with autotrace.span("seen"):
        pass
    assert spans.outline() == "seen"


def test_another_provider(spans: Spans) -> None:
    """Spans can be sent to another provider, as a program's own gets them, for a stretch of a test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.on(tracer_provider=provider)
    with autotrace.span("theirs"):
        pass
    spans.on()
    with autotrace.span("ours"):
        pass
    assert [span.name for span in exporter.get_finished_spans()] == ["theirs"]
    assert spans.outline() == "ours"


def test_an_open_span_is_found(clean: None) -> None:
    """A span that is never ended fails the test that began it."""
    recorder = Spans().__enter__() and active().recorder()
    assert recorder is not None
    left_open = recorder.start("", {"name": "left open"})
    with pytest.raises(AssertionError, match="1 spans were begun and never ended"):
        Spans().__exit__(None)
    left_open.finish()


def test_a_current_span_is_found(clean: None) -> None:
    """A span that stays current fails the test that made it so."""
    spans = Spans().__enter__()
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, False))
    token = context.attach(trace.set_span_in_context(span))
    try:
        with pytest.raises(AssertionError, match="still current"):
            spans.__exit__(None)
    finally:
        context.detach(token)


def test_errors_raise(spans: Spans, fakes_on_path: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails inside a plugin raises into the test."""
    import acme
    import autotrace_acme

    autotrace.autolog("acme", disable=False)

    def broken(reply: Any) -> Any:
        raise KeyError("tokens")

    monkeypatch.setattr(autotrace_acme, "response", broken)
    spans.__exit__(None)
    spans.__enter__()
    with pytest.raises(KeyError, match="tokens"):
        acme.Client().complete("hello")


def test_the_fake_framework_goes_by_any_name(
    fake_framework: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The fake framework is imported under the name that is asked for, with metadata of that name."""
    from importlib import metadata

    parrot = fake_framework("parrot")
    assert parrot.Client.__module__ == "parrot.client"
    assert parrot.Client().complete("hello").text == "HELLO"
    assert [reply.text for reply in parrot.Client().batch(["a", "b"])] == ["A", "B"]
    assert metadata.version("parrot") == "1.0.0"
    heard: list[tuple[str, int]] = []
    bus = parrot.Bus([lambda what, step: heard.append((what, step))])
    assert parrot.Pipeline(bus).run("who").text == "WHO?"
    assert heard == [("started", 1), ("started", 2), ("ended", 2), ("ended", 1)]


def test_pytest_loads_next_to_nothing(python: Any) -> None:
    """pytest's plugin, which every pytest loads where autotrace is, imports neither OpenTelemetry nor wrapt."""
    code = """
    import sys
    import autotrace.testing.pytest_plugin
    print([name for name in sys.modules if name.startswith(("opentelemetry", "wrapt", "autotrace.recording"))])
    """
    assert python.run(code).strip() == "[]"


def test_what_is_left_open_fails_one_test_alone(clean: None) -> None:
    """A span that is never ended is named by the test that began it, and is none of the next test's."""
    first = Spans().__enter__()
    recorder = active().recorder()
    assert recorder is not None
    held = recorder.start("", {"name": "left open"})
    with pytest.raises(AssertionError, match=r"1 spans were begun and never ended: \['left open'\]"):
        first.__exit__(None)
    assert not held.is_open
    with Spans():
        pass


def test_tracing_is_left_as_the_program_had_it(clean: None, fakes_on_path: None) -> None:
    """A program that had tracing on has it on after the test, with its settings."""
    import acme

    before = LightCollected()
    autotrace.autolog(tracer_provider=before.provider, capture_content="off")
    with Spans() as spans:
        acme.Client().complete("hello")
    acme.Client().complete("hello")
    assert len(spans.all()) == 1
    assert "gen_ai.input.messages" not in before.one().attributes
