"""What a stream that is left tells, and what goes on without it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda
from langgraph.graph import END, START, StateGraph
from opentelemetry.baggage import get_baggage, set_baggage
from opentelemetry.context import attach, detach, get_current

import autotrace
from autotrace.recording import recorder
from autotrace.testing.openai_server import OpenAIServer

from .conftest import QUESTION, Models, Spans, messages, tokens, until
from .entries import State

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated.*", "ignore::PendingDeprecationWarning", "ignore:unclosed:ResourceWarning"
)


def _sync(thing: Any, pieces: int) -> list[Any]:
    read = []
    for piece in thing.stream(QUESTION):
        read.append(piece)
        if len(read) == pieces:
            break
    return read


def _async(thing: Any, pieces: int) -> list[Any]:
    async def leave() -> list[Any]:
        read = []
        async for piece in thing.astream(QUESTION):
            read.append(piece)
            if len(read) == pieces:
                break
        return read

    return asyncio.run(leave())


def _thrown(thing: Any, pieces: int) -> list[Any]:
    stream = thing.stream(QUESTION)
    read = [next(stream) for _ in range(pieces)]
    stream.close()
    return read


FORMS = pytest.mark.parametrize("leave", [_sync, _async, _thrown], ids=["break", "async break", "close"])


@FORMS
def test_what_had_come_is_told(
    spans: Spans, server: OpenAIServer, chat: Models, leave: Callable[[Any, int], list[Any]]
) -> None:
    """Every span of a stream that was left is `closed`, and tells the answer as far as it had come (law L03)."""
    read = leave(RunnableLambda(lambda text: text) | chat(), 4)
    said = "".join(piece.content for piece in read)
    assert said
    assert spans.tree() == "invoke_workflow RunnableSequence (closed)\n  chat gpt-4o (closed)"
    for span in spans.all():
        assert messages(span, "output")[0]["parts"] == [{"type": "text", "content": said}]


@FORMS
def test_what_a_fallback_had_said(
    spans: Spans, server: OpenAIServer, chat: Models, leave: Callable[[Any, int], list[Any]]
) -> None:
    """So is that of a model with fallbacks (law L03)."""
    leave(chat().with_fallbacks([chat()]), 3)
    assert spans.tree() == "invoke_workflow RunnableWithFallbacks (closed)\n  chat gpt-4o (closed)"


def test_tool_calls_that_had_come(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Pieces of a tool call are put together (law L03)."""
    from autotrace_langchain.conversation import joined, spoken
    from langchain_core.messages import AIMessageChunk

    pieces = [
        AIMessageChunk("Let me "),
        AIMessageChunk("see.", tool_call_chunks=[{"name": "weather", "args": '{"ci', "id": "c1", "index": 0}]),
        AIMessageChunk("", tool_call_chunks=[{"name": None, "args": 'ty": "R', "id": None, "index": 0}]),
    ]
    said = joined([spoken(piece) or "" for piece in pieces])
    assert said is not None
    text, call = said.parts
    assert (text.content, call.name, call.arguments, call.id) == ("Let me see.", "weather", '{"city": "R', "c1")
    assert spoken({"a": 1}) is None


def test_a_task_that_outlives_its_graph(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A task that a node began and nobody waited for goes on in its own time: whole spans, each call once (law L14)."""

    async def main() -> None:
        tasks: list[asyncio.Task[Any]] = []
        is_over = asyncio.Event()

        async def remember(config: RunnableConfig) -> None:
            await is_over.wait()
            await (RunnableLambda(lambda text: text) | chat()).with_config(run_name="memory").ainvoke(QUESTION, config)

        async def node(state: State, config: RunnableConfig) -> Any:
            tasks.append(asyncio.ensure_future(remember(config)))
            return {"words": ["asked"]}

        graph = StateGraph(State)
        graph.add_node("work", node)
        graph.add_edge(START, "work")
        graph.add_edge("work", END)
        await graph.compile().ainvoke({"words": []})
        is_over.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    if sys.version_info >= (3, 11):  # before, LangChain carries no context into the task
        assert spans.tree() == "invoke_workflow LangGraph\n  work\n    memory\n      chat gpt-4o"
    assert sorted(span.name for span in spans.all()) == ["chat gpt-4o", "invoke_workflow LangGraph", "memory", "work"]
    assert {span.status.status_code.name for span in spans.all()} == {"OK"}
    assert spans.billed == tokens(server.billed) != (0, 0)


@FORMS
def test_a_model_made_of_another(
    spans: Spans, server: OpenAIServer, chat: Models, leave: Callable[[Any, int], list[Any]]
) -> None:
    """A stream of a model that streams another one: one span, ended at once (laws L05, L17)."""
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.outputs import ChatGenerationChunk

    inner = chat()

    class Around(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "around"

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        def _stream(self, given: Any, *args: Any, **kwargs: Any) -> Any:
            for piece in inner.stream(given):
                yield ChatGenerationChunk(message=piece)

        async def _astream(self, given: Any, *args: Any, **kwargs: Any) -> Any:
            async for piece in inner.astream(given):
                yield ChatGenerationChunk(message=piece)

    leave(Around(), 3)
    assert spans.tree() == "chat around (closed)"


def test_nodes_that_run_on(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A graph that is left waits for the nodes that run in other threads: their calls are whole (laws L14, L38)."""

    def fast(state: State) -> Any:
        return {"words": ["fast"]}

    def slow(state: State) -> Any:
        left.wait(10)
        return {"words": [chat().invoke(QUESTION).content]}

    left = threading.Event()
    graph = StateGraph(State)
    graph.add_node("fast", fast)
    graph.add_edge(START, "fast")
    for name in ("slow", "slower"):
        graph.add_node(name, slow)
        graph.add_edge(START, name)
    stream = graph.compile().stream({"words": []}, stream_mode="updates")
    next(stream)
    threading.Timer(0.05, left.set).start()
    stream.close()
    until(lambda: not recorder._open)
    assert sorted(spans.tree().split("\n")) == sorted(
        ["invoke_workflow LangGraph (closed)", "  fast", "  slow", "    chat gpt-4o", "  slower", "    chat gpt-4o"]
    )
    assert spans.billed == tokens(server.billed) != (0, 0)


class Own(Runnable[Any, Any]):
    """A step of the program's own that streams by a generator of its own."""

    def __init__(self, steps: Callable[[], Any]) -> None:
        self.steps = steps

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        return list(self.steps())

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        yield from self.steps()

    async def astream(self, *args: Any, **kwargs: Any) -> Any:
        for piece in self.steps():
            held = [piece]
            del piece
            yield held.pop()


def _read(own: Own) -> list[Any]:
    return list(own.stream("x"))


def _aread(own: Own) -> list[Any]:
    async def read() -> list[Any]:
        return [piece async for piece in own.astream("x")]

    return asyncio.run(read())


@pytest.mark.parametrize("read", [_read, _aread])
def test_the_context_inside_is_the_programs(spans: Spans, read: Callable[[Own], list[Any]]) -> None:
    """What a streaming step makes current is current until it makes it so no more (law L07)."""

    def steps() -> Any:
        token = attach(set_baggage("key", "value"))
        try:
            for _ in range(3):
                yield get_baggage("key")
        finally:
            detach(token)

    assert read(Own(steps)) == ["value"] * 3
    assert not get_current()


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_context_inside_a_model_is_the_programs(spans: Spans, is_async: bool) -> None:
    """So it is in a model of the program's own, whose span is current inside all the time (laws L07, L36)."""
    from langchain_core.language_models.llms import LLM
    from langchain_core.outputs import GenerationChunk

    class Model(LLM):
        @property
        def _llm_type(self) -> str:
            return "own"

        def _call(self, *args: Any, **kwargs: Any) -> str:
            raise NotImplementedError

        def _stream(self, *args: Any, **kwargs: Any) -> Any:
            with autotrace.span("inside"):
                for name in ("one", "two"):
                    with autotrace.span(name):
                        said = name
                    yield GenerationChunk(text=said)

        async def _astream(self, *args: Any, **kwargs: Any) -> Any:
            for piece in self._stream():
                yield piece

    async def read() -> list[str]:
        return [piece async for piece in Model().astream("x")]

    assert (asyncio.run(read()) if is_async else list(Model().stream("x"))) == ["one", "two"]
    assert spans.tree() == "text_completion own\n  inside\n    one\n    two"


def test_the_context_around_is_seen_inside(spans: Spans) -> None:
    """What the reader of a stream makes current is seen by its next step (law L07)."""

    def steps() -> Any:
        while True:
            yield get_baggage("key")

    stream = Own(steps).stream("x")
    assert next(stream) is None
    token = attach(set_baggage("key", "value"))
    assert next(stream) == "value"
    detach(token)
    assert next(stream) is None
    stream.close()


class Piece:
    """A piece of a stream, which says when it is gone."""


@pytest.mark.parametrize("read", [_read, _aread])
def test_pieces_are_not_held(spans: Spans, read: Callable[[Own], list[Any]]) -> None:
    """A piece of a stream lives as long as the program holds it (law L39)."""
    alive: weakref.WeakSet[Piece] = weakref.WeakSet()
    seen = []

    def steps() -> Any:
        for _ in range(5):
            piece = Piece()
            alive.add(piece)
            yield piece
            del piece
            seen.append(len(alive))

    gc.disable()
    try:
        read_none = Own(steps)
        for _ in read_none.stream("x") if read is _read else ():
            del _
        if read is _aread:
            asyncio.run(_drop(read_none))
        assert seen == [0] * 5
    finally:
        gc.enable()


async def _drop(own: Own) -> None:
    async for _ in own.astream("x"):
        del _


def test_long_streams_are_kept_in_part(spans: Spans) -> None:
    """Of an endless stream a bounded part is kept, and put together in no time when it is left (law L39)."""

    def steps(given: Any) -> Any:
        while True:
            yield "x" * 1000

    stream = (RunnableLambda(lambda text: text) | RunnableGenerator(steps)).stream("go")
    for _ in range(5000):
        next(stream)
    stream.close()
    assert len(spans.root().attributes["output.value"]) < 200_000
    assert spans.root().attributes["autotrace.outcome"] == "closed"


def test_a_generator_that_the_program_holds(spans: Spans) -> None:
    """A stream that is handed out again goes on where its first reader left it (law L01)."""
    numbers = iter_numbers()

    class Shared(Own):
        def stream(self, *args: Any, **kwargs: Any) -> Any:
            return numbers

    shared = Shared(iter_numbers)
    for _ in shared.stream("x"):
        break
    assert shared.stream("x") is numbers
    assert list(shared.stream("x")) == [1, 2]


def iter_numbers() -> Any:
    """Three numbers."""
    yield from range(3)
