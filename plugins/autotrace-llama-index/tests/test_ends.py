"""However a call ends: failed, left, cancelled; its spans end with it, and the program sees what it would have seen."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach, get_current

import autotrace
from autotrace.testing.openai_server import Chunks, ErrorEvent, Hang, Status

from .cases import traced_flow
from .conftest import HAS_RUNTIMES, HAS_WORKFLOW_AGENTS, QUESTION, Kit, Spans, output_text
from .flows import Failing, Waiting

agents = pytest.mark.skipif(not HAS_WORKFLOW_AGENTS, reason="agents are no workflows in this version")

FAILED = """\
invoke_workflow RetrieverQueryEngine !
  retrieval VectorIndexRetriever
    embeddings text-embedding-3-small
  chat gpt-4o !"""
#: The embedding is well, the model is not.
BROKEN = ((), Status(500, "out of order"))


def failing(kit: Kit, is_async: bool, call: Any) -> BaseException:
    """The exception that a call ends with."""
    with pytest.raises(Exception) as caught:
        asyncio.run(_awaited(call)) if is_async else call()
    return caught.value


async def _awaited(call: Any) -> None:
    await call()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failing_query(kit: Kit, spans: Spans, is_async: bool) -> None:
    """A query whose model fails raises what it raised, the same object; each span around it has failed (law L20)."""
    engine = kit.engine()
    kit.server.script(*BROKEN)
    error = failing(kit, is_async, lambda: engine.aquery(QUESTION) if is_async else engine.query(QUESTION))
    assert type(error).__name__ == "InternalServerError"
    assert spans.tree() == FAILED
    frames = []
    at = error.__traceback__
    while at is not None:
        frames.append(at.tb_frame.f_code.co_name)
        at = at.tb_next
    assert "query" in frames or "aquery" in frames
    assert spans.root().attributes["error.type"] == "openai.InternalServerError"


@pytest.mark.parametrize("mode", ["simple", "context"])
def test_a_failing_chat_engine(kit: Kit, spans: Spans, mode: str) -> None:
    """A chat engine fails with its model."""
    engine = kit.chat_engine(mode)
    kit.server.script(*(BROKEN if mode == "context" else BROKEN[1:]))
    failing(kit, False, lambda: engine.chat(QUESTION))
    assert spans.tree().endswith("  chat gpt-4o !")
    assert spans.root().status.status_code.name == "ERROR"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_chat_engine_that_fails_while_it_streams(kit: Kit, spans: Spans) -> None:
    """An answer that breaks off in the background fails the whole: what was read has been told (law L38)."""
    engine = kit.chat_engine("simple")
    kit.server.script((Chunks(10), ErrorEvent(3)))
    response = engine.stream_chat(QUESTION)
    with pytest.raises(Exception, match="error"):
        list(response.response_gen)
    spans.settle()
    assert spans.tree() == "invoke_workflow SimpleChatEngine !\n  chat gpt-4o !"


@agents
def test_a_failing_agent(kit: Kit, spans: Spans) -> None:
    """An agent whose model fails has failed."""

    async def main() -> None:
        kit.server.script(Status(500))
        await kit.agent().run(QUESTION)

    failing(kit, True, main)
    assert spans.tree() == "invoke_agent Weather !\n  chat gpt-4o !"


@agents
def test_a_failing_tool(kit: Kit, spans: Spans) -> None:
    """A tool that fails has failed; the agent that copes with it has not (law L20)."""

    def broken(city: str) -> str:
        """Knows the weather."""
        raise LookupError(city)

    async def main() -> None:
        await kit.agent(kit.tool(broken)).run(QUESTION)

    asyncio.run(main())
    assert spans.tree() == "invoke_agent Weather\n  chat gpt-4o\n  execute_tool broken !\n  chat gpt-4o"
    assert spans.named("execute_tool broken").attributes["error.type"] == "LookupError"


def test_a_failing_workflow(kit: Kit, spans: Spans) -> None:
    """A step's exception reaches the caller, and stands on the step and on the run (law L20)."""
    error = failing(kit, True, lambda: Failing(timeout=30).run(topic=QUESTION))
    # Some releases wrap it, which is what the caller sees then.
    wanted = LookupError if type(error) is LookupError else type(error.__cause__)
    assert wanted is LookupError
    assert spans.tree() == "invoke_workflow Failing !\n  fail !"


def test_wrong_arguments(kit: Kit, spans: Spans) -> None:
    """Wrong arguments raise as without us (law L21)."""
    autotrace.autolog("llama_index", disable=True)
    calls = [
        lambda: kit.llm.chat(),
        lambda: kit.llm.complete(),
        lambda: kit.embeddings().get_query_embedding(),
        lambda: kit.tool().call(town="Rome"),
    ]
    plain = [failing(kit, False, call) for call in calls]
    autotrace.autolog("llama_index", disable=False)
    traced = [failing(kit, False, call) for call in calls]
    assert [str(error) for error in traced] == [str(error) for error in plain]
    assert [type(error) for error in traced] == [type(error) for error in plain]


LEFT = """\
invoke_workflow RetrieverQueryEngine (closed)
  retrieval VectorIndexRetriever
    embeddings text-embedding-3-small
  chat gpt-4o (closed)"""


@pytest.mark.parametrize("how", ["close", "break", "forget"])
def test_a_streamed_query_that_is_left(kit: Kit, spans: Spans, how: str) -> None:
    """A streamed answer that is left ends all its spans at once, with the text that has come (laws L04, L05, L38)."""
    engine = kit.engine(streaming=True)
    kit.server.script((), Chunks(50))
    response = engine.query(QUESTION)
    read = []
    gc.disable()
    try:
        for text in response.response_gen:
            read.append(text)
            if len(read) == 5:
                break
        if how == "close":
            response.response_gen.close()
        del response
    finally:
        gc.enable()
    assert spans.tree() == LEFT
    assert output_text(spans.root()) == "".join(read)
    assert "".join(read) in output_text(spans.named("chat gpt-4o"))
    # The SDK's stream holds itself: collected in the middle of a request, it would wait for its own connection pool.
    gc.collect()
    kit.llm.complete("Next, please.")
    assert len(spans.roots()) == 2


def test_a_streamed_query_that_is_never_read(kit: Kit, spans: Spans) -> None:
    """A streamed answer that nobody reads ends its spans when it is gone (law L05)."""
    response = kit.engine(streaming=True).query(QUESTION)
    assert len(spans.all()) == 2
    del response
    gc.collect()
    assert spans.root().attributes["autotrace.outcome"] == "abandoned"


def test_an_async_streamed_query_that_is_left(kit: Kit, spans: Spans) -> None:
    """The same in an event loop, within a turn of it (law L38)."""
    engine = kit.engine(streaming=True)
    kit.server.script((), Chunks(50))

    async def main() -> None:
        response = await engine.aquery(QUESTION)
        stream = response.response_gen
        assert [await stream.__anext__() for _ in range(5)]
        await stream.aclose()
        await asyncio.sleep(0)
        assert spans.root().attributes["autotrace.outcome"] == "closed"
        assert not get_current()

    asyncio.run(main())
    assert spans.tree() == LEFT


@pytest.mark.parametrize("name", ["stream_chat", "stream_complete"])
def test_a_models_stream_that_is_left(kit: Kit, spans: Spans, name: str) -> None:
    """A model's stream that is closed ends its span before `close` returns, with what has come (laws L02, L04)."""
    import inspect

    from llama_index.core.llms import ChatMessage

    kit.server.script(Chunks(50))
    given: Any = [ChatMessage(role="user", content=QUESTION)] if "chat" in name else QUESTION
    stream = getattr(kit.llm, name)(given)
    assert inspect.isgenerator(stream)
    read = "".join(next(stream).delta or "" for _ in range(5))
    assert spans.all() == []
    stream.close()
    assert spans.root().attributes["autotrace.outcome"] == "closed"
    assert read
    assert read in output_text(spans.root())


def test_a_chat_engines_stream_that_is_left(kit: Kit, spans: Spans) -> None:
    """A chat engine writes its answer down in any case: its spans end with that, with the whole answer (law L38)."""
    engine = kit.chat_engine("simple")
    response = engine.stream_chat(QUESTION)
    for _ in response.response_gen:
        break
    spans.settle()
    assert spans.tree() == "invoke_workflow SimpleChatEngine\n  chat gpt-4o"
    said = engine.chat_history[-1].content
    assert said
    assert said in output_text(spans.root())


def test_between_pieces(kit: Kit, spans: Spans) -> None:
    """Between the pieces of an answer the program's own span and baggage are current (laws L07, L08)."""
    token = attach(baggage.set_baggage("who", "me"))
    with autotrace.span("mine"):
        here = trace.get_current_span()
        for _ in kit.engine(streaming=True).query(QUESTION).response_gen:
            assert trace.get_current_span() is here
            assert baggage.get_baggage("who") == "me"
            with autotrace.span("between"):
                pass
    detach(token)
    mine = spans.named("mine")
    between = [span for span in spans.all() if span.name == "between"]
    assert between
    assert {span.parent.span_id for span in between} == {mine.context.span_id}


def test_read_in_another_thread(kit: Kit, spans: Spans) -> None:
    """An answer that is read in another thread is one whole trace (law L08)."""
    response = kit.engine(streaming=True).query(QUESTION)
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.extend(response.response_gen))
    thread.start()
    thread.join()
    assert len(spans.roots()) == 1
    assert "".join(read) in output_text(spans.root())


@pytest.mark.parametrize("streamed", [False, True])
def test_a_cancelled_query(kit: Kit, spans: Spans, streamed: bool) -> None:
    """A cancelled query is cancelled, with all that it was doing (laws L06, L40)."""
    hang = Hang(3 if streamed else 0)
    engine = kit.engine(streaming=streamed)

    async def ask() -> None:
        response = await engine.aquery(QUESTION)
        if streamed:
            async for _ in response.async_response_gen():
                pass

    async def main() -> None:
        kit.server.script((), (Chunks(20), hang) if streamed else hang)
        task = asyncio.create_task(ask())
        while not hang.reached.is_set():
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    hang.release()
    gc.collect()
    assert [span for span in spans.all() if span.status.status_code.name == "ERROR"] == []
    assert spans.root().attributes["autotrace.outcome"] == "cancelled"
    assert spans.named("chat gpt-4o").attributes["autotrace.outcome"] == "cancelled"


@pytest.mark.skipif(not HAS_RUNTIMES, reason="workflows cannot be cancelled so in this version")
@pytest.mark.parametrize("how", ["cancel_run", "loop ends"])
def test_a_cancelled_workflow(kit: Kit, spans: Spans, how: str) -> None:
    """A workflow that is cancelled, or whose loop ends, is no failure: nor are its steps (laws L06, L40)."""

    async def main() -> None:
        flow = traced_flow(kit, Waiting)
        flow.reached = asyncio.Event()
        handler = flow.run(topic=QUESTION)
        await flow.reached.wait()
        if how == "cancel_run":
            await handler.cancel_run()

    asyncio.run(main())
    assert spans.tree() == "invoke_workflow Waiting (cancelled)\n  wait (cancelled)"


def test_a_workflow_that_times_out(kit: Kit, spans: Spans) -> None:
    """A workflow that takes too long has failed; the step that it was at was cancelled."""

    async def main() -> None:
        flow = Waiting(timeout=0.2)
        flow.reached = asyncio.Event()
        await flow.run(topic=QUESTION)

    error = failing(kit, True, main)
    assert type(error).__name__ == "WorkflowTimeoutError"
    assert spans.tree() == "invoke_workflow Waiting !\n  wait (cancelled)"


@agents
def test_an_agents_events_that_are_left(kit: Kit, spans: Spans) -> None:
    """An agent whose stream of events is left goes on, as it does without us; its spans end with it (law L38)."""

    async def main() -> None:
        handler = kit.agent(streaming=True).run(QUESTION)
        async for _ in handler.stream_events():
            break
        assert str(await handler)

    asyncio.run(main())
    assert spans.tree() == "invoke_agent Weather\n  chat gpt-4o\n  execute_tool weather\n  chat gpt-4o"


@pytest.mark.skipif(not HAS_RUNTIMES, reason="the agent's connection is left open when its loop ends, in this version")
def test_an_agent_that_is_abandoned(kit: Kit, spans: Spans) -> None:
    """An agent whose loop ends before it does is cancelled, and nothing of it stays open (laws L05, L38)."""

    async def main() -> None:
        hang = Hang()
        kit.server.script(hang)
        handler = kit.agent().run(QUESTION)
        while not hang.reached.is_set():
            await asyncio.sleep(0.005)
        del handler
        hang.release()

    asyncio.run(main())
    gc.collect()
    assert spans.tree() == "invoke_agent Weather (cancelled)\n  chat gpt-4o (cancelled)"
