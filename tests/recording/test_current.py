"""Whose the current context is, where another tool makes one current that it kept from before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

import autotrace
from autotrace.recording.current import current_context, enter, leave

from ..conftest import Collected, SdkCollected
from .test_nesting import framework_call, parents, span_id, usage


def _sync(acme: Any) -> None:
    acme.Client().complete("hi")


def _stream(acme: Any) -> None:
    list(acme.Client().words("hi there"))


def _async(acme: Any) -> None:
    asyncio.run(acme.Client().complete_async("hi"))


FORMS = pytest.mark.parametrize("call", [_sync, _stream, _async])


def _call_in(context: Context, acme: Any, call: Callable[[Any], None]) -> None:
    token = attach(context)
    try:
        call(acme)
    finally:
        detach(token)


def _another_tools_span() -> Context:
    """What another tool's handler keeps of a step that began before ours."""
    return set_span_in_context(TracerProvider(shutdown_on_exit=False).get_tracer("other").start_span("theirs"))


@FORMS
def test_a_request_beneath_a_kept_context_is_the_model_call_s(
    acme: Any, spans: Collected, call: Callable[[Any], None]
) -> None:
    """Tokens are told once where another tool, within a model call, makes a context of before it current (law L17)."""
    theirs = _another_tools_span()
    with framework_call():
        _call_in(theirs, acme, call)
    assert [usage(span) for span in spans.finished] == [usage(spans.named("chat framework-1"))] != [(None, None)]


@FORMS
def test_a_request_beneath_the_surroundings_of_the_model_call(
    acme: Any, spans: Collected, call: Callable[[Any], None]
) -> None:
    """The same where the kept context is that in which our own step around the model call is current (law L17)."""
    with autotrace.span("step"):
        kept = set_span_in_context(TracerProvider(shutdown_on_exit=False).get_tracer("other").start_span("theirs"))
        with framework_call():
            _call_in(kept, acme, call)
    assert {span.name for span in spans.finished} == {"step", "chat framework-1"}


@FORMS
def test_a_step_beneath_a_kept_context_stays_in_our_trace(
    acme: Any, spans: Collected, call: Callable[[Any], None]
) -> None:
    """A call beneath another tool's older span lies in our step, with the labels of our trace (law L36).

    Where spans go to the program's provider, that tool's may lie there too: it is the parent, as for anybody's spans.
    """
    theirs = _another_tools_span()
    with autotrace.span("step"):
        autotrace.update_trace(user="alice")
        _call_in(theirs, acme, call)
    inner = spans.named("chat acme-1")
    beneath = get_current_span(theirs) if isinstance(spans, SdkCollected) else spans.named("step")
    assert parents(spans)[span_id(inner)] == span_id(beneath)
    assert inner.attributes["user.id"] == "alice"


@FORMS
def test_a_context_that_the_program_chose_is_kept(acme: Any, spans: Collected, call: Callable[[Any], None]) -> None:
    """An empty context begins a trace, another service's continues that service's, a step's own nests in it (L07)."""
    remote = set_span_in_context(NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(1))), Context())
    with autotrace.span("step"):
        with autotrace.span("sibling"):
            sibling = get_current()
            inside = span_id(autotrace_span())
        with autotrace.span("other"):
            _call_in(Context(), acme, call)
            _call_in(remote, acme, call)
            _call_in(sibling, acme, call)
    calls = [span for span in spans.finished if span.name == "chat acme-1"]
    assert [span.parent.span_id if span.parent else None for span in calls] == [None, 8, inside]


def autotrace_span() -> Any:
    """The innermost span of ours."""
    return current_context()["autotrace.span"]


def test_what_has_ended_is_over(acme: Any, spans: Collected) -> None:
    """A context of ours that is still current although its step has ended adds nothing to another one."""
    theirs = _another_tools_span()
    with autotrace.span("step"):
        kept = get_current()
    token = enter(kept)
    try:
        _call_in(theirs, acme, _sync)
    finally:
        leave(token)
    inner = spans.named("chat acme-1")
    assert inner.parent.span_id != span_id(spans.named("step"))


@FORMS
def test_a_request_beneath_what_is_far_around(acme: Any, spans: Collected, call: Callable[[Any], None]) -> None:
    """The same where several steps of ours lie between the kept context and the model call (law L17)."""
    with autotrace.span("far"):
        kept = get_current()
        with autotrace.span("step"), framework_call():
            _call_in(kept, acme, call)
    assert {span.name for span in spans.finished} == {"far", "step", "chat framework-1"}


@FORMS
def test_labels_of_a_kept_context_count(acme: Any, spans: Collected, call: Callable[[Any], None]) -> None:
    """Whose a call is, the context that the program made current says (law L37)."""
    theirs = _another_tools_span()
    with autotrace.context(session="theirs"):
        kept = Context({**theirs, **get_current()})
    with autotrace.context(session="ours"), autotrace.span("worker"):
        _call_in(kept, acme, call)
    assert spans.named("chat acme-1").attributes["session.id"] == "theirs"
