"""An ordinary LangChain program: an agent with two tools answers a question, and streams the answer to another.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    python examples/langchain_agent.py

The first import is all there is of autotrace in it.
"""

import autotrace.auto  # noqa: F401, I001  switches tracing on, for every call below
import os
from typing import Any, Literal

from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

WEATHER = {"oslo": "4 degrees and light snow", "paris": "18 degrees and rain", "cairo": "31 degrees and sun"}
OPENING_HOURS = {"Louvre": "from 9 to 18, not on Tuesdays", "Munch": "from 10 to 21", "Prado": "from 10 to 20"}


# The tools: plain functions, whose names, types and docstrings tell the model what they are for.


def get_weather(city: str) -> str:
    """Current weather in a city"""
    return f"The weather in {city} is {WEATHER.get(city.lower(), 'not known')}."


def get_opening_hours(museum: Literal["Louvre", "Munch", "Prado"]) -> str:
    """When a museum is open"""
    return f"The {museum} is open {OPENING_HOURS[museum]}."


agent: Any = create_agent(
    ChatOpenAI(model=MODEL, temperature=0, max_completion_tokens=60),  # reads OPENAI_BASE_URL and OPENAI_API_KEY
    tools=[get_weather, get_opening_hours],
    system_prompt="Answer in one short sentence.",
    name="guide",
)


def conversation(question: str) -> Any:
    """Begin a conversation with the agent."""
    return {"messages": [{"role": "user", "content": question}]}


def ask(question: str) -> None:
    """Print the agent's answer."""
    state = agent.invoke(conversation(question))
    print(f"  {state['messages'][-1].content}")


def watch(question: str) -> None:
    """Print what the tools find, and the answer while the model is still writing it."""
    for message, _ in agent.stream(conversation(question), stream_mode="messages"):
        if isinstance(message, ToolMessage):
            print(f"  {message.name} -> {message.content}\n  ", end="")
        else:
            print(message.content, end="", flush=True)
    print()


if __name__ == "__main__":
    print("What is the weather in Paris?")
    ask("What is the weather in Paris?")
    print("When does the Louvre open? (streamed)")
    watch("When does the Louvre open?")
