"""Runs of retrievers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from autotrace import Call, Document, Ended, RequestValues, Run

Find = Callable[[Hashable], Run | None]

#: Where retrievers put how near a document is: LangChain has no place of its own for it.
_SCORES = ("relevance_score", "score", "_score", "similarity_score")


def started(call: Call, manager: Any, find: Find) -> Run:
    """A retriever's run that has begun."""
    about = call.argument("serialized")
    path = about.get("id") if isinstance(about, dict) else None
    name = call.kwargs.get("name") or (path[-1] if isinstance(path, list) and path else None)
    values: RequestValues = {"name": str(name or ""), "input_value": call.argument("query")}
    return Run(manager.run_id, parent=manager.parent_run_id, operation="retrieval", values=values, holder=manager)


def ended(call: Call) -> Ended:
    """A retriever's run that has ended well."""
    found = call.argument("documents")
    found = found if isinstance(found, list | tuple) else ()
    return Ended(call.instance.run_id, lambda: {"documents": [_document(one) for one in found]})


def _document(document: Any) -> Document:
    metadata = getattr(document, "metadata", None)
    known: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
    scores = (known.get(name) for name in _SCORES)
    score = next((float(score) for score in scores if isinstance(score, int | float)), None)
    own = getattr(document, "id", None) or known.get("id")
    return Document(
        getattr(document, "page_content", None), str(own) if own is not None else None, score, known or None
    )
