"""A Flask application that asks a model, and streams its answer; it knows nothing of us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask, Response, request
from openai import OpenAI

app = Flask(__name__)
USAGE: Any = {"include_usage": True}
client = OpenAI()


def messages(question: str) -> Iterable[Any]:
    return [{"role": "user", "content": question}]


@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}


@app.post("/ask")
def ask() -> dict[str, str | None]:
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=messages(request.json["question"]))
    return {"answer": reply.choices[0].message.content}


@app.post("/stream")
def stream() -> Response:
    return Response(events(request.json["question"]), mimetype="text/event-stream")


def events(question: str) -> Iterator[str]:
    """The answer piece by piece, as server-sent events."""
    for chunk in client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(question), stream=True, stream_options=USAGE
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            yield f"data: {json.dumps({'delta': chunk.choices[0].delta.content})}\n\n"
    yield "data: [DONE]\n\n"
