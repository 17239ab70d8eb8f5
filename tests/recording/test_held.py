"""A root that waits until something of ours happens inside."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

import autotrace
from autotrace.activation import active
from autotrace.recording import recorder as recording
from autotrace.recording.current import current_context, enter, leave
from autotrace.recording.guard import guard
from autotrace.recording.held import Description, Held
from autotrace.recording.labels import Labels
from autotrace.recording.recorder import Recorder

from ..conftest import Collected, LightCollected

REMOTE = SpanContext(0xAB, 0xCD, True, TraceFlags(1))


class Probe:
    """Something that can be missed."""


def recorder() -> Recorder:
    """The recorder of the program's own spans, which will do."""
    found = active().recorder()
    assert found is not None
    return found


def described(name: str = "work", **labels: Any) -> Description:
    return Description({"name": name}, Labels(**labels))


@contextmanager
def inside(held: Held) -> Iterator[None]:
    """Work in progress."""
    token = enter(held.context)
    try:
        yield
    finally:
        leave(token)


def begun(**more: Any) -> Held:
    """Work that begins where we are."""
    return Held(recorder(), current_context(), **{"describe": described, **more})


def parents(spans: Collected) -> dict[str, str | None]:
    """By name: the name of the span that each lies in."""
    names = {span.get_span_context().span_id: span.name for span in spans.finished}
    return {span.name: names.get(span.parent.span_id, "?") if span.parent else None for span in spans.finished}


def test_work_that_leads_to_nothing(spans: Collected) -> None:
    """It leaves nothing, and nobody is asked what it is."""
    held = begun(describe=lambda: pytest.fail("nobody wants to know"))
    with inside(held):
        pass
    held.finish(lambda: pytest.fail("nor what it came to"))
    assert (held.is_over, held.is_recorded, spans.finished) == (True, False, [])


def test_work_that_leads_to_something(spans: Collected) -> None:
    """The root begins when the work began, and is asked once what it is."""
    asked = []

    def describe() -> Description:
        asked.append(1)
        return described(session="s", user="u")

    held = begun(describe=describe, kind=SpanKind.CONSUMER)
    with inside(held):
        for name in ("a", "b"):
            with autotrace.span(name):
                pass
    held.finish(lambda: {"output_value": "done"}, end_time=held.started + 5)
    held.finish(error=LookupError("the first to say so counts"))
    root = spans.named("work")
    assert parents(spans) == {"work": None, "a": "work", "b": "work"}
    assert (root.start_time, root.end_time, root.kind) == (held.started, held.started + 5, SpanKind.CONSUMER)
    assert root.attributes["output.value"] == "done"
    assert {(span.attributes["session.id"], span.attributes["user.id"]) for span in spans.finished} == {("s", "u")}
    assert asked == [1]


@pytest.mark.parametrize("outcome", ["disconnected", None])
def test_how_it_ends(spans: Collected, outcome: str | None) -> None:
    """With an outcome, or with an error."""
    held = begun()
    with inside(held), autotrace.span("a"):
        pass
    held.finish(outcome=outcome, error=None if outcome else LookupError("no"))
    root = spans.named("work")
    assert root.attributes.get("autotrace.outcome") == outcome
    assert root.attributes.get("error.type") == (None if outcome else "LookupError")


def test_a_thread_that_outlives_it(spans: Collected) -> None:
    """The root is recorded when it is over, and ended at once, once."""
    held = begun()
    with inside(held):
        late = current_context()
    held.finish(lambda: {"output_value": "done"})
    assert spans.finished == []
    threads = [threading.Thread(target=lambda: recorder().start("", {"name": "late"}, parent=late).finish())
               for _ in range(8)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(span.name for span in spans.finished) == [*["late"] * 8, "work"]
    assert parents(spans) == {"late": "work", "work": None}
    assert spans.named("work").attributes["output.value"] == "done"


def test_work_within_work(spans: Collected) -> None:
    """Both are recorded, one in the other; or neither."""
    for name in ("outer", "other"):
        outer = begun(describe=lambda name=name: described(name))
        with inside(outer):
            inner = begun(describe=lambda: described("inner"))
            with inside(inner):
                if name == "outer":
                    with autotrace.span("a"):
                        pass
            inner.finish()
        outer.finish()
    assert parents(spans) == {"a": "inner", "inner": "outer", "outer": None}


def test_work_within_a_span(spans: Collected) -> None:
    """It is a step of it, whose labels it keeps for itself."""
    with autotrace.span("around"):
        held = begun(describe=described, labels=Labels("s"))
        with inside(held), autotrace.span("a"):
            pass
        held.finish()
        with autotrace.span("b"):
            pass
    assert parents(spans) == {"a": "work", "b": "around", "work": "around", "around": None}
    sessions = {span.name: span.attributes.get("session.id") for span in spans.finished}
    assert sessions == {"a": "s", "work": "s", "b": None, "around": None}


def test_a_sender_that_is_another_process(spans: Collected) -> None:
    """The root is its child, also within a trace of this process: the caller's word counts more."""
    with autotrace.span("around"):
        held = begun(remote=REMOTE)
        with inside(held):
            assert autotrace.current_trace_id() == f"{0xAB:032x}"
            with autotrace.span("a"):
                pass
        held.finish()
    root = spans.named("work")
    assert (root.parent.span_id, root.get_span_context().trace_id) == (0xCD, 0xAB)
    assert spans.named("around").get_span_context().trace_id != 0xAB


def test_links(spans: Collected) -> None:
    """What led to it, in traces of their own."""
    held = begun(links=[REMOTE])
    with inside(held), autotrace.span("a"):
        pass
    held.finish()
    (link,) = spans.named("work").links
    assert (link.context.trace_id, link.context.span_id) == (0xAB, 0xCD)
    assert spans.named("work").parent is None


def test_the_id_that_it_would_have(clean: None) -> None:
    """It may be told before anything is recorded, and is the same then."""
    spans = LightCollected()
    autotrace.autolog(tracer_provider=spans.provider)
    held = begun()
    told = held.trace_id
    with inside(held):
        assert autotrace.current_trace_id() == f"{told:032x}"
        with autotrace.span("a"):
            pass
    held.finish()
    assert {span.get_span_context().trace_id for span in spans.finished} == {told}


def test_recorded(spans: Collected) -> None:
    """Who wants to know is told, once, and may fail."""
    told = []

    def noted(trace_id: str) -> None:
        told.append(trace_id)
        raise LookupError

    held = begun(recorded=noted)
    with inside(held):
        for _ in range(2):
            with autotrace.span("a"):
                pass
    held.finish()
    assert told == [f"{spans.named('work').get_span_context().trace_id:032x}"]
    assert guard.failures.pop("autotrace: recorded").count == 1


def test_descriptions_that_fail(spans: Collected) -> None:
    """The root is there all the same."""

    def fails() -> Any:
        raise LookupError

    held = begun(describe=fails)
    with inside(held), autotrace.span("a"):
        pass
    held.finish(fails)
    assert parents(spans) == {"a": "span", "span": None}
    assert set(guard.failures) == {"autotrace: request values", "autotrace: response values"}
    guard.failures.clear()


def test_the_programs_own_spans(clean: None) -> None:
    """They are what they are without us: neither parent nor trace is ours, and our root joins theirs."""
    exporter = InMemorySpanExporter()
    theirs = TracerProvider(shutdown_on_exit=False)
    theirs.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = theirs.get_tracer("app")
    spans = LightCollected()
    autotrace.autolog(tracer_provider=spans.provider)
    held = begun()
    with inside(held), tracer.start_as_current_span("request"):
        assert trace.get_current_span().get_span_context().is_valid
        with autotrace.span("a"):
            pass
        with tracer.start_as_current_span("query"):
            pass
    held.finish()
    query, request = exporter.get_finished_spans()
    assert request.parent is None
    assert query.parent == request.get_span_context()
    root = spans.named("work")
    assert root.parent.span_id == request.get_span_context().span_id
    assert {span.get_span_context().trace_id for span in spans.finished} == {request.get_span_context().trace_id}


def test_nothing_is_left(spans: Collected) -> None:
    """Without the garbage collector's help: work that is over, recorded or not, and work that was dropped."""
    gc.collect()
    gc.disable()
    try:
        for records in (True, False):
            for ends in (True, False):
                probe = Probe()
                held = begun(describe=lambda probe=probe: described())
                if records:
                    with inside(held), autotrace.span("a"):
                        pass
                if ends:
                    held.finish()
                reference = weakref.ref(probe)
                del held, probe
                assert reference() is None, (records, ends)
    finally:
        gc.enable()
    assert not recording._open
    assert [span.attributes.get("autotrace.outcome") for span in spans.finished if span.name == "work"] == [
        None,
        "abandoned",
    ]


def test_context_of_before(spans: Collected) -> None:
    """What is begun in a context that the work did not begin in is none of it."""
    before = Context()
    held = begun()
    with inside(held):
        recorder().start("", {"name": "elsewhere"}, parent=before).finish()
    held.finish()
    assert parents(spans) == {"elsewhere": None}
