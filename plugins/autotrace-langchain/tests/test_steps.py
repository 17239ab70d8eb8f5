"""Which steps have a span of their own, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda, chain
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, StateGraph

from autotrace.testing.openai_server import OpenAIServer

from .conftest import Models, Spans
from .entries import State

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated.*", "ignore::PendingDeprecationWarning", "ignore:unclosed:ResourceWarning"
)


@chain
def rewrite(text: str) -> str:
    """A step of the program's own."""
    return text.upper()


@chain
def plan(text: str) -> Any:
    """Another one, made of the first."""
    return rewrite.invoke(text)


def in_node() -> Any:
    """A graph whose node calls a chain of the program's own, and whose branch does nothing worth telling."""

    def work(state: State) -> Any:
        return {"words": [plan.invoke("nest")]}

    def should_continue(state: State) -> str:
        return END

    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_edge(START, "work")
    graph.add_conditional_edges("work", should_continue, [END])
    return graph.compile()


def test_a_chain_in_a_node_and_in_a_tool(spans: Spans) -> None:
    """A step that the program has named stands in a graph's node as it does in a tool; branches do not."""

    @tool
    def look_up(text: str) -> str:
        """Looks something up."""
        return str(plan.invoke(text))

    look_up.invoke({"text": "nest"})
    in_node().invoke({"words": []})
    assert spans.tree() == (
        "execute_tool look_up\n  plan\n    rewrite\ninvoke_workflow LangGraph\n  work\n    plan\n      rewrite"
    )


def test_tasks(spans: Spans) -> None:
    """The tasks of LangGraph's functional API are its steps; one that fails is told, though the flow goes on."""
    func = pytest.importorskip("langgraph.func", reason="this LangGraph has no functional API")

    @func.task
    def fetch(text: str) -> Any:
        return plan.invoke(text)

    @func.task
    def store(text: str) -> Any:
        raise ValueError("full")

    @func.entrypoint()
    def flow(text: str) -> Any:
        found = fetch(text).result()
        with pytest.raises(ValueError, match="full"):
            store(found).result()
        return found

    assert flow.invoke("nest") == "NEST"
    assert spans.tree() == ("invoke_workflow LangGraph\n  flow\n    fetch\n      plan\n        rewrite\n    store !")


@pytest.mark.parametrize("name", ["write", "write summary", "Prompt injection check", "Branch office", "identity card"])
def test_names_of_the_program(spans: Spans, name: str) -> None:
    """A name that only begins like one of LangChain's own is the program's."""
    (rewrite | RunnableLambda(lambda text: text).with_config(run_name=name)).invoke("nest")
    assert spans.tree().split("\n") == ["invoke_workflow RunnableSequence", "  rewrite", f"  {name}"]


def test_a_text_is_a_text(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A chain that gives a text says that text: nobody's message."""
    said = (chat() | StrOutputParser()).invoke("nest?")
    assert spans.root().attributes["output.value"] == said
    assert "gen_ai.output.messages" not in spans.root().attributes


def test_an_interrupt_and_its_answer(spans: Spans) -> None:
    """A node that waits for a human says what it asks; the call that goes on says the answer alone."""
    types = pytest.importorskip("langgraph.types", reason="this LangGraph has no interrupt()")
    if not hasattr(types, "interrupt"):
        pytest.skip("this LangGraph has no interrupt()")

    def ask(state: State) -> Any:
        return {"words": [types.interrupt({"question": "Delete it?"})]}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    compiled, config = graph.compile(checkpointer=MemorySaver()), {"configurable": {"thread_id": "t"}}
    compiled.invoke({"words": []}, config)
    assert json.loads(spans.named("ask").attributes["output.value"]) == {"question": "Delete it?"}
    spans.clear()
    compiled.invoke(types.Command(resume="yes"), config)
    assert json.loads(spans.root().attributes["input.value"]) == {"resume": "yes"}
