"""The entry points of LlamaIndex, each in every form: what is called, and the tree that comes of it.

A case is a function that calls, reads the whole answer, and returns its text; or a coroutine function that does so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from autotrace.testing.openai_server import Text

from .conftest import HAS_WORKFLOW_AGENTS, HERON, QUESTION, RAG, VERSION, Kit
from .flows import Flow, Outer

CASES: dict[str, Case] = {}

EMBEDDED = "embeddings text-embedding-3-small"
#: Steps of the server's script that change nothing.
NORMAL: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Case:
    """One entry point in one form.

    Attributes:
        run: Calls it.
        tree: The spans that come of it.
        older_tree: Those before 0.12, where they differ; None: there is none such.
        has_output: Whether the root tells the text that was returned.
    """

    run: Callable[[Kit], Any]
    tree: str
    older_tree: str | None
    has_output: bool = True

    @property
    def expected(self) -> str:
        """The tree in this version; the test is skipped where this version has no such thing."""
        if VERSION >= (0, 12):
            return self.tree
        if self.older_tree is None:
            pytest.skip("this version of LlamaIndex has none")
        return self.older_tree


def case(tree: str, older: str | None = "", has_output: bool = True) -> Callable[[Callable[[Kit], Any]], None]:
    """Declares a case."""

    def declare(function: Callable[[Kit], Any]) -> None:
        CASES[function.__name__] = Case(function, tree, tree if older == "" else older, has_output)

    return declare


QUERY = f"invoke_workflow RetrieverQueryEngine\n{RAG}"


@case(QUERY)
def query(kit: Kit) -> Any:
    return str(kit.engine().query(QUESTION))


@case(QUERY)
async def aquery(kit: Kit) -> Any:
    return str(await kit.engine().aquery(QUESTION))


@case(QUERY)
def query_streamed(kit: Kit) -> Any:
    return "".join(kit.engine(streaming=True).query(QUESTION).response_gen)


@case(QUERY)
async def aquery_streamed(kit: Kit) -> Any:
    response = await kit.engine(streaming=True).aquery(QUESTION)
    return "".join([text async for text in response.async_response_gen()])


@case(QUERY)
def query_streamed_and_printed(kit: Kit) -> Any:
    return str(kit.engine(streaming=True).query(QUESTION))


@case("retrieval VectorIndexRetriever\n  " + EMBEDDED, has_output=False)
def retrieve(kit: Kit) -> Any:
    return kit.index(HERON).as_retriever().retrieve(QUESTION)


@case("retrieval VectorIndexRetriever\n  " + EMBEDDED, has_output=False)
async def aretrieve(kit: Kit) -> Any:
    return await kit.index(HERON).as_retriever().aretrieve(QUESTION)


def reranked(kit: Kit) -> Any:
    from llama_index.core.postprocessor import LLMRerank, SimilarityPostprocessor

    postprocessors = [SimilarityPostprocessor(similarity_cutoff=-1.0), LLMRerank(llm=kit.llm, top_n=1)]
    engine = kit.engine(node_postprocessors=postprocessors)
    kit.server.script(NORMAL, Text("Doc: 1, Relevance: 9"))
    return engine


RERANKED = """\
invoke_workflow RetrieverQueryEngine
  retrieval VectorIndexRetriever
    embeddings text-embedding-3-small
  rerank LLMRerank
    chat gpt-4o
  chat gpt-4o"""


@case(RERANKED)
def query_reranked(kit: Kit) -> Any:
    return str(reranked(kit).query(QUESTION))


@case(RERANKED)
async def aquery_reranked(kit: Kit) -> Any:
    return str(await reranked(kit).aquery(QUESTION))


def _chat_engine(mode: str, tree: str) -> None:
    name = {"simple": "SimpleChatEngine", "context": "ContextChatEngine"}.get(mode, "CondensePlusContextChatEngine")
    whole = f"invoke_workflow {name}\n{tree}"

    def chat(kit: Kit) -> Any:
        return str(kit.chat_engine(mode).chat(QUESTION))

    async def achat(kit: Kit) -> Any:
        return str(await kit.chat_engine(mode).achat(QUESTION))

    def stream_chat(kit: Kit) -> Any:
        return "".join(kit.chat_engine(mode).stream_chat(QUESTION).response_gen)

    async def astream_chat(kit: Kit) -> Any:
        response = await kit.chat_engine(mode).astream_chat(QUESTION)
        return "".join([text async for text in response.async_response_gen()])

    for function in (chat, achat, stream_chat, astream_chat):
        CASES[f"{mode}_{function.__name__}"] = Case(function, whole, whole)


_chat_engine("simple", "  chat gpt-4o")
_chat_engine("context", RAG)
_chat_engine("condense_plus_context", RAG)


def _within(outer: str, inner: str) -> str:
    return "\n".join([outer, *(f"  {line}" for line in inner.splitlines())])


@case(_within("invoke_workflow CondenseQuestionChatEngine", QUERY))
def condense_question_chat(kit: Kit) -> Any:
    return str(kit.chat_engine("condense_question").chat(QUESTION))


def _messages() -> Any:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=QUESTION)]


def _prompt() -> Any:
    from llama_index.core import PromptTemplate

    return PromptTemplate("Answer: {question}")


@case("chat gpt-4o")
def llm_chat(kit: Kit) -> Any:
    return kit.llm.chat(_messages()).message.content


@case("chat gpt-4o")
async def llm_achat(kit: Kit) -> Any:
    return (await kit.llm.achat(_messages())).message.content


@case("chat gpt-4o")
def llm_stream_chat(kit: Kit) -> Any:
    return "".join(piece.delta or "" for piece in kit.llm.stream_chat(_messages()))


@case("chat gpt-4o")
async def llm_astream_chat(kit: Kit) -> Any:
    return "".join([piece.delta or "" async for piece in await kit.llm.astream_chat(_messages())])


@case("text_completion gpt-4o")
def llm_complete(kit: Kit) -> Any:
    return kit.llm.complete(QUESTION).text


@case("text_completion gpt-4o")
async def llm_acomplete(kit: Kit) -> Any:
    return (await kit.llm.acomplete(QUESTION)).text


@case("text_completion gpt-4o")
def llm_stream_complete(kit: Kit) -> Any:
    return "".join(piece.delta or "" for piece in kit.llm.stream_complete(QUESTION))


@case("text_completion gpt-4o")
async def llm_astream_complete(kit: Kit) -> Any:
    return "".join([piece.delta or "" async for piece in await kit.llm.astream_complete(QUESTION)])


@case("text_completion gpt-3.5-turbo-instruct")
def llm_of_completions(kit: Kit) -> Any:
    return kit.model("gpt-3.5-turbo-instruct", max_tokens=100).complete(QUESTION).text


@case("chat gpt-3.5-turbo-instruct")
def llm_of_completions_chat(kit: Kit) -> Any:
    return kit.model("gpt-3.5-turbo-instruct", max_tokens=100).chat(_messages()).message.content


@case("chat gpt-4o")
def llm_predict(kit: Kit) -> Any:
    return kit.llm.predict(_prompt(), question=QUESTION)


@case("chat gpt-4o")
async def llm_apredict(kit: Kit) -> Any:
    return await kit.llm.apredict(_prompt(), question=QUESTION)


@case("chat gpt-4o")
def llm_stream(kit: Kit) -> Any:
    return "".join(kit.llm.stream(_prompt(), question=QUESTION))


@case("chat gpt-4o")
async def llm_astream(kit: Kit) -> Any:
    return "".join([piece async for piece in await kit.llm.astream(_prompt(), question=QUESTION)])


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int


@case("chat gpt-4o")
def llm_structured_predict(kit: Kit) -> Any:
    return kit.llm.structured_predict(City, _prompt(), question=QUESTION).name


@case("chat gpt-4o")
async def llm_astructured_predict(kit: Kit) -> Any:
    return (await kit.llm.astructured_predict(City, _prompt(), question=QUESTION)).name


@case("chat gpt-4o")
def llm_as_structured(kit: Kit) -> Any:
    return kit.llm.as_structured_llm(City).chat(_messages()).raw.name


@case("chat gpt-4o", has_output=False)
def llm_chat_with_tools(kit: Kit) -> Any:
    return kit.llm.chat_with_tools([kit.tool()], user_msg=QUESTION)


@case("chat gpt-4o", has_output=False)
async def llm_achat_with_tools(kit: Kit) -> Any:
    return await kit.llm.achat_with_tools([kit.tool()], user_msg=QUESTION)


@case("chat gpt-4o", has_output=False)
def llm_stream_chat_with_tools(kit: Kit) -> Any:
    return list(kit.llm.stream_chat_with_tools([kit.tool()], user_msg=QUESTION))


@case("chat gpt-4o", has_output=False)
async def llm_astream_chat_with_tools(kit: Kit) -> Any:
    return [piece async for piece in await kit.llm.astream_chat_with_tools([kit.tool()], user_msg=QUESTION)]


CALLED = "OpenAI.{}\n  chat gpt-4o\n  execute_tool weather"


@case(CALLED.format("predict_and_call"), has_output=False)
def llm_predict_and_call(kit: Kit) -> Any:
    return kit.llm.predict_and_call([kit.tool()], user_msg=QUESTION)


@case(CALLED.format("apredict_and_call"), has_output=False)
async def llm_apredict_and_call(kit: Kit) -> Any:
    return await kit.llm.apredict_and_call([kit.tool()], user_msg=QUESTION)


@case(EMBEDDED, has_output=False)
def embed_query(kit: Kit) -> Any:
    return kit.embeddings().get_query_embedding(QUESTION)


@case(EMBEDDED, has_output=False)
async def embed_query_async(kit: Kit) -> Any:
    return await kit.embeddings().aget_query_embedding(QUESTION)


@case(EMBEDDED, has_output=False)
def embed_text(kit: Kit) -> Any:
    return kit.embeddings().get_text_embedding(QUESTION)


@case(EMBEDDED, has_output=False)
async def embed_text_async(kit: Kit) -> Any:
    return await kit.embeddings().aget_text_embedding(QUESTION)


@case(EMBEDDED, has_output=False)
def embed_batch(kit: Kit) -> Any:
    return kit.embeddings().get_text_embedding_batch([QUESTION, HERON] * 80)


@case(EMBEDDED, has_output=False)
async def embed_batch_async(kit: Kit) -> Any:
    return await kit.embeddings().aget_text_embedding_batch([QUESTION, HERON] * 80)


@case(EMBEDDED, has_output=False)
def embed_several(kit: Kit) -> Any:
    return kit.embeddings().get_agg_embedding_from_queries([QUESTION, HERON])


@case(EMBEDDED, has_output=False)
def ingest(kit: Kit) -> Any:
    from llama_index.core import Document, VectorStoreIndex

    return VectorStoreIndex.from_documents([Document(text=QUESTION)], embed_model=kit.embeddings())


@case("invoke_workflow IngestionPipeline\n  " + EMBEDDED, has_output=False)
def ingest_by_pipeline(kit: Kit) -> Any:
    from llama_index.core import Document
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter

    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), kit.embeddings()], name=QUESTION)
    return pipeline.run(documents=[Document(text=QUESTION, doc_id=QUESTION)], num_workers=1, store_doc_text=QUESTION)


@case("execute_tool weather", has_output=False)
def tool_call(kit: Kit) -> Any:
    return kit.tool().call(city=QUESTION).content


@case("execute_tool weather", has_output=False)
def tool_as_function(kit: Kit) -> Any:
    return kit.tool()(city=QUESTION).content


@case("execute_tool weather", has_output=False)
async def tool_acall(kit: Kit) -> Any:
    return (await kit.tool().acall(city=QUESTION)).content


@case(_within("execute_tool handbook", QUERY))
def tool_of_an_engine(kit: Kit) -> Any:
    from llama_index.core.tools import QueryEngineTool

    return QueryEngineTool.from_defaults(kit.engine(), name="handbook", description="Birds.").call(QUESTION).content


@case("CompactAndRefine.synthesize\n  chat gpt-4o")
def synthesize_alone(kit: Kit) -> Any:
    from llama_index.core import get_response_synthesizer
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(text=HERON), score=1.0)]
    return str(get_response_synthesizer(llm=kit.llm).synthesize(QUESTION, nodes=nodes))


AGENT = """\
invoke_agent Weather
  chat gpt-4o
  execute_tool weather
  chat gpt-4o"""


@case(AGENT, None)
async def function_agent(kit: Kit) -> Any:
    return str(await kit.agent().run(QUESTION))


@case(AGENT, None)
async def function_agent_streamed(kit: Kit) -> Any:
    handler = kit.agent(streaming=True).run(user_msg=QUESTION)
    events = [event async for event in handler.stream_events()]
    assert any(type(event).__name__ == "AgentStream" for event in events)
    return str(await handler)


REASONED = (
    Text('Thought: I need a tool.\nAction: weather\nAction Input: {"city": "Rome"}\n'),
    Text("Thought: I can answer without using any more tools.\nAnswer: Sunny, as ever."),
)


async def _react(kit: Kit, streaming: bool) -> Any:
    from llama_index.core.agent.workflow import ReActAgent

    kit.server.script(*REASONED)
    agent = ReActAgent(tools=[kit.tool()], llm=kit.llm, name="Weather", description="Knows.", streaming=streaming)
    return str(await agent.run(QUESTION))


@case(AGENT, None)
async def react_agent(kit: Kit) -> Any:
    return await _react(kit, False)


@case(AGENT, None)
async def react_agent_streamed(kit: Kit) -> Any:
    return await _react(kit, True)


TEAM = """\
invoke_agent AgentWorkflow
  invoke_agent Weather
    chat gpt-4o
  execute_tool weather
  invoke_agent Weather
    chat gpt-4o"""


def team(kit: Kit, *tools: Any) -> Any:
    """Two agents, of which one may hand over to the other."""
    from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent

    named = {"llm": kit.llm, "description": "Knows.", "streaming": False}
    first = FunctionAgent(name="Weather", tools=list(tools), can_handoff_to=["Other"], **named)
    other = FunctionAgent(name="Other", tools=list(tools), **named)
    return AgentWorkflow(agents=[first, other], root_agent="Weather")


@case(TEAM, None)
async def agent_workflow(kit: Kit) -> Any:
    return str(await team(kit, kit.tool()).run(user_msg=QUESTION))


@case(TEAM.replace("weather", "handoff"), None)
async def agent_workflow_that_hands_over(kit: Kit) -> Any:
    return str(await team(kit).run(user_msg=QUESTION))


FLOW = """\
invoke_workflow Flow
  write
    text_completion gpt-4o
  check
    checking
      text_completion gpt-4o"""


def traced_flow(kit: Kit, kind: Any = Flow) -> Any:
    """A workflow of the program's own."""
    found = kind(timeout=30)
    found.llm = kit.llm
    return found


@case(FLOW)
async def workflow(kit: Kit) -> Any:
    return await traced_flow(kit).run(topic=QUESTION)


NESTED = """\
invoke_workflow Outer
  delegate
    invoke_workflow Flow
      write
        text_completion gpt-4o
      check
        checking
          text_completion gpt-4o"""


@case(NESTED)
async def workflow_in_a_workflow(kit: Kit) -> Any:
    return await traced_flow(kit, Outer).run(topic=QUESTION)


OLDER = """\
invoke_agent AgentRunner
  chat gpt-4o
  execute_tool weather
  chat gpt-4o"""


def _older_agent(kit: Kit) -> Any:
    if HAS_WORKFLOW_AGENTS:
        pytest.skip("agents are workflows in this version")
    from llama_index.core.agent import FunctionCallingAgentWorker

    return FunctionCallingAgentWorker.from_tools([kit.tool()], llm=kit.llm).as_agent()


@case("", OLDER)
def older_agent_chat(kit: Kit) -> Any:
    return str(_older_agent(kit).chat(QUESTION))


@case("", OLDER)
async def older_agent_achat(kit: Kit) -> Any:
    return str(await _older_agent(kit).achat(QUESTION))


def _older_react(kit: Kit) -> Any:
    if HAS_WORKFLOW_AGENTS:
        pytest.skip("agents are workflows in this version")
    from llama_index.core.agent import ReActAgent

    kit.server.script(*REASONED)
    return ReActAgent.from_tools([kit.tool()], llm=kit.llm)


OLDER_REACT = OLDER.replace("AgentRunner", "ReActAgent")


@case("", OLDER_REACT)
def older_react_chat(kit: Kit) -> Any:
    return str(_older_react(kit).chat(QUESTION))


# These forget the answer before they tell that it is complete: a piece that is being read then is missing.
@case("", OLDER_REACT, has_output=False)
def older_react_stream_chat(kit: Kit) -> Any:
    return "".join(_older_react(kit).stream_chat(QUESTION).response_gen)


@case("", OLDER_REACT, has_output=False)
async def older_react_astream_chat(kit: Kit) -> Any:
    response = await _older_react(kit).astream_chat(QUESTION)
    return "".join([text async for text in response.async_response_gen()])
