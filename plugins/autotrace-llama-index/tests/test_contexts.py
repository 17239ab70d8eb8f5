"""What belongs together stands together: threads, tasks, foreign spans; and nothing is kept."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import get_current

import autotrace

from .cases import AGENT, QUERY, TEAM, team, traced_flow
from .conftest import DISPATCHER, HAS_WORKFLOW_AGENTS, HERON, QUESTION, Kit, Spans, open_runs, tokens, until

agents = pytest.mark.skipif(not HAS_WORKFLOW_AGENTS, reason="agents are no workflows in this version")


def trees(spans: Spans) -> dict[Any, list[str]]:
    """The names of the spans of each trace."""
    found: dict[Any, list[str]] = {}
    for span in spans.all():
        found.setdefault(span.context.trace_id, []).append(span.name)
    return found


def alone(spans: Spans, number: int, names: list[str]) -> None:
    """Looks whether there are so many traces, each of these spans and all of one question."""
    found = trees(spans)
    assert len(found) == number
    assert len(spans.roots()) == number
    assert {tuple(sorted(one)) for one in found.values()} == {tuple(sorted(names))}
    for root in spans.roots():
        mark = root.attributes["input.value"].rpartition(" ")[2]
        said = [span.to_json() for span in spans.all() if span.context.trace_id == root.context.trace_id]
        assert all(mark in text for text in said if "chat gpt-4o" in text)


def names(tree: str) -> list[str]:
    return [line.strip() for line in tree.splitlines()]


@agents
def test_gathered_agents(kit: Kit, spans: Spans) -> None:
    """A hundred agents in one event loop never mix (law L37)."""

    async def main() -> None:
        agent = kit.agent()
        await asyncio.gather(*(agent.run(f"{QUESTION} #{number:03}#") for number in range(100)))
        assert not get_current()

    asyncio.run(main())
    alone(spans, 100, names(AGENT))
    assert spans.billed == tokens(kit.server.billed)


def test_gathered_queries(kit: Kit, spans: Spans) -> None:
    """A hundred queries in one event loop never mix (law L37)."""

    async def main() -> None:
        engine = kit.engine()
        await asyncio.gather(*(engine.aquery(f"{QUESTION} #{number:03}#") for number in range(100)))
        assert not get_current()

    asyncio.run(main())
    alone(spans, 100, names(QUERY))
    assert spans.billed == tokens(kit.server.billed)


def test_threads(kit: Kit, spans: Spans) -> None:
    """Queries in 32 threads never mix (law L37)."""
    engine = kit.engine()
    barrier = threading.Barrier(32)

    def ask(number: int) -> None:
        barrier.wait()
        engine.query(f"{QUESTION} #{number:03}#")
        assert not get_current()

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(ask, range(32)))
    alone(spans, 32, names(QUERY))
    assert spans.billed == tokens(kit.server.billed)


def test_streamed_chats_at_once(kit: Kit, spans: Spans) -> None:
    """Chat engines that write their answers in the background, eight at once, never mix (law L37)."""
    engines = [kit.chat_engine("simple") for _ in range(8)]

    def ask(number: int) -> None:
        assert list(engines[number].stream_chat(f"{QUESTION} #{number:03}#").response_gen)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    until(lambda: len(spans.roots()) == 8)
    alone(spans, 8, ["invoke_workflow SimpleChatEngine", "chat gpt-4o"])


def test_threads_of_the_programs_own(kit: Kit, spans: Spans) -> None:
    """A retriever that asks from threads of its own has the calls beneath it (law L36)."""
    from llama_index.core.retrievers import BaseRetriever

    inner = kit.index(HERON).as_retriever()

    class Threaded(BaseRetriever):
        def _retrieve(self, query_bundle: Any) -> Any:
            with ThreadPoolExecutor(2) as pool:
                return [node for found in pool.map(inner.retrieve, ["one", "two"]) for node in found]

    Threaded().retrieve(QUESTION)
    assert sorted(names(spans.tree())) == sorted(
        ["retrieval Threaded", *["retrieval VectorIndexRetriever", "embeddings text-embedding-3-small"] * 2]
    )
    assert len(spans.roots()) == 1


def test_foreign_spans_in_a_tool(kit: Kit, spans: Spans) -> None:
    """What a tool does nests beneath its span: other calls of models, the program's own spans (law L36)."""

    def look(city: str) -> str:
        """Looks outside."""
        with autotrace.span("looking"):
            return str(kit.llm.complete(city))

    kit.tool(look)(city="Rome")
    assert spans.tree() == "execute_tool look\n  looking\n    text_completion gpt-4o"
    spans.clear()

    async def main() -> None:
        await kit.tool(look).acall(city="Rome")  # runs in a thread
        assert not get_current()

    asyncio.run(main())
    assert spans.tree() == "execute_tool look\n  looking\n    text_completion gpt-4o"


@agents
def test_foreign_spans_in_an_agent(kit: Kit, spans: Spans) -> None:
    """An agent beneath the program's own span, and its tools' own calls beneath the tools."""

    async def look(city: str) -> str:
        """Looks outside."""
        with autotrace.span("looking"):
            return str(await kit.llm.acomplete(city))

    async def main() -> None:
        with autotrace.span("request"):
            here = trace.get_current_span()
            await kit.agent(kit.tool(async_fn=look, function=None)).run(QUESTION)
            assert trace.get_current_span() is here

    asyncio.run(main())
    assert spans.tree() == (
        "request\n  invoke_agent Weather\n    chat gpt-4o\n    execute_tool look\n      looking\n"
        "        text_completion gpt-4o\n    chat gpt-4o"
    )


def test_the_next_call_in_the_same_task(kit: Kit, spans: Spans) -> None:
    """After a workflow the next call of the same task is another trace, even where LlamaIndex keeps its own id of the
    last one as the current."""

    async def main() -> None:
        for _ in range(3):
            await traced_flow(kit).run(topic=QUESTION)
            assert not get_current()
            await kit.llm.acomplete(QUESTION)

    asyncio.run(main())
    assert len(spans.roots()) == 6
    assert len(trees(spans)) == 6


def test_a_parent_that_is_over(kit: Kit, spans: Spans) -> None:
    """A step that LlamaIndex says lies in one that has ended lies in none."""
    active_span_id = getattr(DISPATCHER, "active_span_id")  # noqa: B009 (of LlamaIndex)

    def ask() -> None:
        active_span_id.set("RetrieverQueryEngine.query-00000000-0000-0000-0000-000000000000")
        kit.engine().query(QUESTION)

    contextvars.copy_context().run(ask)
    assert spans.tree() == QUERY


@pytest.mark.parametrize("what", ["query", "chat engine", "workflow", "left stream", "failure"])
def test_nothing_is_kept(kit: Kit, spans: Spans, what: str) -> None:
    """A thousand runs leave no entry and no growth, however they end (law L39)."""
    from llama_index.core.llms import MockLLM

    autotrace.autolog("llama_index", capture_content="off")
    model = MockLLM(max_tokens=4)
    index = kit.index(HERON)
    engine = index.as_query_engine(llm=model, streaming=what == "left stream")

    async def flows(number: int) -> None:
        from .flows import Failing

        for _ in range(number):
            with pytest.raises(Exception, match="heron"):
                await Failing().run(topic=QUESTION)

    def rounds(number: int) -> None:
        if what == "workflow":
            asyncio.run(flows(number))
            return
        for _ in range(number):
            if what == "query":
                engine._response_synthesizer.synthesize(QUESTION, [])
                model.complete(QUESTION)
            elif what == "chat engine":
                from llama_index.core.chat_engine import SimpleChatEngine
                from llama_index.core.memory import ChatMemoryBuffer

                memory = ChatMemoryBuffer.from_defaults(token_limit=100)
                list(SimpleChatEngine.from_defaults(llm=model, memory=memory).stream_chat(QUESTION).response_gen)
            elif what == "left stream":
                next(model.stream_complete(QUESTION))
            else:
                with pytest.raises(ZeroDivisionError):
                    kit.tool(lambda city: 1 / 0, name="broken", description="d")(city="Rome")

    rounds(50)
    spans.clear()
    until(lambda: not open_runs())
    gc.collect()
    autotrace.autolog(tracer_provider=Nowhere.provider())
    rounds(20)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        rounds(1000 if what not in ("workflow", "chat engine") else 200)
        until(lambda: not open_runs())
        gc.collect()
        ours = tracemalloc.Filter(True, "*/autotrace*")
        after = tracemalloc.take_snapshot().filter_traces([ours])
        grown = sum(stat.size_diff for stat in after.compare_to(before.filter_traces([ours]), "filename"))
    finally:
        tracemalloc.stop()
        autotrace.autolog(tracer_provider=spans.provider)
    assert open_runs() == 0
    assert grown < 100_000, "in bytes"


class Nowhere:
    """Takes spans and keeps none."""

    def started(self, span: object) -> None:
        """Nothing."""

    def ended(self, span: object) -> None:
        """Nothing."""

    @classmethod
    def provider(cls) -> Any:
        """A provider of such spans."""
        from autotrace.recording.tracer import LeanTracerProvider

        return LeanTracerProvider(cls())


@agents
def test_a_team(kit: Kit, spans: Spans) -> None:
    """Ten teams of agents at once, each with its own agents and tools (law L37)."""

    async def main() -> None:
        agents = team(kit, kit.tool())
        await asyncio.gather(*(agents.run(user_msg=f"Ask. #{number:03}#") for number in range(10)))

    asyncio.run(main())
    alone(spans, 10, names(TEAM))
