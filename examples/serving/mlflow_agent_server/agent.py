"""A ResponsesAgent, and what MLflow's AgentServer is to call for it. serve.py says how it is started.

Both functions at the end leave the work to a thread: what is not `async`, AgentServer calls in its event loop, where
one slow answer holds all others up.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

from mlflow.genai.agent_server import invoke, stream
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import (
    ResponsesAgentRequest,
    ResponsesAgentResponse,
    ResponsesAgentStreamEvent,
    output_to_responses_items_stream,
    to_chat_completions_input,
)
from openai import OpenAI
from starlette.concurrency import iterate_in_threadpool

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
TURNS = 3  # enough for any question here; a limit, in case the model never answers

WEATHER = {"oslo": "4 degrees and light snow", "paris": "18 degrees and rain", "cairo": "31 degrees and sun"}
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def get_weather(city: str) -> str:
    """Look a city up in our tiny weather service."""
    return f"The weather in {city} is {WEATHER.get(city.lower(), 'not known')}."


class WeatherAgent(ResponsesAgent):
    """Answers questions, and looks up the weather where it must."""

    def __init__(self) -> None:
        self.client = OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY

    def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        """Answer in one piece."""
        events = self.predict_stream(request)
        return ResponsesAgentResponse(
            output=[event.item for event in events if event.type == "response.output_item.done"]
        )

    def predict_stream(self, request: ResponsesAgentRequest) -> Iterator[ResponsesAgentStreamEvent]:
        """Answer while the model writes, its calls of the tool and what they find included."""
        items: list[Any] = [item.model_dump(exclude_none=True) for item in request.input]
        for _ in range(TURNS):
            chunks = self.client.chat.completions.create(
                model=MODEL, messages=to_chat_completions_input(items), tools=[TOOL], stream=True
            )
            written: list[dict[str, Any]] = []
            yield from output_to_responses_items_stream((chunk.to_dict() for chunk in chunks), written)
            items += written
            calls = [item for item in written if item["type"] == "function_call"]
            if not calls:
                return
            for call in calls:
                found = get_weather(**json.loads(call["arguments"]))
                item = self.create_function_call_output_item(call["call_id"], found)
                yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)
                items.append(item)


agent = WeatherAgent()


@invoke()
async def answer(request: ResponsesAgentRequest) -> ResponsesAgentResponse:
    """Answer a request."""
    return await asyncio.to_thread(agent.predict, request)


@stream()
async def answer_piece_by_piece(request: ResponsesAgentRequest) -> AsyncIterator[ResponsesAgentStreamEvent]:
    """Answer a request that says `"stream": true`."""
    async for event in iterate_in_threadpool(agent.predict_stream(request)):
        yield event
