"""An ordinary LangGraph program: a model writes a letter about a claim, and a large claim waits for a person's word.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    python examples/langgraph_approval.py

The first import is all there is of autotrace in it.
"""

import autotrace.auto  # noqa: F401, I001  switches tracing on, for every call below
import os
from typing import Any, Literal, TypedDict

from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
PAID_WITHOUT_ASKING = 100  # euros

model = ChatOpenAI(model=MODEL, temperature=0, max_completion_tokens=60)  # reads OPENAI_BASE_URL and OPENAI_API_KEY


class Claim(TypedDict, total=False):
    """What somebody wants to have paid back, and what became of it."""

    item: str
    euros: int
    approved: bool
    letter: str


# The nodes: each is given the state, and returns what changes in it.


def approve(state: Claim) -> Claim:
    """Wait for a person: the run ends here, and goes on from here when it is resumed with an answer."""
    return {"approved": interrupt(f"Pay {state['euros']} euros for {state['item']}?")}


def pay(state: Claim) -> Claim:
    """Say yes to a claim that nobody need look at."""
    return {"approved": True}


def write(state: Claim) -> Claim:
    """Let the model tell what becomes of the claim."""
    outcome = "is paid this week" if state["approved"] else "is not paid"
    fact = f"The claim of {state['euros']} euros for {state['item']} {outcome}."
    question = f"{fact} What becomes of the claim?"
    reply = model.invoke([("system", "Answer in one friendly sentence."), ("user", question)])
    return {"letter": str(reply.content)}


def next_step(state: Claim) -> Literal["approve", "pay"]:
    """Choose the branch."""
    return "approve" if state["euros"] > PAID_WITHOUT_ASKING else "pay"


def build() -> Any:
    """Put the graph together: a branch, an interrupt, and a memory in which a run can wait."""
    graph = StateGraph(Claim)
    graph.add_node("approve", approve)
    graph.add_node("pay", pay)
    graph.add_node("write", write)
    graph.add_conditional_edges(START, next_step)
    graph.add_edge("approve", "write")
    graph.add_edge("pay", "write")
    graph.add_edge("write", END)
    return graph.compile(checkpointer=InMemorySaver(), name="claims")


def thread(name: str) -> RunnableConfig:
    """Name the conversation that a run belongs to."""
    return {"configurable": {"thread_id": name}}


if __name__ == "__main__":
    claims = build()
    print("A claim of 20 euros is paid without asking:")
    print(f"  {claims.invoke(Claim(item='a train ticket', euros=20), thread('claim-1'))['letter']}")
    print("A claim of 900 euros waits for approval:")
    waiting = claims.invoke(Claim(item="a desk", euros=900), thread("claim-2"))
    print(f"  {waiting['__interrupt__'][0].value} Yes.")
    print(f"  {claims.invoke(Command(resume=True), thread('claim-2'))['letter']}")
