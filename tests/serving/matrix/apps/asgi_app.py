"""A FastAPI application that asks a model in each of the ways in which such applications do; it knows nothing of us."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

app = FastAPI()
USAGE: Any = {"include_usage": True}
client, async_client = OpenAI(), AsyncOpenAI()


class Question(BaseModel):
    question: str


def messages(question: str) -> Iterable[Any]:
    return [{"role": "user", "content": question}]


@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}


@app.post("/ask")
def ask(asked: Question) -> dict[str, str | None]:
    """In the thread pool, as endpoints that are no coroutines are."""
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=messages(asked.question))
    return {"answer": reply.choices[0].message.content}


@app.post("/ask-async")
async def ask_async(asked: Question) -> dict[str, str | None]:
    reply = await async_client.chat.completions.create(model="gpt-4o-mini", messages=messages(asked.question))
    return {"answer": reply.choices[0].message.content}


@app.post("/stream")
async def stream(asked: Question) -> StreamingResponse:
    return StreamingResponse(events(asked.question), media_type="text/event-stream")


async def events(question: str) -> AsyncIterator[str]:
    """The answer piece by piece, as server-sent events."""
    chunks = await async_client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(question), stream=True, stream_options=USAGE
    )
    async for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            yield f"data: {json.dumps({'delta': chunk.choices[0].delta.content})}\n\n"
    yield "data: [DONE]\n\n"
