"""What a stream that is left tells, and what goes on without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph

from autotrace.testing.openai_server import OpenAIServer

from .conftest import QUESTION, Models, Spans, messages, tokens
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

        async def remember() -> None:
            await is_over.wait()
            await (RunnableLambda(lambda text: text) | chat()).with_config(run_name="memory").ainvoke(QUESTION)

        async def node(state: State) -> Any:
            tasks.append(asyncio.ensure_future(remember()))
            return {"words": ["asked"]}

        graph = StateGraph(State)
        graph.add_node("work", node)
        graph.add_edge(START, "work")
        graph.add_edge("work", END)
        await graph.compile().ainvoke({"words": []})
        is_over.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert spans.tree() == "invoke_workflow LangGraph\n  work\n    memory\n      chat gpt-4o"
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
