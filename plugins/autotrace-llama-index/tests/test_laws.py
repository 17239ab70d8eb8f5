"""A traced LlamaIndex is what it was: what it returns, how it looks, who else listens, how tracing is undone."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
import subprocess
import sys
import textwrap
import typing
from collections.abc import Callable
from typing import Any

import pytest

import autotrace
from autotrace.testing.openai_server import Status

from .cases import QUERY, traced_flow
from .conftest import DISPATCHER, HAS_WORKFLOW_AGENTS, HERON, QUESTION, Kit, Spans, messages, output_text

MODEL_METHODS = [
    f"{prefix}{name}" for name in ("chat", "complete", "stream_chat", "stream_complete") for prefix in ("", "a")
]


def said(text: str = QUESTION) -> list[Any]:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(role="user", content=text)]


def test_results(kit: Kit, spans: Spans) -> None:
    """What comes back is of the same type and value (law L01)."""
    engine = kit.engine()
    calls: list[Callable[[], Any]] = [
        lambda: kit.llm.chat(said()),
        lambda: kit.llm.complete(QUESTION),
        lambda: engine.query(QUESTION),
        lambda: kit.embeddings().get_query_embedding(QUESTION),
        lambda: kit.tool().call(city="Rome"),
        lambda: asyncio.run(_flow(kit)),
    ]
    traced = [call() for call in calls]
    spans.clear()
    autotrace.autolog("llama_index", disable=True)
    autotrace.autolog("openai", disable=True)
    plain = [call() for call in calls]
    assert {span.name for span in spans.all()} == {"checking"}
    assert [type(one) for one in traced] == [type(one) for one in plain]
    assert [str(one) for one in traced] == [str(one) for one in plain]
    assert traced[0].model_dump() == plain[0].model_dump()


async def _flow(kit: Kit) -> Any:
    return await traced_flow(kit).run(topic=QUESTION)


def test_streams_stay(kit: Kit, spans: Spans) -> None:
    """A stream is what it was: a generator, a response of LlamaIndex's that holds one (law L02)."""
    from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse

    engine = kit.engine(streaming=True)
    response = engine.query(QUESTION)
    assert type(response) is StreamingResponse
    assert inspect.isgenerator(response.response_gen)
    assert list(response.response_gen)

    async def main() -> None:
        answer = await engine.aquery(QUESTION)
        assert type(answer) is AsyncStreamingResponse
        assert inspect.isasyncgen(answer.response_gen)
        assert [text async for text in answer.response_gen]
        stream = await kit.llm.astream_chat(said())
        assert inspect.isasyncgen(stream)
        assert [piece async for piece in stream]

    asyncio.run(main())


def test_iterators_are_the_programs() -> None:
    """An iterator that is passed in place of a list is not consumed by us (law L23)."""
    from autotrace_llama_index import embeddings, models

    class Model:
        model = "m"

    given = iter(said())
    assert models.chat(autotrace.Call(Model(), (given,), {}))["input"] == []
    assert models.chat(autotrace.Call(Model(), (), {"messages": given}))["input"] == []
    assert "input_value" not in embeddings.request(autotrace.Call(Model(), (), {"texts": given}))
    assert len(list(given)) == 1


@pytest.mark.parametrize("name", MODEL_METHODS)
def test_looks(kit: Kit, spans: Spans, name: str) -> None:
    """What introspection says of a method is what it said (law L24)."""

    def looks() -> dict[str, Any]:
        method = getattr(type(kit.llm), name)
        return {
            "signature": inspect.signature(method),
            "coroutine": inspect.iscoroutinefunction(method),
            "hints": typing.get_type_hints(method),
            "name": method.__name__,
            "qualname": method.__qualname__,
            "doc": method.__doc__,
        }

    traced = looks()
    autotrace.autolog("llama_index", disable=True)
    assert traced == looks()


def test_copies(kit: Kit, spans: Spans) -> None:
    """Results, messages, models and events survive copies and pickles, with nothing of ours in them (law L25)."""
    answer = kit.llm.chat(said())
    for one in (answer, answer.message, *kit.index(HERON).as_retriever().retrieve(QUESTION)):
        assert copy.deepcopy(one) == one
        data = pickle.dumps(one)
        assert b"autotrace" not in data
        assert pickle.loads(data) == one
    assert copy.copy(kit.llm).model == kit.llm.model
    # A model whose clients are not made yet.
    fresh = type(kit.llm)(model="gpt-4o", api_key="sk-none")
    data = pickle.dumps(fresh)
    assert b"autotrace" not in data
    assert pickle.loads(data).model == "gpt-4o"


def test_on_and_off(kit: Kit, spans: Spans) -> None:
    """Switched on and off a hundred times, there is one layer, and then none (laws L26, L28)."""
    kind, dispatcher = type(kit.llm), DISPATCHER.Dispatcher
    for _ in range(100):
        autotrace.autolog("llama_index", disable=True)
        assert "autotrace" not in type(vars(kind)["chat"]).__module__
        assert inspect.isfunction(vars(dispatcher)["span_enter"])
        assert type(vars(dispatcher)["span_enter"]).__module__ == "builtins"
        autotrace.autolog("llama_index", disable=False)
    kit.engine().query(QUESTION)
    assert spans.tree() == QUERY


def test_cached_methods(kit: Kit, spans: Spans) -> None:
    """A method that was kept from before the undoing emits nothing (law L27)."""
    chat, query = kit.llm.chat, kit.engine().query
    autotrace.autolog(disable=True)
    chat(said())
    query(QUESTION)
    assert spans.all() == []


def test_twice(kit: Kit, spans: Spans) -> None:
    """Switched on twice there is one span a call (law L28)."""
    spans.on()
    spans.on()
    kit.llm.chat(said())
    assert spans.tree() == "chat gpt-4o"


def test_another_tool_on_top(kit: Kit, spans: Spans) -> None:
    """A wrapper that another tool put around ours stays, and ours beneath it goes inert (law L29)."""
    kind = type(kit.llm)
    ours = vars(kind)["chat"]
    seen = []

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return ours.__get__(self, kind)(*args, **kwargs)

    kind.chat = theirs
    try:
        autotrace.autolog(disable=True)
        assert vars(kind)["chat"] is theirs
        kit.llm.chat(said())
    finally:
        kind.chat = ours
        spans.on()
    assert seen == [1]
    assert spans.all() == []


def test_made_before(kit: Kit, spans: Spans) -> None:
    """What was made while tracing was off is traced when it is on: models, engines, classes (law L30)."""
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

    autotrace.autolog(disable=True)
    engine, model = kit.engine(), kit.model()

    class Parrot(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata()

        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text=prompt)

        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            raise NotImplementedError

    spans.on()
    engine.query(QUESTION)
    model.chat(said())
    Parrot().chat(said())
    assert spans.tree() == f"{QUERY}\nchat gpt-4o\nchat Parrot"
    autotrace.autolog("llama_index", disable=True)
    del Parrot
    gc.collect()


def test_a_model_of_the_programs_own(kit: Kit, spans: Spans) -> None:
    """A class of the program's own that is made while tracing is on is traced, and calls within count once."""
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

    class Echo(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="echo-1")

        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return kit.llm.complete(prompt)

        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            def words() -> Any:
                for word in prompt.split():
                    yield CompletionResponse(text=word, delta=word)

            return words()

    Echo().chat(said())
    assert spans.tree() == "chat echo-1"
    assert spans.billed == (kit.server.billed.input_tokens, kit.server.billed.output_tokens)
    spans.clear()
    assert len(list(Echo().stream_complete(QUESTION))) == 5
    assert spans.tree() == "text_completion echo-1"
    assert output_text(spans.root()).count("heron") == 1
    autotrace.autolog("llama_index", disable=True)
    assert inspect.isfunction(inspect.unwrap(vars(Echo)["complete"]))


def run_program(code: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_waking(spans: Spans) -> None:
    """Activation imports nothing of LlamaIndex; its import wakes the plugin, whichever module it is (law L31)."""
    assert (
        run_program(
            """
        import sys
        import autotrace.auto
        autotrace.autolog(home="/nonexistent/x")
        print([name for name in sys.modules if name.startswith(("llama_index", "workflows"))])
        """
        )
        == "[]"
    )
    names = ["llama_index.core", "llama_index.core.llms", "llama_index.llms.openai"]
    if HAS_WORKFLOW_AGENTS:
        names += ["llama_index_instrumentation", "workflows"]
    for name in names:
        found = run_program(
            f"""
            import json, logging
            logging.getLogger("nltk").setLevel(logging.CRITICAL)
            import autotrace.auto
            import {name}
            from autotrace.activation import active
            print([[one.name, one.state, one.warnings] for one in active().host.statuses() if "llama" in one.name])
            """
        )
        assert found == "[['llama_index', 'active', []]]", name


def test_bad_neighbours(kit: Kit, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapper that raises costs its figures, not the call, nor the other spans (law L32)."""
    spans.on(strict=False)

    class Odd(dict):  # type: ignore[type-arg]
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("no")

    answer = kit.llm.chat(said())
    answer.raw = Odd()
    tool = kit.tool(lambda city: answer, name="odd", description="d")
    tool.call(city="Rome")
    assert [span.name for span in spans.all()] == ["chat gpt-4o", "execute_tool odd"]


def test_unsupported_versions() -> None:
    """A LlamaIndex that is too new is not traced, with one warning (law L33)."""
    found = run_program(
        """
        import logging, sys
        logging.getLogger("nltk").setLevel(logging.CRITICAL)
        from importlib import metadata
        real = metadata.version
        metadata.version = lambda name: "99.0" if name == "llama-index-core" else real(name)
        import autotrace.auto
        import llama_index.core
        from autotrace.activation import active
        print([[one.name, one.state] for one in active().host.statuses() if "llama" in one.name])
        """
    )
    assert found == "[['llama_index', 'unsupported']]"


@pytest.mark.parametrize("how", ["autolog", "suppress", "suppress this", "module"])
def test_toggles(kit: Kit, spans: Spans, how: str) -> None:
    """Each switch stops the spans at once, and on again works too (laws L34, L35)."""
    autotrace.autolog("openai", disable=True)
    engine = kit.engine()
    if how == "autolog":
        autotrace.autolog("llama_index", disable=True)
        engine.query(QUESTION)
        autotrace.autolog("llama_index", disable=False)
    elif how == "module":
        autotrace.autolog("llama_index.core", disable=True)
        engine.query(QUESTION)
        autotrace.autolog("llama_index.core", disable=False)
    else:
        with autotrace.suppress(*(["llama_index"] if how == "suppress this" else [])):
            engine.query(QUESTION)
            kit.chat_engine("simple").chat(QUESTION)
            asyncio.run(_flow(kit))
    assert [span.name for span in spans.all() if span.name != "checking"] == []
    spans.clear()
    engine.query(QUESTION)
    assert spans.tree() == QUERY


def test_suppressed_by_opentelemetry(kit: Kit, spans: Spans) -> None:
    """OpenTelemetry's own switch is honoured (law L35)."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    with suppress_instrumentation():
        kit.engine().query(QUESTION)
    assert spans.all() == []


def test_switched_off_in_the_middle(kit: Kit, spans: Spans) -> None:
    """What is open when tracing is switched off ends, and the call goes on (law L34)."""

    def switch(city: str) -> str:
        """Switches tracing off."""
        autotrace.autolog("llama_index", disable=True)
        return city

    assert kit.tool(switch).call(city="Rome").content == "Rome"
    assert spans.tree() == "execute_tool switch (switched_off)"


def test_content_off(kit: Kit, spans: Spans) -> None:
    """Without content there is no text anywhere: attributes, events, messages of exceptions (law L41)."""
    spans.on(capture_content="off")
    engine = kit.engine()
    engine.query(QUESTION)
    list(kit.chat_engine("context").stream_chat(QUESTION).response_gen)
    asyncio.run(_flow(kit))
    kit.tool().call(city=QUESTION)
    if HAS_WORKFLOW_AGENTS:
        asyncio.run(_agent(kit))
    kit.server.script((), Status(500, QUESTION))
    with pytest.raises(Exception, match="heron"):
        engine.query(QUESTION)
    with pytest.raises(Exception, match="heron"):
        asyncio.run(_failing())
    spans.settle()
    text = spans.text()
    assert len(spans.roots()) >= 6
    for secret in ("heron", "reeds", "sunny", "you asked", "owl"):
        assert secret not in text.lower(), secret


async def _agent(kit: Kit) -> None:
    await kit.agent().run(QUESTION)


async def _failing() -> None:
    from .flows import Failing

    await Failing(timeout=30).run(topic=QUESTION)


def test_own_handlers(kit: Kit, spans: Spans) -> None:
    """The program's own handlers see all that they would see: spans, events, the older callbacks with their counts."""
    from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler
    from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler

    class Events(BaseEventHandler):
        seen: list[str] = []  # noqa: RUF012

        def handle(self, event: Any, **kwargs: Any) -> None:
            self.seen.append(type(event).__name__)

    def listen() -> tuple[list[str], list[str], int, int]:
        events, handler = Events(seen=[]), SimpleSpanHandler()
        counter = TokenCountingHandler(tokenizer=str.split)
        dispatcher = get_dispatcher()
        kept = list(dispatcher.event_handlers), list(dispatcher.span_handlers)
        dispatcher.add_event_handler(events)
        dispatcher.add_span_handler(handler)
        try:
            model = kit.model(callback_manager=CallbackManager([counter]))
            index = kit.index(HERON)
            handler.completed_spans.clear()
            events.seen.clear()
            assert str(index.as_query_engine(llm=kit.llm).query(QUESTION))
            model.complete(QUESTION)
        finally:
            dispatcher.event_handlers, dispatcher.span_handlers = kept
        named = [span.id_[:-37] for span in handler.completed_spans]
        assert handler.open_spans == {}
        return events.seen, named, counter.prompt_llm_token_count, counter.completion_llm_token_count

    traced = listen()
    assert spans.tree() == f"{QUERY}\ntext_completion gpt-4o"
    autotrace.autolog(disable=True)
    assert listen() == traced
    assert traced[2] > 0


def test_detail_full(kit: Kit, spans: Spans) -> None:
    """`detail="full"` shows what LlamaIndex announces besides; the calls of models stand once all the same."""
    autotrace.autolog("llama_index", detail="full")
    kit.engine().query(QUESTION)
    names = [span.name for span in spans.all()]
    assert "CompactAndRefine.synthesize" in names
    assert "VectorIndexRetriever._retrieve" in names
    assert names.count("chat gpt-4o") == 1
    assert len(spans.roots()) == 1
    assert spans.billed == (kit.server.billed.input_tokens, kit.server.billed.output_tokens)
    autotrace.autolog("llama_index", detail="steps")
    spans.clear()
    kit.engine().query(QUESTION)
    assert spans.tree() == QUERY


def test_what_a_trace_tells(kit: Kit, spans: Spans) -> None:
    """Documents with ids and scores; the model, its parameters, messages, finish reasons, ids of replies and calls."""
    kit.llm = kit.model(temperature=0.5, max_tokens=50)
    kit.engine(similarity_top_k=2).query(QUESTION)
    retrieval = spans.named("retrieval VectorIndexRetriever")
    found = output_text(retrieval)
    assert HERON in found
    assert '"score":' in found
    assert '"page":' in found
    assert retrieval.attributes["gen_ai.retrieval.query.text"] == QUESTION
    chat = spans.named("chat gpt-4o").attributes
    assert chat["gen_ai.provider.name"] == "openai"
    assert chat["gen_ai.request.temperature"] == 0.5
    assert chat["gen_ai.request.max_tokens"] == 50
    assert chat["gen_ai.response.finish_reasons"] == ("stop",)
    assert chat["gen_ai.response.id"].startswith("chatcmpl-")
    assert chat["openinference.span.kind"] == "LLM"
    embedding = spans.named("embeddings text-embedding-3-small").attributes
    assert embedding["gen_ai.embeddings.dimension.count"] > 1
    assert spans.root().attributes["gen_ai.workflow.name"] == "RetrieverQueryEngine"
    assert spans.root().attributes["openinference.span.kind"] == "CHAIN"


@pytest.mark.skipif(not HAS_WORKFLOW_AGENTS, reason="agents are no workflows in this version")
def test_what_an_agents_trace_tells(kit: Kit, spans: Spans) -> None:
    """The tools offered, the call that the model asks for, and the tool's span by the same id."""
    asyncio.run(_agent(kit))
    first, second = (span for span in spans.all() if span.name == "chat gpt-4o")
    asked = messages(first, "output")[0]["parts"][0]
    tool = spans.named("execute_tool weather").attributes
    assert asked["name"] == "weather"
    assert tool["gen_ai.tool.call.id"] == asked["id"]
    assert tool["gen_ai.tool.name"] == "weather"
    assert "city" in first.attributes["gen_ai.tool.definitions"]
    answered = messages(second, "input")[-1]
    assert answered["role"] == "tool"
    assert answered["parts"][0]["id"] == asked["id"]
    assert spans.root().attributes["gen_ai.agent.name"] == "Weather"


@pytest.mark.parametrize("plugins", ["both", "one"])
def test_a_model_in_layers(kit: Kit, spans: Spans, plugins: str) -> None:
    """A client that is made of another one is one call, with tokens once (law L17)."""
    pytest.importorskip("llama_index.llms.openai_like", reason="llama-index-llms-openai-like is not installed")
    from llama_index.llms.openai_like import OpenAILike

    if plugins == "one":
        autotrace.autolog("openai", disable=True)
    model = OpenAILike(model="gpt-4o", is_chat_model=True, **kit.options)
    model.chat(said())
    model.complete(QUESTION)
    assert spans.tree() == "chat gpt-4o\ntext_completion gpt-4o"
    assert spans.billed == (kit.server.billed.input_tokens, kit.server.billed.output_tokens)


def test_a_postprocessor_of_the_programs_own(kit: Kit, spans: Spans) -> None:
    """A reranker of the program's own is one by its name; another step of its own is shown too."""
    from llama_index.core.postprocessor.types import BaseNodePostprocessor

    class LengthReranker(BaseNodePostprocessor):
        def _postprocess_nodes(self, nodes: Any, query_bundle: Any = None) -> Any:
            return sorted(nodes, key=lambda node: len(node.get_content()))

    class Stamp(BaseNodePostprocessor):
        def _postprocess_nodes(self, nodes: Any, query_bundle: Any = None) -> Any:
            return nodes

    kit.engine(node_postprocessors=[LengthReranker(), Stamp()]).query(QUESTION)
    assert "\n  rerank LengthReranker\n  Stamp\n" in spans.tree()
    assert HERON in output_text(spans.named("rerank LengthReranker"))


def test_decorated_functions(kit: Kit, spans: Spans) -> None:
    """What the program itself has put LlamaIndex's decorator on is a step."""
    from llama_index.core.instrumentation import get_dispatcher

    @get_dispatcher("mine").span
    def prepare(question: str) -> str:
        return str(kit.llm.complete(question))

    prepare(QUESTION)
    assert spans.tree() == "prepare\n  text_completion gpt-4o"
    assert QUESTION in spans.root().attributes["input.value"]


def test_nothing_of_ours_is_left(kit: Kit, spans: Spans) -> None:
    """No class of the program's that came and went while tracing was on is kept alive by the dispatcher's families."""
    from autotrace_llama_index import families

    def once() -> None:
        class Passing(type(kit.tool())):  # type: ignore[misc]
            pass

        Passing(fn=lambda city: city, metadata=kit.tool().metadata).call(city="Rome")

    once()
    autotrace.autolog("llama_index", disable=True)
    gc.collect()
    assert [kind for kind in families._families if kind.__name__ == "Passing"] == []
