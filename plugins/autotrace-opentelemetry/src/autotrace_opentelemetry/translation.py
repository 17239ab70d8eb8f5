"""From what an instrumentor's span says, in whichever vocabulary, to the values that all plugins return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import RequestValues, ResponseValues

from . import genai, openinference

Translated = tuple[RequestValues, ResponseValues, Mapping[str, Any]]

#: Attributes that hold no content, by OpenTelemetry's conventions: kept whatever else is dropped.
_FACTS = frozenset(
    (
        *("error.type", "http.request.method", "http.response.status_code", "http.method", "http.status_code"),
        *("server.address", "server.port", "network.protocol.name", "network.protocol.version", "url.scheme"),
        *("db.system", "db.system.name", "db.operation", "db.operation.name", "db.collection.name"),
        *("rpc.system", "rpc.service", "rpc.method", "messaging.system", "messaging.operation.type"),
    )
)


def translate(name: str, attributes: Mapping[str, Any]) -> Translated:
    """The values before and after, and the attributes that are left: those may be content.

    Args:
        name: The span's.
        attributes: The span's, as far as they are known; never changed.
    """
    left = dict(attributes)
    facts = {key: left.pop(key) for key in _FACTS & left.keys()}
    if any(key.startswith(("openinference.", "llm.", "embedding.")) for key in left) and not genai.speaks(left):
        request, response = openinference.values(left)
    else:
        request, response = genai.values(left)
    request["attributes"] = {**facts, **request.get("attributes", {})}
    return request, response, left
