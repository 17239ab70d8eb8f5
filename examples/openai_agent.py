"""An ordinary OpenAI program: it calls tools, searches a handbook with embeddings, and streams an answer.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    python examples/openai_agent.py

The first import is all there is of autotrace in it.
"""

import autotrace.auto  # noqa: F401, I001  switches tracing on, for every call below
import json
import os
from collections.abc import Callable
from typing import Any

from openai import OpenAI

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
EMBEDDING_MODEL = os.environ.get("OPENAI_EMBEDDING_MODEL", "text-embedding-3-small")

client = OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY

HANDBOOK = [
    "Holiday: everyone has 28 days of paid holiday a year.",
    "Travel: your team lead approves trips; book trains before planes.",
    "Laptops: IT replaces a laptop every three years.",
    "Expenses: hand in receipts within 30 days.",
]
WEATHER = {"oslo": "4 degrees and light snow", "paris": "18 degrees and rain", "cairo": "31 degrees and sun"}


# The tools: plain functions, which the model may ask us to call.


def get_weather(city: str) -> str:
    """Look a city up in our tiny weather service."""
    return f"The weather in {city} is {WEATHER.get(city.lower(), 'not known')}."


def search_handbook(query: str) -> str:
    """Return the handbook's entry whose meaning is nearest to the query."""
    reply = client.embeddings.create(model=EMBEDDING_MODEL, input=[query, *HANDBOOK])
    wanted, *entries = [item.embedding for item in reply.data]
    nearness = [sum(a * b for a, b in zip(wanted, entry, strict=True)) for entry in entries]
    return HANDBOOK[nearness.index(max(nearness))]


TOOLS: dict[str, Callable[..., str]] = {"get_weather": get_weather, "search_handbook": search_handbook}


def describe(name: str, description: str, parameter: str) -> dict[str, Any]:
    """Describe a tool with one text parameter in the form that the API wants."""
    properties = {parameter: {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": [parameter]}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


DESCRIPTIONS: list[Any] = [
    describe("get_weather", "Current weather in a city", "city"),
    describe("search_handbook", "Search the staff handbook", "query"),
]


def ask(question: str) -> str:
    """Let the model call tools until it can answer the question."""
    messages: list[Any] = [
        {"role": "system", "content": "Answer in one short sentence."},
        {"role": "user", "content": question},
    ]
    for _ in range(3):  # enough turns for any question here; a limit, in case the model never answers
        reply = client.chat.completions.create(
            model=MODEL, messages=messages, tools=DESCRIPTIONS, max_tokens=60, temperature=0
        )
        message = reply.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message)
        for call in message.tool_calls:
            if call.type != "function":
                continue
            result = TOOLS[call.function.name](**json.loads(call.function.arguments))
            print(f"  {call.function.name}({call.function.arguments}) -> {result}")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return "I could not find out."


def tell(facts: list[str]) -> None:
    """Print a summary of the facts while the model is still writing it."""
    prompt = "Write one friendly sentence to a colleague with these facts: " + " ".join(facts)
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=60, temperature=0, stream=True
    )
    for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    answers = []
    for question in (
        "What is the weather in Oslo?",
        "Search the handbook: how many days of holiday do I get?",
    ):
        print(question)
        answers.append(ask(question))
        print(f"  {answers[-1]}")
    print("In one sentence, streamed:")
    tell(answers)
