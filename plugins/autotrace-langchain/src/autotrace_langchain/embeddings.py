"""Embeddings, which LangChain reports to nobody."""

from __future__ import annotations

from typing import Any

from autotrace import Call, RequestValues, ResponseValues


def request(call: Call) -> RequestValues:
    """What is known of an embedding before it is made."""
    own = getattr(call.instance, "__dict__", {})
    model = own.get("model") or own.get("model_name") or own.get("model_id") or type(call.instance).__name__
    texts = call.argument("texts")
    return {
        "model": model if isinstance(model, str) else type(call.instance).__name__,
        # An iterator of texts is the program's to read.
        "input_value": texts if isinstance(texts, list | tuple) else call.argument("text"),
    }


def response(vectors: Any) -> ResponseValues | None:
    """How many vectors came back, and how long they are."""
    if not isinstance(vectors, list) or not vectors:
        return None
    several = isinstance(vectors[0], list)
    return {
        "output_value": f"<{len(vectors) if several else 1} vectors>",
        "attributes": {"gen_ai.embeddings.dimension.count": len(vectors[0] if several else vectors)},
    }
