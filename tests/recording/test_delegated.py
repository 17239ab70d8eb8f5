"""Spans that another project's instrumentor makes are recorded as ours: translated, private, each token told once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import wrapt
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

import autotrace
from autotrace.recording.delegated import Translated, untranslated
from autotrace.recording.delegating import DelegatedProvider
from autotrace.recording.guard import guard
from autotrace.recording.messages import Message, Usage
from autotrace.recording.privacy import Policy
from autotrace.recording.recorder import Recorder

from ..conftest import Collected

SECRET = "Alice's diary"


def translate(name: str, attributes: Mapping[str, Any]) -> Translated:
    """A vocabulary of three words: `op`, `said`, `tokens`."""
    left = dict(attributes)
    request: Any = {"attributes": {}}
    response: Any = {}
    if "op" in left:
        request.update(operation=left.pop("op"), model="m-1")
    if "said" in left:
        request["input"] = [Message.user(left.pop("said"))]
    if "tokens" in left:
        response["usage"] = Usage(left["tokens"], left.pop("tokens"))
    return request, response, left


class Theirs:
    """An instrumentor's tracer and what it is made of."""

    def __init__(self, collected: Collected, policy: Policy | None = None, translator: Any = translate) -> None:
        tracer = collected.provider.get_tracer("autotrace.plugins.their", "1")
        self.recorder = Recorder("their", tracer, policy or Policy(), owns_model_calls=False)
        self.provider = DelegatedProvider(self.recorder, translator)
        self.tracer = self.provider.get_tracer("their.instrumentor", "1.0")


@pytest.fixture
def theirs(spans: Collected) -> Theirs:
    return Theirs(spans)


@pytest.fixture
def ours(spans: Collected) -> Recorder:
    """A plugin of ours for another framework."""
    return Recorder("acme", spans.provider.get_tracer("autotrace.plugins.acme", "1"), Policy())


def given(span: Any) -> dict[str, Any]:
    return dict(span.attributes)


def tokens(collected: Collected) -> list[tuple[str, int]]:
    """Name and input tokens of every span that has some."""
    counts = [(span.name, span.attributes.get("gen_ai.usage.input_tokens")) for span in collected.finished]
    return [(name, count) for name, count in counts if count is not None]


def test_what_is_said_is_translated_at_the_end(spans: Collected, theirs: Theirs) -> None:
    """Attributes set at the start and later become ours; those that are not known are kept beside them."""
    span = theirs.tracer.start_span("Completions", attributes={"said": "hello", "custom": "x"})
    span.set_attributes({"op": "chat", "tokens": 5})
    span.set_attribute("late", 1)
    assert span.is_recording()
    span.end()
    assert not span.is_recording()
    found = spans.one()
    assert found.name == "chat m-1"
    assert given(found) == {
        "autotrace.instrumentor": "their.instrumentor",
        "custom": "x",
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hello"}]}]',
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m-1",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 5,
        "late": 1,
        "openinference.span.kind": "LLM",
    }
    assert found.status.status_code is StatusCode.OK


def test_a_span_of_no_operation_keeps_its_name(spans: Collected, theirs: Theirs) -> None:
    """What is none of the conventions' operations goes by the name that the instrumentor gave it last."""
    with theirs.tracer.start_as_current_span("first") as span:
        span.update_name("GET")
    assert spans.one().name == "GET"


def test_times_are_the_instrumentors(spans: Collected, theirs: Theirs) -> None:
    """A start and an end that the instrumentor names are the span's."""
    theirs.tracer.start_span("x", start_time=1_000).end(5_000)
    assert (spans.one().start_time, spans.one().end_time) == (1_000, 5_000)


def test_an_end_counts_once(spans: Collected, theirs: Theirs) -> None:
    """What is said after the end, and a second end, change nothing."""
    span = theirs.tracer.start_span("x")
    span.end()
    span.set_attribute("late", 1)
    span.add_event("late")
    span.end()
    assert "late" not in given(spans.one())
    assert list(spans.one().events) == []


def test_a_dropped_span_ends(spans: Collected, theirs: Theirs) -> None:
    """A span that the instrumentor loses (a stream that nobody reads to its end) ends, with what it has said."""
    span = theirs.tracer.start_span("x")
    span.set_attribute("custom", 1)
    del span
    gc.collect()
    assert given(spans.one())["custom"] == 1
    assert given(spans.one())["autotrace.outcome"] == "abandoned"


def test_hundreds_of_attributes(spans: Collected, theirs: Theirs) -> None:
    """However many attributes an instrumentor makes of its messages, what they translate to is whole."""
    span = theirs.tracer.start_span("x", attributes={f"said.{number}": "x" for number in range(500)})
    span.set_attributes({"op": "chat", "said": "hello"})
    span.end()
    found = given(spans.one())
    assert found["gen_ai.operation.name"] == "chat"
    assert "hello" in found["gen_ai.input.messages"]
    assert len(found) <= 128


def test_a_translation_that_raises(spans: Collected) -> None:
    """The span is kept as it is, the error is counted and nothing reaches the program."""

    def fail(name: str, attributes: Mapping[str, Any]) -> Translated:
        raise ValueError(SECRET)

    theirs = Theirs(spans, translator=fail)
    with theirs.tracer.start_as_current_span("x", attributes={"custom": 1}):
        pass
    assert given(spans.one())["custom"] == 1
    assert guard.failures.pop("their: translation").count == 2


# Failures


def test_an_exception(spans: Collected, theirs: Theirs) -> None:
    """An exception that passes through is the program's own, and the span tells of it as ours do."""
    error = KeyError("no such thing")
    with pytest.raises(KeyError) as caught, theirs.tracer.start_as_current_span("x"):
        raise error
    assert caught.value is error
    found = spans.one()
    assert found.status.status_code is StatusCode.ERROR
    assert given(found)["error.type"] == "KeyError"
    assert [event.name for event in found.events] == ["exception"]


def test_a_failure_without_exception(spans: Collected, theirs: Theirs) -> None:
    """A status that says ERROR is kept, with its description."""
    span = theirs.tracer.start_span("GET", attributes={"error.type": "404"})
    span.set_status(StatusCode.ERROR, "not found")
    span.set_status(StatusCode.UNSET)
    span.end()
    assert spans.one().status.status_code is StatusCode.ERROR
    assert spans.one().status.description == "not found"
    assert given(spans.one())["error.type"] == "404"


def test_an_exception_that_was_handled(spans: Collected, theirs: Theirs) -> None:
    """An exception without a failure is an event of a span that has succeeded."""
    span = theirs.tracer.start_span("x")
    span.record_exception(ValueError("again"))
    span.set_status(StatusCode.OK)
    span.end()
    assert spans.one().status.status_code is StatusCode.OK
    assert [event.name for event in spans.one().events] == ["exception"]


# Privacy


def everything(collected: Collected) -> str:
    """All that the spans say."""
    return repr(
        [
            (
                span.name,
                dict(span.attributes),
                span.status.description,
                [(e.name, dict(e.attributes)) for e in span.events],
            )
            for span in collected.finished
        ]
    )


def speak(theirs: Theirs) -> None:
    """Says the secret wherever an instrumentor can."""

    def say() -> None:
        with theirs.tracer.start_as_current_span(SECRET, attributes={"said": SECRET}) as span:
            span.set_attributes({"op": "chat", "custom": SECRET, "list": [SECRET], "json": f'{{"a": "{SECRET}"}}'})
            span.add_event("prompt", {"content": SECRET})
            span.add_event(SECRET)
            span.update_name(f"ask {SECRET}")
            raise ValueError(SECRET)

    with pytest.raises(ValueError):
        say()
    with theirs.tracer.start_as_current_span(SECRET, attributes={"custom": SECRET}) as span:
        span.set_status(StatusCode.ERROR, SECRET)


@pytest.mark.parametrize("translator", [translate, untranslated])
def test_content_off(spans: Collected, translator: Any) -> None:
    """With content off no text of a user's is anywhere: not in attributes, events, names, statuses (law L41)."""
    speak(Theirs(spans, Policy("off"), translator))
    assert len(spans.finished) == 2
    assert "diary" not in everything(spans)


def test_content_off_and_a_translation_that_raises(spans: Collected) -> None:
    """Nor when the translation fails."""

    def fail(name: str, attributes: Mapping[str, Any]) -> Translated:
        raise ValueError(SECRET)

    speak(Theirs(spans, Policy("off"), fail))
    assert len(spans.finished) == 2
    assert "diary" not in everything(spans)
    del guard.failures["their: translation"]


def test_redactors(spans: Collected) -> None:
    """A redactor is asked for all texts, whatever vocabulary they come in."""
    speak(Theirs(spans, Policy(redactors=[lambda text: text.replace("diary", "***")])))
    assert "diary" not in everything(spans)
    assert "***" in everything(spans)


def test_truncated(spans: Collected) -> None:
    """Long texts are cut, known and unknown."""
    theirs = Theirs(spans, Policy("truncated", 10))
    theirs.tracer.start_span("x", attributes={"op": "chat", "said": "a" * 50, "custom": "b" * 50}).end()
    assert "a" * 11 not in everything(spans)
    assert given(spans.one())["custom"] == "b" * 10 + "… [40 more characters]"


def test_secrets(spans: Collected, theirs: Theirs) -> None:
    """What stands under the name of a key is hidden."""
    theirs.tracer.start_span(
        "x", attributes={"http.request.header.authorization": "abc", "j": '{"api_key": "abc"}'}
    ).end()
    assert "abc" not in everything(spans)


# The tree


class Wrapped(wrapt.ObjectProxy):  # type: ignore[misc, type-arg, unused-ignore]
    """What OpenInference makes of every span."""


@pytest.mark.parametrize("wrap", [lambda span: span, Wrapped])
def test_ours_in_theirs_in_ours(spans: Collected, theirs: Theirs, ours: Recorder, wrap: Callable[[Any], Any]) -> None:
    """Spans nest as the calls did, also where the instrumentor wraps its spans, and a trace has one root."""
    with autotrace.span("top"), trace.use_span(wrap(theirs.tracer.start_span("middle")), end_on_exit=True):
        ours.start("chat", {"model": "a"}).finish()
        with theirs.tracer.start_as_current_span("low"):
            pass
    ids = {span.name: span.get_span_context().span_id for span in spans.finished}
    parents = {span.name: span.parent.span_id if span.parent else None for span in spans.finished}
    assert parents == {"top": None, "middle": ids["top"], "low": ids["middle"], "chat a": ids["middle"]}
    assert [span.name for span in spans.finished if getattr(span, "is_root", span.parent is None)] == ["top"]


def test_ours_in_theirs_alone(spans: Collected, theirs: Theirs, ours: Recorder) -> None:
    """The instrumentor's span may be the root."""
    with theirs.tracer.start_as_current_span("top"):
        ours.start("chat", {"model": "a"}).finish()
    inner, top = spans.finished
    assert inner.parent.span_id == top.get_span_context().span_id
    assert not getattr(inner, "is_root", False)


def test_a_context_of_the_instrumentors(spans: Collected, theirs: Theirs) -> None:
    """A context that the instrumentor made by itself is one that its spans lie in."""
    top = theirs.tracer.start_span("top")
    theirs.tracer.start_span("low", context=trace.set_span_in_context(top, Context())).end()
    top.end()
    assert spans.named("low").parent.span_id == top.get_span_context().span_id


def test_labels(spans: Collected, theirs: Theirs, ours: Recorder) -> None:
    """Whose a trace is, is said of an instrumentor's spans too, from around and from inside."""
    with autotrace.context(session="s-1"), theirs.tracer.start_as_current_span("top"):
        autotrace.update_trace(user="alice", name="support")
        ours.start("chat", {"model": "a"}).finish()
    top = given(spans.named("top"))
    assert (top["session.id"], top["user.id"], top["autotrace.trace.name"]) == ("s-1", "alice", "support")
    assert given(spans.named("chat a"))["user.id"] == "alice"


def test_suppressed(spans: Collected, theirs: Theirs, ours: Recorder) -> None:
    """`suppress` holds for an instrumentor's spans; the tree around is whole."""
    with autotrace.span("top"), autotrace.suppress("their"), theirs.tracer.start_as_current_span("gone") as span:
        assert not span.is_recording()
        ours.start("chat", {"model": "a"}).finish()
    assert [span.name for span in spans.finished] == ["chat a", "top"]
    assert spans.finished[0].parent.span_id == spans.finished[1].get_span_context().span_id


def test_switched_off(spans: Collected, theirs: Theirs) -> None:
    """A wrapper that outlives the switching off makes no spans."""
    theirs.provider.is_on = False
    with theirs.tracer.start_as_current_span("gone"):
        pass
    assert spans.finished == []


def test_a_remote_parent(spans: Collected, theirs: Theirs) -> None:
    """A trace that another service began goes on."""
    remote = SpanContext(7, 8, True, TraceFlags(1))
    theirs.tracer.start_span("x", context=trace.set_span_in_context(NonRecordingSpan(remote))).end()
    assert spans.one().get_span_context().trace_id == 7
    assert spans.one().parent.span_id == 8


# Tokens (laws L17 and L18)


def call(theirs: Theirs, count: int | None, operation: str = "chat") -> Any:
    """A model call of the instrumentor's, as a context manager."""
    attributes = {"op": operation} if count is None else {"op": operation, "tokens": count}
    return theirs.tracer.start_as_current_span("x", attributes=attributes)


def test_ours_within_theirs(spans: Collected, theirs: Theirs, ours: Recorder) -> None:
    """A model call of ours inside an instrumentor's: ours tells the tokens."""
    with call(theirs, 9), autotrace.span("between"):
        ours.start("chat", {"model": "a"}).finish({"usage": Usage(5, 1)})
        ours.start("chat", {"model": "a"}).finish({"usage": Usage(4, 1)})
    assert tokens(spans) == [("chat a", 5), ("chat a", 4)]


def test_ours_within_theirs_knows_nothing(spans: Collected, theirs: Theirs, ours: Recorder) -> None:
    """Where ours learned no tokens, the instrumentor's are told."""
    with call(theirs, 9):
        ours.start("chat", {"model": "a"}).finish({})
    assert tokens(spans) == [("chat m-1", 9)]


def test_a_stream_of_ours_outlives_theirs(spans: Collected, theirs: Theirs, ours: Recorder) -> None:
    """A model call of ours that is still open when the instrumentor's span ends tells its tokens itself."""
    with call(theirs, 9):
        stream = ours.start("chat", {"model": "a"})
    stream.finish({"usage": Usage(9, 1)})
    assert tokens(spans) == [("chat a", 9)]


def test_theirs_within_ours(spans: Collected, theirs: Theirs, ours: Recorder) -> None:
    """An instrumentor's model calls inside one of ours: what they know makes ours exact, and theirs tell nothing."""
    from autotrace.recording.current import enter, leave

    owner = ours.start("chat", {"model": "a"})
    entered = enter(owner.context)
    for count in (3, 4):
        with call(theirs, count):
            pass
    leave(entered)
    owner.finish({"usage": Usage(100, 100)})
    assert tokens(spans) == [("chat a", 7)]


def test_theirs_within_theirs(spans: Collected, theirs: Theirs) -> None:
    """The innermost that knows tells; an outer one tells what none inside has."""
    with call(theirs, 9), call(theirs, 9), call(theirs, None):
        pass
    assert tokens(spans) == [("chat m-1", 9)]
    assert spans.finished[1].attributes.get("gen_ai.usage.input_tokens") == 9


def test_theirs_outlives_theirs(spans: Collected, theirs: Theirs) -> None:
    """What ends after the span around it has told its tokens has none left to tell."""
    with call(theirs, 9):
        inner = theirs.tracer.start_span("x", attributes={"op": "chat", "tokens": 9})
    inner.end()
    assert len(tokens(spans)) == 1


def test_a_provider_of_ours_beneath_a_framework_of_ours_around_theirs(
    spans: Collected, theirs: Theirs, ours: Recorder
) -> None:
    """Ours, an instrumentor's, ours: the outermost is the only one with tokens, each once."""
    from autotrace.recording.current import enter, leave

    provider = Recorder("wire", spans.provider.get_tracer("autotrace.plugins.wire", "1"), Policy())
    owner = ours.start("chat", {"model": "a"})
    entered = enter(owner.context)
    with call(theirs, 9):
        provider.start("chat", {"model": "b"}).finish({"usage": Usage(9, 1)})
    leave(entered)
    owner.finish({})
    assert tokens(spans) == [("chat a", 9)]


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", ""])
def test_agents_have_no_tokens(spans: Collected, theirs: Theirs, operation: str) -> None:
    """The total that an agent or a chain tells would count each call again."""
    with call(theirs, 9, operation):
        pass
    assert len(spans.finished) == 1
    assert tokens(spans) == []


def test_it_ends_with_the_process(spans: Collected, theirs: Theirs) -> None:
    """A span that is open when the process ends is told as such; its own end comes too late and harms nothing."""
    from autotrace.recording.recorder import end_open_operations

    span = theirs.tracer.start_span("x", attributes={"op": "chat", "custom": 1})
    end_open_operations()
    span.end()
    assert given(spans.one())["autotrace.outcome"] == "exited"
    assert spans.one().name == "chat m-1"
