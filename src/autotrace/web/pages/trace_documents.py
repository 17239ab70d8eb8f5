"""What a retriever found, or a reranker put in order: documents with their scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .trace_text import Texts, label, number, parsed_json

#: Documents that are shown, and characters of JSON that they are read from.
_SHOWN, _READ = 100, 20_000_000


def documents(attributes: Mapping[str, Any], texts: Texts) -> list[dict[str, Any]]:
    """Documents in the retriever's order: `rank`, `id`, `score`, `share` (the length of a bar, 0 to 100), `content`
    and `metadata`; empty where the span retrieved none.

    Ids and scores stand in `gen_ai.retrieval.documents`, the texts in `output.value`.
    """
    if "gen_ai.retrieval.documents" not in attributes:
        return []
    facts = _list(attributes.get("gen_ai.retrieval.documents"))
    told = _list(attributes.get("output.value"))
    if len(told) != len(facts):
        told = _by_id(facts, told) if facts else told
    found = [
        {**fact, **text} for fact, text in zip(facts or [{} for _ in told], told or [{} for _ in facts], strict=True)
    ]
    scores = [number(one.get("score")) for one in found]
    known = [score for score in scores if score is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    return [
        {
            "rank": rank,
            "id": None if one.get("id") is None else label(one["id"]),
            "score": score,
            "share": None if score is None or high <= low else round(100 * (score - low) / (high - low), 1),
            "content": None if one.get("content") is None else texts.shown(one["content"]),
            "metadata": texts.value(one["metadata"]) if one.get("metadata") else None,
        }
        for rank, (one, score) in enumerate(zip(found[:_SHOWN], scores[:_SHOWN], strict=True), start=1)
    ]


def _by_id(facts: list[dict[str, Any]], told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    texts = {str(one["id"]): one for one in told if one.get("id") is not None}
    return [texts.get(str(fact.get("id")), {}) for fact in facts]


def _list(value: Any) -> list[dict[str, Any]]:
    found = parsed_json(value, _READ) if isinstance(value, str) else value
    return [one if isinstance(one, dict) else {"content": one} for one in found] if isinstance(found, list) else []
