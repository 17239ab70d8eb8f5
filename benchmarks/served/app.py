"""A chat application as one writes it with FastAPI: a question comes in, the model's answer goes out piece by piece.

`SERVED_TRACER` names the module that switches a tracer on, before anything else is imported.
"""

import importlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

importlib.import_module(os.environ["SERVED_TRACER"])

from fastapi import FastAPI  # noqa: E402
from fastapi.responses import StreamingResponse  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402
from pydantic import BaseModel  # noqa: E402

SYSTEM = "You answer from the passages given, in one short paragraph, and name your source. " * 5

app = FastAPI()
client = AsyncOpenAI()


class Question(BaseModel):
    """What is asked, in which session."""

    question: str
    session_id: str


@app.post("/chat")
async def chat(asked: Question) -> StreamingResponse:
    """The answer as server-sent events."""
    return StreamingResponse(events(asked.question), media_type="text/event-stream")


async def events(question: str) -> AsyncIterator[str]:
    """One event a piece of the answer."""
    messages: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    chunks = await client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            yield f"data: {json.dumps({'delta': chunk.choices[0].delta.content})}\n\n"
    yield "data: [DONE]\n\n"
