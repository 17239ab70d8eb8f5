"""Which requests are calls of a model, and whose."""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from autotrace import stainless


class Endpoint(NamedTuple):
    """A path of the API.

    Attributes:
        operation: `gen_ai.operation.name` of calls to it.
        api: Its kind, by which requests and replies are read.
    """

    operation: str
    api: str


_POST = {
    "chat/completions": Endpoint("chat", "chat"),
    "responses": Endpoint("chat", "responses"),
    "responses/compact": Endpoint("compact", "responses"),
    "embeddings": Endpoint("embeddings", "embeddings"),
    "completions": Endpoint("text_completion", "completions"),
    "images/generations": Endpoint("image_generation", "images"),
    "images/edits": Endpoint("image_generation", "images"),
    "images/variations": Endpoint("image_generation", "images"),
    "audio/transcriptions": Endpoint("transcription", "audio"),
    "audio/translations": Endpoint("translation", "audio"),
    "audio/speech": Endpoint("speech", "speech"),
    "moderations": Endpoint("moderation", "moderations"),
}
_RETRIEVED = Endpoint("fetch_response", "responses")
_RESPONSE = re.compile(r"(^|/)responses/[^/]+$")
#: What stands before the endpoint in a full address: the host, a version, an Azure deployment.
_BEFORE = re.compile(r"^(https?://[^/]+)?/*((openai|v\d+(beta\d*)?|deployments/[^/]+)/+)*")


@functools.lru_cache(maxsize=1024)
def endpoint(method: str, url: str) -> Endpoint | None:
    """The endpoint that a request goes to; None for what asks no model (files, batches, models, ...)."""
    path = _BEFORE.sub("", url.partition("?")[0], count=1).strip("/")
    if method == "post":
        return _POST.get(path)
    return _RETRIEVED if method == "get" and _RESPONSE.search(path) else None


#: The host that takes `stream_options.include_usage`, with its regions (`eu.api.openai.com`). Others may answer an
#: unknown field with an error.
_REPORTS_STREAM_USAGE = "api.openai.com"


def provider(client: Any, host: str | None) -> str:
    """`gen_ai.provider.name` of a client's host: `openai` for what speaks its protocol and is nobody we know."""
    return "azure.ai.openai" if "Azure" in type(client).__name__ else stainless.provider(host, "openai")


def reports_stream_usage(host: str | None) -> bool:
    """Whether a host is known to report the usage of a stream when asked."""
    return host is not None and f".{host.lower()}".endswith("." + _REPORTS_STREAM_USAGE)
