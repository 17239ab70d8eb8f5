"""A chat page over an agent: FastAPI, an answer that is streamed while it is written, thumbs and a comment beneath it.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    cd examples/serving/fastapi_chat
    autotrace run uvicorn app:app

There is nothing of autotrace in it. What the page sends with a question (its session), and where it sends a thumb
(`/autotrace/feedback`, for the trace that the answer's header names), is in page.html.
"""

import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from openai import AsyncOpenAI, OpenAIError
from pydantic import BaseModel, Field

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
TURNS = 3  # enough for any question here; a limit, in case the model never answers
PAGE = Path(__file__).with_name("page.html")

app = FastAPI()
client = AsyncOpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY


class Turn(BaseModel):
    """What one side has said."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=20_000)


class Conversation(BaseModel):
    """What the page sends: all that was said so far, the question last."""

    messages: list[Turn] = Field(min_length=1, max_length=100)


WEATHER = {"oslo": "4 degrees and light snow", "paris": "18 degrees and rain", "cairo": "31 degrees and sun"}
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def get_weather(city: str) -> str:
    """Look a city up in our tiny weather service."""
    return f"The weather in {city} is {WEATHER.get(city.lower(), 'not known')}."


async def answer(turns: list[Turn]) -> AsyncIterator[str]:
    """Yield the answer while the model writes it, and let the model look up the weather before."""
    messages: list[Any] = [{"role": "system", "content": "Answer in one short sentence."}]
    messages += [turn.model_dump() for turn in turns]
    for _ in range(TURNS):
        async with client.chat.completions.stream(
            model=MODEL, messages=messages, tools=[TOOL], max_completion_tokens=200
        ) as stream:
            async for event in stream:
                if event.type == "content.delta" and event.delta:
                    yield event.delta
            reply = (await stream.get_final_completion()).choices[0].message
        if not reply.tool_calls:
            return
        messages.append(reply.model_dump(include={"role", "content", "tool_calls"}))
        for call in reply.tool_calls:
            found = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
    yield "I could not find out."


async def events(turns: list[Turn]) -> AsyncIterator[str]:
    """Wrap an answer as server-sent events: pieces of text, then [DONE], or an error that tells no secrets."""
    try:
        async for piece in answer(turns):
            yield f"data: {json.dumps({'delta': piece})}\n\n"
    except OpenAIError:
        logging.getLogger("uvicorn.error").exception("The model has failed")
        yield f"data: {json.dumps({'error': 'The model has failed.'})}\n\n"
    yield "data: [DONE]\n\n"


@app.get("/")
def page() -> FileResponse:
    """Show the page; it runs its own script alone, and talks to nobody else."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
    return FileResponse(PAGE, headers={"content-security-policy": policy})


@app.post("/chat")
async def chat(conversation: Conversation) -> StreamingResponse:
    """Stream the agent's answer."""
    return StreamingResponse(events(conversation.messages), media_type="text/event-stream")
