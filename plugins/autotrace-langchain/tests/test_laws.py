"""The laws of a harmless plugin, for what the trees do not show."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, StateGraph
from opentelemetry.context import get_current

import autotrace
from autotrace.activation import active, plugin_statuses
from autotrace.recording import recorder
from autotrace.recording.guard import guard
from autotrace.testing.openai_server import Chunks, OpenAIServer, Status

from .conftest import KEY, QUESTION, Models, Spans, input_text, messages, open_runs, output_text, tokens
from .entries import ASKED, ENTRIES, PROMPT, SAID, State, weather

interrupts = pytest.importorskip("langgraph.types", reason="this LangGraph has no interrupt()")
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated.*", "ignore::PendingDeprecationWarning", "ignore:unclosed:ResourceWarning"
)


def chain(chat: Models) -> Any:
    """Prompt, model, parser."""
    return PROMPT | chat() | StrOutputParser()


def test_results_are_what_they_would_have_been(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """What comes back has the class and the value that it has without us; a stream has the same pieces (L01, L02)."""

    def results() -> list[Any]:
        server.reset()
        model = chat()
        reply = model.invoke(QUESTION)
        pieces = [piece.content for piece in model.stream(QUESTION)]
        return [type(reply), reply.content, reply.usage_metadata, type(model.stream(QUESTION)), pieces]

    traced = results()
    autotrace.autolog(disable=True)
    assert traced == results()


def test_usage_is_asked_for_unseen(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """LangChain sees no chunk of usage that the program did not ask for (law L12)."""
    pieces = list(chat(stream_usage=False).stream(QUESTION))
    assert all(piece.usage_metadata is None for piece in pieces)
    assert spans.billed == tokens(server.billed) != (0, 0)


@pytest.mark.parametrize("streams", [False, True], ids=["invoke", "stream"])
def test_tokens_without_the_providers_plugin(spans: Spans, server: OpenAIServer, chat: Models, streams: bool) -> None:
    """With this plugin alone the figures come from LangChain's message (law L17)."""
    autotrace.autolog("openai", disable=True)
    model = chat(stream_usage=True)
    list(model.stream(QUESTION)) if streams else model.invoke(QUESTION)
    assert spans.tree() == "chat gpt-4o"
    assert spans.billed == tokens(server.billed) != (0, 0)


def test_exact_figures(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """The provider's plugin adds its reply's id, model, finish reason and cached tokens to the one span (law L14)."""
    chat().invoke(QUESTION)
    span = spans.root()
    billed = server.billed
    assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == billed.cached_tokens
    assert span.attributes["gen_ai.usage.reasoning.output_tokens"] == billed.reasoning_tokens
    assert span.attributes["gen_ai.response.id"].startswith("chatcmpl")
    assert tuple(span.attributes["gen_ai.response.finish_reasons"]) == ("stop",)
    assert span.attributes["gen_ai.provider.name"] == "openai"
    list(chat().stream(QUESTION))
    assert spans.all()[-1].attributes["gen_ai.response.time_to_first_chunk"] > 0


def test_retries_of_the_sdk(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Requests that the SDK makes again are one span, with what was billed in the end (law L19)."""
    server.script(Status(500, retry_after=0), Status(500, retry_after=0))
    chat(max_retries=2).invoke(QUESTION)
    assert spans.tree() == "chat gpt-4o"
    assert [event.name for event in spans.root().events] == ["retry", "retry"]
    assert spans.billed == tokens(server.billed) != (0, 0)


def test_a_retried_step(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Each attempt of `with_retry` is a call; the failed one bills nothing (law L19)."""
    server.script(Status(500))
    model = chat().with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    (PROMPT | model).invoke(ASKED)
    assert spans.tree() == "invoke_workflow RunnableSequence\n  ChatOpenAI\n    chat gpt-4o !\n    chat gpt-4o"
    assert spans.billed == tokens(server.billed)


def test_several_choices_count_once(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A reply with two choices repeats its usage on each: it counts once, with this plugin alone too."""
    autotrace.autolog("openai", disable=True)
    chat(n=2).generate([[HumanMessage(QUESTION)]])
    assert len(messages(spans.root(), "output")) == 2
    assert spans.billed == tokens(server.billed) != (0, 0)


def test_several_texts_of_one_request(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Two texts that one request completes are two spans and one bill."""
    chat.text().generate(["one", "two"])
    assert spans.tree() == "text_completion gpt-3.5-turbo-instruct\ntext_completion gpt-3.5-turbo-instruct"
    assert spans.billed == tokens(server.billed) != (0, 0)


def test_an_answer_from_the_cache(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """An answer out of LangChain's cache has a span and no tokens: nothing was billed."""
    model = chat(cache=InMemoryCache())
    first, second = model.invoke(QUESTION), model.invoke(QUESTION)
    if "total_cost" not in (second.usage_metadata or {}):
        pytest.skip("this langchain-core does not say which answers come from its cache")
    assert first.content == second.content
    assert spans.tree() == "chat gpt-4o\nchat gpt-4o"
    assert spans.billed == tokens(server.billed) != (0, 0)


def test_structured_output(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A model that answers by calling a tool is one model call."""
    chat().with_structured_output(weather.args_schema, method="function_calling").invoke(QUESTION)
    assert spans.tree() == "invoke_workflow RunnableSequence\n  chat gpt-4o"
    (call,) = [part for part in messages(spans.all()[1], "output")[0]["parts"] if part["type"] == "tool_call"]
    assert call["name"] == "weather"
    assert "city" in call["arguments"]


def test_messages(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Every kind of message and part is told in the words of the conventions."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    chat().invoke(
        [
            SystemMessage("Be short."),
            HumanMessage([{"type": "text", "text": QUESTION}, picture]),
            AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}]),
            ToolMessage("snow", tool_call_id="call_1"),
        ]
    )
    system, user, assistant, answer = messages(spans.root(), "input")
    assert system == {"role": "system", "parts": [{"type": "text", "content": "Be short."}]}
    assert [part["type"] for part in user["parts"]] == ["text", "blob"]
    assert user["parts"][1]["sha256"]
    call = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}
    assert assistant == {"role": "assistant", "parts": [call]}
    assert answer["parts"] == [{"type": "tool_call_response", "id": "call_1", "response": "snow"}]


def test_a_tool(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A tool's span has its name, its arguments and its result."""
    weather.invoke({"city": "Oslo"})
    span = spans.root()
    assert span.name == "execute_tool weather"
    assert json.loads(span.attributes["gen_ai.tool.call.arguments"]) == {"city": "Oslo"}
    assert span.attributes["gen_ai.tool.call.result"] == "sun in Oslo"
    assert span.attributes["gen_ai.tool.description"]


def test_a_retriever(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A retriever's span has the query and the documents with their ids."""
    ENTRIES["retrieval"].make(chat).invoke(QUESTION)
    span = spans.named("retrieval VectorStoreRetriever")
    assert span.attributes["gen_ai.retrieval.query.text"] == QUESTION
    told = json.loads(span.attributes["output.value"])
    assert {document["content"] for document in told} == {"Herons nest in trees.", "Owls hoot."}
    assert all(document["id"] for document in told)
    assert json.loads(span.attributes["gen_ai.retrieval.documents"])[0].keys() == {"id", "score"}


def test_embeddings_of_any_class(spans: Spans) -> None:
    """Embeddings are traced in classes that are made after us, sync and async, once (they have no callback)."""

    class Late(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[1.0, 2.0, 3.0] for _ in texts]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    late = Late()
    assert late.embed_query("one") == [1.0, 2.0, 3.0]
    late.embed_documents(["one", "two"])
    asyncio.run(late.aembed_query("one"))
    assert spans.tree() == "\n".join(["embeddings Late"] * 3)
    assert [span.attributes["gen_ai.embeddings.dimension.count"] for span in spans.all()] == [3, 3, 3]
    held = Late.embed_query
    autotrace.autolog("langchain", disable=True)
    assert Late.embed_query is not held
    Late().embed_query("one")
    assert len(spans.all()) == 3


def test_the_session(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A graph's thread is the session of its spans and of the trace that it lies in."""
    graph = ENTRIES["graph"].make(chat)
    graph.invoke(SAID, {"configurable": {"thread_id": "t-7"}})
    assert {span.attributes["session.id"] for span in spans.all()} == {"t-7"}
    spans.clear()
    with autotrace.span("request"):
        graph.invoke(SAID, {"configurable": {"thread_id": 8}})
    assert spans.root().attributes["session.id"] == "8"
    spans.clear()
    with autotrace.context(session="mine"):
        graph.invoke(SAID, {"configurable": {"thread_id": "t-9"}})
    assert {span.attributes["session.id"] for span in spans.all()} == {"mine"}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_interrupt_is_no_error(spans: Spans, is_async: bool) -> None:
    """A graph that waits for a person has not failed; it goes on in another trace of the same session (law L40)."""
    if not hasattr(interrupts, "interrupt"):
        pytest.skip("this LangGraph has no interrupt()")
    if is_async and sys.version_info < (3, 11):
        pytest.skip("interrupt() in a coroutine needs Python 3.11")

    def ask(state: State) -> Any:
        return {"words": [interrupts.interrupt("May I?")]}

    async def ask_async(state: State) -> Any:
        return ask(state)

    graph = StateGraph(State)
    graph.add_node("ask", ask_async if is_async else ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    app = graph.compile(checkpointer=MemorySaver())
    config = {"configurable": {"thread_id": "t-1"}}

    def call(given: Any) -> Any:
        return asyncio.run(app.ainvoke(given, config)) if is_async else app.invoke(given, config)

    call({"words": []})
    assert spans.tree() == "invoke_workflow LangGraph\n  ask (paused)"
    assert call(interrupts.Command(resume="yes"))["words"] == ["yes"]
    assert spans.tree().endswith("invoke_workflow LangGraph\n  ask")
    assert {span.attributes["session.id"] for span in spans.all()} == {"t-1"}


def test_checkpoints_hold_nothing_of_ours(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Checkpoints, models and chains are copied and pickled as without us (law L25)."""
    saver = MemorySaver()
    model = chat()
    graph = StateGraph(State)
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    config = {"configurable": {"thread_id": "t-1"}}
    graph.compile(checkpointer=saver).invoke(SAID, config)
    assert "autotrace" not in repr(dict(saver.storage))
    assert "autotrace" not in pickle.dumps(saver.get(config)).decode("latin1")
    copied = copy.copy(model)
    assert copied.invoke(QUESTION).content
    assert copy.deepcopy(PROMPT | StrOutputParser()).first == PROMPT
    assert pickle.loads(pickle.dumps(PROMPT)) == PROMPT


class Heard(BaseCallbackHandler):
    """A handler of the program's."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.events.append("chain start")

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.events.append("model start")

    def on_llm_start(self, serialized: Any, prompts: Any, **kwargs: Any) -> None:
        self.events.append("text start")

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.events.append("model end")

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.events.append("chain end")


class HeardAsync(AsyncCallbackHandler):
    """An asynchronous one."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def on_llm_start(self, serialized: Any, prompts: Any, **kwargs: Any) -> None:
        self.events.append("text start")

    async def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.events.append("model end")


def test_handlers_of_the_program(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """The program's own handlers hear what they hear without us, and see no handler of ours among them."""

    def heard() -> list[list[str]]:
        given, own, asynchronous = Heard(), Heard(), HeardAsync()
        seen: list[Any] = []

        def look(value: Any, config: Any) -> Any:
            seen.append([type(handler) for handler in config["callbacks"].handlers])
            return value

        (PROMPT | chat(callbacks=[own]) | RunnableLambda(look)).invoke(ASKED, {"callbacks": [given]})
        asyncio.run(chat.text().ainvoke(QUESTION, {"callbacks": [asynchronous]}))
        assert seen == [[Heard]]
        return [given.events, own.events, asynchronous.events]

    traced = heard()
    autotrace.autolog(disable=True)
    assert traced == heard()
    assert traced[1] == ["model start", "model end"]
    assert traced[2] == ["text start", "model end"]


def test_langsmith(spans: Spans, server: OpenAIServer, chat: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """LangSmith's own tracer works beside us."""
    from langchain_core.tracers import LangChainTracer

    kept: list[Any] = []

    class Tracer(LangChainTracer):
        def _persist_run(self, run: Any) -> None:
            kept.append(run)

        def _persist_run_single(self, run: Any) -> None:
            pass

        def _update_run_single(self, run: Any) -> None:
            pass

    class Client:
        tracing_queue = None

        def __getattr__(self, name: str) -> Any:
            return lambda *args, **kwargs: None

    def told() -> list[Any]:
        kept.clear()
        chain(chat).invoke(ASKED, {"callbacks": [Tracer(client=Client())]})
        return [(run.name, [child.name for child in run.child_runs]) for run in kept]

    traced = told()
    assert spans.tree() == ENTRIES["chain"].tree
    autotrace.autolog(disable=True)
    assert traced == told()
    assert [name for name, _ in traced] == ["RunnableSequence"]


def test_handlers_that_raise(spans: Spans, server: OpenAIServer, chat: Models, nothing_logged: Any) -> None:
    """A handler that raises, and is to be heard, fails the call as without us; its spans end (law L20)."""

    class Raises(BaseCallbackHandler):
        raise_error = True

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        chain(chat).invoke(ASKED, {"callbacks": [Raises()]})
    assert not recorder._open
    assert spans.billed == tokens(server.billed)
    assert len(nothing_logged.lines) == 1  # LangChain's own
    nothing_logged.lines.clear()


def test_foreign_spans_nest(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Spans of the program's, of another tool, and models called in a tool lie beneath the step that made them."""
    tracer = spans.provider.get_tracer("another tool")

    @tool
    def look_up(word: str) -> str:
        """Looks a word up."""
        with tracer.start_as_current_span("theirs"), autotrace.span("mine"):
            return str(chat("gpt-4o-mini").invoke(word).content)

    def http(request: Any) -> None:
        with tracer.start_as_current_span("HTTP POST"):
            pass

    client = chat.options["http_client"]
    client.event_hooks = {"request": [http]}
    pool = ThreadPoolExecutor(1)
    step = RunnableLambda(lambda text: pool.submit(look_up.invoke, {"word": str(text)}).result())
    (chain(chat) | step).invoke(ASKED)
    pool.shutdown()
    assert spans.tree().split("\n") == [
        "invoke_workflow RunnableSequence",
        "  chat gpt-4o",
        "    HTTP POST (None)",
        "  execute_tool look_up",
        "    theirs (None)",
        "      mine",
        "        chat gpt-4o-mini",
        "          HTTP POST (None)",
    ]
    assert spans.billed == tokens(server.billed)


def test_foreign_spans_nest_in_tasks(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """The same in coroutines, tasks and executors (law L36)."""
    if sys.version_info < (3, 11):
        pytest.skip("LangChain itself carries no context into coroutines before Python 3.11")

    async def step(text: str) -> str:
        with autotrace.span("mine"):
            loop = asyncio.get_running_loop()
            task = asyncio.create_task(chat().ainvoke("in a task"))
            await loop.run_in_executor(None, chat("gpt-4o-mini").invoke, "in a thread")
            await task
        return text

    asyncio.run((chain(chat) | RunnableLambda(step)).ainvoke(ASKED))
    assert sorted(spans.tree().split("\n")) == sorted(
        [
            "invoke_workflow RunnableSequence",
            "  chat gpt-4o",
            "  step",
            "    mine",
            "      chat gpt-4o",
            "      chat gpt-4o-mini",
        ]
    )
    assert spans.billed == tokens(server.billed)


def test_agents_never_mix(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A hundred agents at once in one loop each keep their own tree (law L37)."""
    agent = ENTRIES["react agent"].make(chat)

    async def one(number: int) -> None:
        config = {"configurable": {"thread_id": str(number)}}
        async for _ in agent.astream({"messages": [("user", f"question {number}")]}, config):
            pass

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(100)))

    asyncio.run(main())
    assert len(spans.roots()) == 100
    by_trace: dict[int, list[Any]] = {}
    for span in spans.all():
        by_trace.setdefault(span.context.trace_id, []).append(span)
    for found in by_trace.values():
        (session,) = {span.attributes["session.id"] for span in found}
        assert len(found) == 7
        assert all(f"question {session}" in input_text(span) for span in found if span.name.startswith("chat"))
    assert spans.billed == tokens(server.billed)


def test_threads_never_mix(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Nor do 32 threads (law L37)."""
    one = chain(chat)
    barrier = threading.Barrier(32)

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(3):
            one.invoke({"question": f"question {number}."})

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(32)))
    roots = {span.context.span_id: span for span in spans.roots()}
    assert len(roots) == 96
    calls = [span for span in spans.all() if span.parent is not None]
    assert len(calls) == 96
    for span in calls:
        asked = json.loads(roots[span.parent.span_id].attributes["input.value"])["question"]
        assert asked in input_text(span)


def test_many_runs_leave_nothing(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """10,000 runs, some of them left in the middle, with one handler: none stays known, memory stays flat (law L39)."""
    import tracemalloc

    given = Heard()
    steps = RunnableLambda(lambda text: text) | RunnableLambda(lambda text: text) | RunnableLambda(lambda text: text)
    config = {"callbacks": [given]}

    def work(times: int) -> None:
        for _ in range(times):
            steps.invoke("one", config)
            for _ in steps.stream("two", config):
                break
        given.events.clear()
        spans.clear()
        gc.collect()

    work(50)
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    work(1250)  # of four runs each, twice
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    assert open_runs() == 0
    assert not recorder._open
    grown = sum(line.size_diff for line in after.compare_to(before, "filename") if "autotrace" in str(line.traceback))
    assert grown < 100_000


def test_an_abandoned_run(spans: Spans) -> None:
    """A run whose end LangChain never reports ends when its manager is gone (law L05, L39)."""
    from langchain_core.callbacks.manager import CallbackManager

    manager = CallbackManager.configure().on_chain_start({"name": "mine"}, {"input": "x"})
    assert open_runs() == 1
    del manager
    gc.collect()
    assert spans.tree() == "invoke_workflow mine (abandoned)"


def test_functions_look_as_before(spans: Spans) -> None:
    """Signatures, names and kinds of wrapped functions are what they were (law L24)."""
    from langchain_core.callbacks.manager import AsyncCallbackManager, CallbackManager

    assert inspect.iscoroutinefunction(AsyncCallbackManager.on_chain_start)
    assert inspect.isasyncgenfunction(Runnable.astream)
    assert inspect.isgeneratorfunction(ChatOpenAI.stream)
    assert list(inspect.signature(CallbackManager.on_chain_start).parameters)[:3] == ["self", "serialized", "inputs"]
    assert CallbackManager.on_chain_start.__name__ == "on_chain_start"


def test_switching(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Every toggle stops spans at once, and on again works (law L34); a hundred times adds no layer (law L26)."""
    one = chain(chat)
    for _ in range(100):
        autotrace.autolog("langchain", disable=True)
        autotrace.autolog("langchain", disable=False)
    one.invoke(ASKED)
    assert spans.tree() == ENTRIES["chain"].tree
    spans.clear()
    with autotrace.suppress("langchain"):
        one.invoke(ASKED)
    assert spans.tree() == "chat gpt-4o"  # the provider's own
    spans.clear()
    with autotrace.suppress():
        one.invoke(ASKED)
        list(one.stream(ASKED))
    autotrace.autolog("langchain", disable=True)
    one.invoke(ASKED)
    assert spans.tree() == "chat gpt-4o"
    autotrace.autolog("langchain", disable=False)


def test_switching_off_in_the_middle(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """What is open when the plugin is switched off ends (law L27)."""
    server.script(Chunks(10))
    pieces = chat().stream(QUESTION)
    next(pieces)
    autotrace.autolog("langchain", disable=True)
    assert len(list(pieces)) > 5
    assert spans.root().attributes["autotrace.outcome"] == "switched_off"
    autotrace.autolog("langchain", disable=False)


def test_detail(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """`full` shows every run that LangChain reports."""
    autotrace.autolog("langchain", detail="full")
    ENTRIES["graph"].make(chat).invoke(SAID)
    assert "decide" in spans.tree()
    spans.clear()
    chain(chat).invoke(ASKED)
    assert spans.tree().split("\n") == [
        "invoke_workflow RunnableSequence",
        "  ChatPromptTemplate",
        "  chat gpt-4o",
        "  StrOutputParser",
    ]


def test_without_content(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Without content no text is anywhere, not in errors either (law L41)."""
    spans.on(capture_content="off")
    things = {name: ENTRIES[name].make(chat) for name in ("chain", "react agent", "retrieval")}
    server.reset()
    for name, thing in things.items():
        thing.invoke(ENTRIES[name].given)

    def fail(value: Any) -> None:
        raise ValueError(f"{QUESTION} is no question")

    with pytest.raises(ValueError, match="no question"):
        RunnableLambda(fail).invoke(QUESTION)
    text = spans.text()
    for word in ("heron", "sun in", "Owls", "Be short", "no question"):
        assert word not in text
    assert spans.billed == tokens(server.billed) != (0, 0)


def test_keys_are_never_told(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """No key of a client reaches a span."""
    chain(chat).invoke(ASKED)
    ENTRIES["react agent"].make(chat).invoke(SAID)
    assert KEY not in spans.text()


def test_a_mapper_that_fails(spans: Spans, server: OpenAIServer, chat: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is of unknown shape costs the span its values, never the program its answer (law L20)."""
    spans.on(strict=False)

    class Odd(str):
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("odd")

    assert RunnableLambda(lambda value: value).invoke(Odd("x")) == "x"
    spans.expected_failures = set(guard.failures)
    assert len(spans.all()) == 1


def test_hook_points_that_are_missing(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Every hook point is found in this version; what were missing would be told by `autotrace plugins` (law L49)."""
    (status,) = [status for status in plugin_statuses() if status.name == "langchain"]
    assert (status.state, status.warnings) == ("active", [])


def test_a_missing_hook_point_fails_softly(
    spans: Spans, server: OpenAIServer, chat: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one of LangChain's private functions the rest still works, and it is said once (law L32, L33)."""
    import langchain_core.runnables.config as config

    active().reset()
    original = config._set_config_context
    monkeypatch.setattr(config, "_prepare_context", original, raising=False)
    monkeypatch.delattr(config, "_set_config_context")
    spans.on(strict=False)
    (status,) = [status for status in plugin_statuses() if status.name == "langchain"]
    monkeypatch.setattr(config, "_set_config_context", original, raising=False)
    assert "_set_config_context" in "".join(status.warnings)
    assert chain(chat).invoke(ASKED)
    assert spans.tree() == ENTRIES["chain"].tree
    spans.expected_failures = set(guard.failures)


def test_earlier_objects_are_traced(server: OpenAIServer, chat: Models, untouched: Any, spans: Spans) -> None:
    """Chains and models that were made before us are traced (law L30)."""
    active().reset()
    one = chain(chat)
    one.invoke(ASKED)
    spans.on()
    one.invoke(ASKED)
    assert spans.tree() == ENTRIES["chain"].tree


def test_two_loops(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """One chain in two event loops (law L47)."""
    one = chain(chat)
    for _ in range(2):
        asyncio.run(one.ainvoke(ASKED))
    assert spans.tree() == "\n".join([ENTRIES["chain"].tree] * 2)


def test_a_task_that_is_cancelled_when_its_model_has_failed(spans: Spans) -> None:
    """A model that failed has failed, though LangChain is cancelled before it can say so (laws L06, L20)."""
    from langchain_core.language_models.chat_models import BaseChatModel

    tasks: list[asyncio.Task[Any]] = []

    class Failing(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "failing"

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            asyncio.get_running_loop().call_soon(tasks[0].cancel)
            raise ValueError("refused")

    async def main() -> None:
        tasks.append(asyncio.ensure_future(Failing().ainvoke("x")))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    asyncio.run(main())
    assert spans.tree() == "chat failing !"
    assert spans.root().attributes["error.type"] == "ValueError"


def test_an_error_keeps_its_cause(spans: Spans) -> None:
    """An exception of a step is the very object, with the user's frames (law L20)."""
    error = ValueError("mine")

    def fail(value: Any) -> None:
        raise error from KeyError("cause")

    with pytest.raises(ValueError, match="mine") as caught:
        RunnableLambda(fail).invoke("x")
    assert caught.value is error
    assert isinstance(error.__cause__, KeyError)
    assert any(entry.name == "fail" for entry in caught.traceback)
    assert spans.root().attributes["error.type"] == "ValueError"


def test_iterators_are_not_consumed(spans: Spans) -> None:
    """A generator that is passed to a step is the step's to read (law L23)."""
    given = (number for number in range(3))
    assert RunnableLambda(lambda numbers: list(numbers)).invoke(given) == [0, 1, 2]
    assert output_text(spans.root()) == "[0,1,2]"


def test_nothing_is_current_between_chunks(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Between chunks nothing of ours is current: a span of the program's is no child of the model's (law L07)."""
    server.script(Chunks(5), Chunks(5))
    for _ in chat().stream(QUESTION):
        assert not get_current()

    async def main() -> None:
        async for _ in chain(chat).astream(ASKED):
            assert not get_current()

    asyncio.run(main())


def test_a_stream_read_in_another_thread(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A stream that is made in one thread and read in another is one whole span (law L08)."""
    pieces = chat().stream(QUESTION)
    next(pieces)
    thread = threading.Thread(target=lambda: list(pieces))
    thread.start()
    thread.join()
    assert spans.tree() == "chat gpt-4o"
    assert spans.billed == tokens(server.billed) != (0, 0)
