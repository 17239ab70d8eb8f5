"""Everything that a program can call, and the tree that it must leave."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest

from .conftest import QUESTION, Models

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_core.messages import HumanMessage
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
    from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
    from langchain_core.tools import tool
    from langchain_core.vectorstores import InMemoryVectorStore
    from langgraph.graph import END, START, StateGraph
    from langgraph.graph.message import add_messages
    from langgraph.prebuilt import create_react_agent

try:
    from langgraph.types import Send
except ImportError:
    from langgraph.constants import Send


class State(TypedDict, total=False):
    """What the graphs of the tests pass on."""

    messages: Annotated[list[Any], add_messages]
    words: Annotated[list[Any], operator.add]


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sun in {city}"


@dataclass(frozen=True)
class Entry:
    """One thing to call.

    Attributes:
        make: From a maker of chat models to it.
        given: What it is called with.
        tree: The spans that one call leaves.
        billed: Whether it calls a model at all when it is streamed and left at once.
    """

    make: Callable[[Models], Any]
    given: Any
    tree: str


PROMPT = ChatPromptTemplate.from_messages([("system", "Be short."), ("user", "{question}")])
ASKED = {"question": QUESTION}
SAID = {"messages": [("user", QUESTION)]}


def _chain(chat: Models) -> Any:
    return PROMPT | chat() | StrOutputParser()


def _text(chat: Models) -> Any:
    return PromptTemplate.from_template("Say {question}") | chat.text()


def _parallel(chat: Models) -> Any:
    return RunnableParallel(one=_chain(chat), two=_chain(chat))


def _lambda(chat: Models) -> Any:
    def look_up(question: str) -> str:
        return "The heron nests in trees."

    found = {"facts": RunnableLambda(look_up), "question": RunnablePassthrough()}
    return found | ChatPromptTemplate.from_messages([("user", "{facts} {question}")]) | chat() | StrOutputParser()


def _retrieval(chat: Models) -> Any:
    import autotrace

    with autotrace.suppress():
        store = InMemoryVectorStore.from_texts(["Herons nest in trees.", "Owls hoot."], chat.embeddings())
    prompt = ChatPromptTemplate.from_messages([("user", "{context} {question}")])
    return {"context": store.as_retriever(), "question": RunnablePassthrough()} | prompt | chat() | StrOutputParser()


def _fallback(chat: Models) -> Any:
    return PROMPT | chat("gpt-4o", base_url="http://127.0.0.1:1/v1").with_fallbacks([chat("gpt-4o-mini")])


def _graph(chat: Models) -> Any:
    model = chat()

    def answer(state: State) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    def decide(state: State) -> str:
        return "note"

    def note(state: State) -> Any:
        return {"words": ["noted"]}

    graph = StateGraph(State)
    graph.add_node("answer", answer)
    graph.add_node("note", note)
    graph.add_edge(START, "answer")
    graph.add_conditional_edges("answer", decide, {"note": "note"})
    graph.add_edge("note", END)
    return graph.compile()


def _subgraph(chat: Models) -> Any:
    graph = StateGraph(State)
    graph.add_node("inner", _graph(chat))
    graph.add_edge(START, "inner")
    graph.add_edge("inner", END)
    return graph.compile()


def _send(chat: Models) -> Any:
    model = chat()

    def spread(state: State) -> list[Any]:
        return [Send("work", {"words": [str(number)]}) for number in range(3)]

    def work(state: State) -> Any:
        return {"words": [model.invoke([HumanMessage(state["words"][0])]).content]}

    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_conditional_edges(START, spread, ["work"])
    graph.add_edge("work", END)
    return graph.compile()


def _branches(chat: Models) -> Any:
    model = chat()

    def one(state: State) -> Any:
        return {"words": [model.invoke("one").content]}

    def two(state: State) -> Any:
        return {"words": [model.invoke("two").content]}

    graph = StateGraph(State)
    graph.add_node("one", one)
    graph.add_node("two", two)
    for name in ("one", "two"):
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    return graph.compile()


def _react(chat: Models) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated since LangGraph 1, and still there
        return create_react_agent(chat(), [weather])


def _agent(chat: Models) -> Any:
    agents = pytest.importorskip("langchain.agents")
    if not hasattr(agents, "create_agent"):
        pytest.skip("this LangChain has no create_agent")
    return agents.create_agent(chat(), [weather], name="forecaster")


CHAT = "  chat gpt-4o"
AGENT_STEP = "\n    chat gpt-4o"
ENTRIES = {
    "model": Entry(lambda chat: chat(), QUESTION, "chat gpt-4o"),
    "chain": Entry(_chain, ASKED, f"invoke_workflow RunnableSequence\n{CHAT}"),
    "text": Entry(_text, ASKED, "invoke_workflow RunnableSequence\n  text_completion gpt-3.5-turbo-instruct"),
    "parallel": Entry(_parallel, ASKED, f"invoke_workflow RunnableParallel<one,two>\n{CHAT}\n{CHAT}"),
    "lambda": Entry(_lambda, QUESTION, f"invoke_workflow RunnableSequence\n  look_up\n{CHAT}"),
    "retrieval": Entry(
        _retrieval,
        QUESTION,
        "invoke_workflow RunnableSequence\n  retrieval VectorStoreRetriever\n    embeddings text-embedding-3-small\n"
        + CHAT,
    ),
    "fallback": Entry(_fallback, ASKED, f"invoke_workflow RunnableSequence\n{CHAT} !\n  chat gpt-4o-mini"),
    "graph": Entry(_graph, SAID, "invoke_workflow LangGraph\n  answer\n    chat gpt-4o\n  note"),
    "subgraph": Entry(
        _subgraph,
        SAID,
        "invoke_workflow LangGraph\n  inner\n    invoke_workflow LangGraph\n      answer\n"
        "        chat gpt-4o\n      note",
    ),
    "send": Entry(_send, {"words": []}, "invoke_workflow LangGraph" + "\n  work\n    chat gpt-4o" * 3),
    "branches": Entry(
        _branches, {"words": []}, "invoke_workflow LangGraph\n  one\n    chat gpt-4o\n  two\n    chat gpt-4o"
    ),
    "react agent": Entry(
        _react,
        SAID,
        f"invoke_agent LangGraph\n  agent{AGENT_STEP}\n  tools\n    execute_tool weather\n  agent{AGENT_STEP}",
    ),
    "agent": Entry(
        _agent,
        SAID,
        f"invoke_agent forecaster\n  model{AGENT_STEP}\n  tools\n    execute_tool weather\n  model{AGENT_STEP}",
    ),
}
