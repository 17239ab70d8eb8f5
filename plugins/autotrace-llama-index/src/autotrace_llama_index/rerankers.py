"""What puts retrieved nodes in another order, or drops some."""

from __future__ import annotations

from typing import Any

from autotrace import Call, RequestValues, ResponseValues

from .values import documents, is_own, text_of_query


def request(call: Call) -> RequestValues | None:
    """A reranker, or a step of the program's own; LlamaIndex's filters and the like are plumbing."""
    kind = type(call.instance)
    is_reranker = "rerank" in kind.__name__.lower()
    if not is_reranker and is_own(kind) and call.settings.get("detail") != "full":
        return None
    query = call.argument("query_bundle") or call.argument("query_str")
    nodes = call.argument("nodes")
    found: RequestValues = {"operation": "rerank" if is_reranker else "", "name": kind.__name__}
    if query is not None:
        found["input_value"] = text_of_query(query)
    if isinstance(nodes, list | tuple):
        found["attributes"] = {"autotrace.rerank.candidates": len(nodes)}
    if is_reranker:
        found["model"] = _model(call.instance)
    return found


def response(nodes: Any) -> ResponseValues:
    """What is left, in its new order."""
    return {"documents": documents(nodes)}


def _model(instance: Any) -> str | None:
    known = getattr(instance, "model", None)
    return known if isinstance(known, str) else None
