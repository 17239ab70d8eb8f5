"""An agent on Ray Serve: the model calls run in replicas, which Ray starts, moves and adds to by itself.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    cd examples/serving/ray_serve
    autotrace run serve run app:agent

    curl 127.0.0.1:8000/ask --json '{"question": "What is the weather in Oslo?", "session_id": "chat-7"}'

There is nothing of autotrace in it. Ray's workers inherit what the command has put into the environment, so they are
traced too.
"""

import json
import os
from typing import Any

from fastapi import FastAPI
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict
from ray import serve

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

api = FastAPI()


class Question(BaseModel):
    """What is asked; other fields, such as a session, are for those who look on."""

    model_config = ConfigDict(extra="allow")
    question: str


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0.5})
@serve.ingress(api)
class Agent:
    """Answers questions, and looks up the weather where it must."""

    def __init__(self) -> None:
        self.client = AsyncOpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY

    @staticmethod
    def get_weather(city: str) -> str:
        """Look a city up in our tiny weather service."""
        return f"The weather in {city} is {WEATHER.get(city.lower(), 'not known')}."

    @api.post("/ask")
    async def ask(self, question: Question) -> dict[str, str]:
        """Answer the question in `{"question": "..."}`."""
        messages: list[Any] = [{"role": "user", "content": question.question}]
        for _ in range(TURNS):
            reply = await self.client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
            message = reply.choices[0].message
            if not message.tool_calls:
                return {"answer": message.content or ""}
            messages.append(message)
            for call in message.tool_calls:
                found = self.get_weather(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
        return {"answer": "I could not find out."}


agent = Agent.bind()
