"""Who is whose parent, whose tokens they are, and what is said of a trace: in tasks, in threads, in calls of calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.context import get_current
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.trace import NoOpTracer, StatusCode

import autotrace
from autotrace import Message, Usage
from autotrace.activation import active
from autotrace.recording.contributions import Contribution
from autotrace.recording.current import enter, leave
from autotrace.recording.guard import guard
from autotrace.recording.privacy import Policy
from autotrace.recording.recorder import Operation, Recorder

from ..conftest import Collected


def span_id(span: Any) -> int:
    """The span's own id."""
    return int(span.get_span_context().span_id)


def parents(spans: Collected) -> dict[int, int | None]:
    """Of each span the id of its parent."""
    return {span_id(span): span.parent.span_id if span.parent else None for span in spans.finished}


def test_concurrent_traces_never_mix(acme: Any, spans: Collected) -> None:
    """A hundred concurrent agents in one event loop each keep their own trace (law L37)."""

    async def agent(number: int) -> None:
        with autotrace.span(f"agent {number}"):
            for _ in range(3):
                await acme.Client().complete_async(str(number), work=lambda: asyncio.sleep(0))
                async for _ in acme.Client().words_async(f"{number} {number}", work=lambda: asyncio.sleep(0)):
                    await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(agent(number) for number in range(100)))

    asyncio.run(main())
    assert len(spans.finished) == 100 * 7
    agents = {span_id(span): span for span in spans.finished if span.name.startswith("agent")}
    for span in spans.finished:
        if span.name == "chat acme-1":
            parent = agents[span.parent.span_id]
            assert f'"content":"{parent.name[6:]}' in span.attributes["gen_ai.input.messages"]
            assert span.get_span_context().trace_id == parent.get_span_context().trace_id


def in_pool(work: Callable[[], Any]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def in_thread(work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_executor(work: Callable[[], Any]) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())


def in_to_thread(work: Callable[[], Any]) -> None:
    async def main() -> None:
        await asyncio.to_thread(work)

    asyncio.run(main())


@pytest.mark.parametrize("run", [in_pool, in_thread, in_executor, in_to_thread])
def test_threads(acme: Any, spans: Collected, run: Callable[..., None]) -> None:
    """A call made in a thread nests under the span that started the thread (law L36)."""
    with autotrace.span("outer"):
        run(lambda: acme.Client().complete("hi"))
    assert parents(spans)[span_id(spans.named("chat acme-1"))] == span_id(spans.named("outer"))


@pytest.mark.parametrize("run", [in_pool, in_thread, in_executor])
def test_threads_switched_off(acme: Any, spans: Collected, run: Callable[..., None]) -> None:
    """With `threading` switched off a thread begins a trace of its own; switched on again it does not."""
    autotrace.autolog("threading", disable=True)
    with autotrace.span("outer"):
        run(lambda: acme.Client().complete("hi"))
    assert spans.named("chat acme-1").parent is None
    autotrace.autolog("threading", disable=False)
    with autotrace.span("again"):
        run(lambda: acme.Client().search("hi"))
    assert spans.named("retrieval").parent.span_id == span_id(spans.named("again"))


@pytest.mark.usefixtures("clean")
def test_threading_instrumented_by_the_program(fakes_on_path: None) -> None:
    """Where the program has switched OpenTelemetry's instrumentation of threads on itself, it stays on."""
    import acme

    instrumentor = ThreadingInstrumentor()
    instrumentor.instrument()
    try:
        autotrace.autolog()
        acme.Client().complete("hi")
        autotrace.autolog("threading", disable=True)
        assert instrumentor.is_instrumented_by_opentelemetry
    finally:
        instrumentor.uninstrument()


def usage(span: Any) -> tuple[Any, Any]:
    """Tokens in and out."""
    return span.attributes.get("gen_ai.usage.input_tokens"), span.attributes.get("gen_ai.usage.output_tokens")


@contextmanager
def framework_call() -> Iterator[Operation]:
    """A model call of another framework, such as a chat model of LangChain's, under which requests are made."""
    tracer = active().provider().get_tracer("autotrace.plugins.framework")
    operation = Recorder("framework", tracer, Policy()).start("chat", {"model": "framework-1"})
    assert isinstance(operation, Operation)
    token = enter(operation.context)
    try:
        yield operation
    finally:
        leave(token)
        operation.finish({"output": [Message.assistant("whole")], "usage": Usage(1, 1)})


def test_requests_beneath_a_frameworks_call(acme: Any, spans: Collected) -> None:
    """A framework's model call that makes two requests through a provider's gives one span with their sum."""
    client = acme.Client()
    with framework_call():
        client.complete("inner")
        list(client.words("one two"))
    span = spans.one()
    assert usage(span) == (20, 7)  # what was billed, not what the framework's reply claims
    assert '"content":"whole"' in span.attributes["gen_ai.output.messages"]


def test_requests_that_are_awaited(acme: Any, spans: Collected) -> None:
    """The same holds where the calls are awaited."""

    async def main() -> None:
        with framework_call():
            await acme.Client().complete_async("inner")

    asyncio.run(main())
    assert usage(spans.one()) == (10, 5)


def test_a_failed_request_beneath(acme: Any, spans: Collected) -> None:
    """A request beneath that fails and is made again counts once; the failure is told."""
    client = acme.Client()

    def fail() -> None:
        raise OSError("down")

    with framework_call():
        with pytest.raises(OSError, match="down"):
            client.complete("inner", work=fail)
        client.complete("inner")
    span = spans.one()
    assert usage(span) == (10, 5)
    assert [event.name for event in span.events] == ["model_call.failed"]


def test_a_stream_that_outlives_the_frameworks_call(acme: Any, spans: Collected) -> None:
    """A stream read after the call that it was opened in has ended is billed in a span of its own, beneath it."""
    with framework_call():
        words = acme.Client().words("one two")
    list(words)
    owner, late = spans.finished
    assert usage(owner) == (1, 1)
    assert usage(late) == (10, 2)
    assert late.parent.span_id == span_id(owner)


def request_beneath() -> Contribution:
    """A provider's request under a framework's call that has ended by the time it is answered."""
    recorder = Recorder("provider", active().provider().get_tracer("autotrace.plugins.provider"), Policy())
    with framework_call():
        request = recorder.start("chat", {"model": "provider-1"})
    assert isinstance(request, Contribution)
    return request


@pytest.mark.usefixtures("acme")
def test_a_failure_that_outlives_the_frameworks_call(spans: Collected) -> None:
    """What fails after the call that it belongs to has ended is told as a failure."""
    request_beneath().fail(OSError("down"))
    late = spans.named("chat provider-1")
    assert late.status.status_code is StatusCode.ERROR
    assert late.attributes["error.type"] == "OSError"


@pytest.mark.usefixtures("acme", "spans")
def test_a_late_span_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app's tracer that raises when a late span is made does not reach the program (law L20)."""

    class Broken(NoOpTracer):
        def start_span(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("theirs")

    monkeypatch.setattr(guard, "strict", False)
    request = request_beneath()
    request.recorder.tracer = Broken()
    request.finish()
    assert guard.failures.pop("provider: late span").count == 1


def test_a_call_of_the_same_framework(acme: Any, spans: Collected) -> None:
    """A call that a client makes inside a call of its own kind (a router, a guardrail) is a call of its own."""
    client = acme.Client()
    client.complete("outer", work=lambda: client.complete("inner"))
    inner, outer = spans.finished
    assert usage(inner) == usage(outer) == (10, 5)
    assert inner.parent.span_id == span_id(outer)


def test_a_span_of_ones_own_owns_no_tokens(acme: Any, spans: Collected) -> None:
    """What a program calls `chat` itself may hold any number of calls: each has its span and its tokens."""
    with autotrace.span("answer", operation="chat"):
        acme.Client().complete("one")
        words = acme.Client().words("two words")
    list(words)
    assert [usage(span) for span in spans.finished] == [(10, 5), (None, None), (10, 2)]


def test_an_owner_that_has_ended_owns_nothing(acme: Any, spans: Collected) -> None:
    """What is called in the context of a model call that has ended is a call of its own."""
    client = acme.Client()
    seen: list[Any] = []
    client.complete("outer", work=lambda: seen.append(get_current()))
    from opentelemetry.context import attach, detach

    token = attach(seen[0])
    client.complete("late")
    detach(token)
    first, late = spans.finished
    assert usage(first) == usage(late) == (10, 5)
    assert late.parent.span_id == span_id(first)


def test_no_model_between(acme: Any, spans: Collected) -> None:
    """What is no model call has a span of its own inside a model call, and owns no tokens."""
    client = acme.Client()
    with framework_call():
        client.search("find", work=lambda: client.complete("inner"))
    assert [span.name for span in spans.finished] == ["retrieval", "chat framework-1"]
    assert usage(spans.named("retrieval")) == (None, None)
    assert usage(spans.named("chat framework-1")) == (10, 5)


def test_usage_adds_up() -> None:
    """Figures add up; what neither side knows stays unknown."""
    assert Usage(1, 2, cache_read=3) + Usage(10, None, reasoning=4) == Usage(11, 2, cache_read=3, reasoning=4)
    assert Usage() + Usage() == Usage()


def test_labels_of_a_trace(acme: Any, spans: Collected) -> None:
    """What is said of a trace stands on its first span, and on every span that starts afterwards."""
    with autotrace.span("outer"):
        acme.Client().search("before")
        autotrace.update_trace(session="chat-7", user="alice", tags={"plan": "pro"}, name="checkout")
        autotrace.update_trace(tags={"team": 5})
        acme.Client().complete("after")
    expected = {
        "session.id": "chat-7",
        "gen_ai.conversation.id": "chat-7",
        "user.id": "alice",
        "autotrace.tags": '{"plan":"pro","team":5}',
    }
    found = {span.name: dict(span.attributes) for span in spans.finished}
    assert expected.items() <= found["outer"].items()
    assert found["outer"]["autotrace.trace.name"] == "checkout"
    assert expected.items() <= found["chat acme-1"].items()
    assert "session.id" not in found["retrieval"]


def test_a_framework_s_own_call_is_a_trace(acme: Any, spans: Collected) -> None:
    """A trace that a framework's call begins can be told about from inside it."""
    acme.Client().complete("hi", work=lambda: autotrace.update_trace(user="bob"))
    assert spans.one().attributes["user.id"] == "bob"


def test_labels_of_a_stretch_of_code(acme: Any, spans: Collected) -> None:
    """`context` labels every trace that begins inside; an inner one counts first; outside nothing is said."""
    with autotrace.context(session="s1", user="alice", tags={"a": 1}):
        acme.complete("one")
        with autotrace.context(user="bob", tags={"b": 2}):
            acme.complete("two")
        acme.complete("three")
    acme.complete("four")
    names = ("session.id", "user.id", "autotrace.tags")
    said = [tuple(span.attributes.get(name) for name in names) for span in spans.finished]
    assert said == [
        ("s1", "alice", '{"a":1}'),
        ("s1", "bob", '{"a":1,"b":2}'),
        ("s1", "alice", '{"a":1}'),
        (None, None, None),
    ]


@pytest.mark.usefixtures("spans")
def test_nothing_to_tell_about() -> None:
    """Outside of any trace `update_trace` does nothing."""
    autotrace.update_trace(session="s", user="u", tags={"a": object()}, name="n")
    assert autotrace.current_trace_id() is None
