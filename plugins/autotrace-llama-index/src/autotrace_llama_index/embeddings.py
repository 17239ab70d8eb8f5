"""Embeddings: LlamaIndex's methods give back vectors alone; tokens are known to the provider's plugin only."""

from __future__ import annotations

from typing import Any

from autotrace import Call, RequestValues, ResponseValues

from .models import model_of, provider_of


def request(call: Call) -> RequestValues:
    """The model, and the texts where they are a list: an iterator of texts is the program's to read."""
    found: RequestValues = {"model": model_of(call.instance)}
    provider = provider_of(call.instance)
    if provider is not None:
        found["provider"] = provider
    given = next((value for name in ("query", "text", "texts", "queries") if (value := call.argument(name))), None)
    if isinstance(given, str | list | tuple):
        found["input_value"] = given
    return found


def response(vectors: Any) -> ResponseValues | None:
    """How many vectors came back, and how long they are."""
    if not isinstance(vectors, list) or not vectors:
        return None
    several = isinstance(vectors[0], list)
    first = vectors[0] if several else vectors
    return {
        "output_value": f"<{len(vectors) if several else 1} vectors>",
        "attributes": {"gen_ai.embeddings.dimension.count": len(first)},
    }
