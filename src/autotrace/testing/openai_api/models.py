"""The list of models."""

from __future__ import annotations

from autotrace.testing.openai_api.ask import Ask
from autotrace.testing.openai_api.reply import CREATED, Reply, encode


def models(ask: Ask) -> Reply:
    """`GET /models` and `GET /models/{id}`."""
    named = ask.endpoint.split("/")[1:] or ["gpt-4o", "gpt-5.4", "text-embedding-3-small"]
    data = [{"id": n, "object": "model", "created": CREATED, "owned_by": "openai"} for n in named]
    return Reply(encode({"object": "list", "data": data} if ask.endpoint == "models" else data[0]))
