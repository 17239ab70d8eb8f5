"""Which requests are calls of a model, and whose."""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple


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


_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.cerebras.ai": "cerebras",
}
#: The host that takes `stream_options.include_usage`, with its regions (`eu.api.openai.com`). Others may answer an
#: unknown field with an error.
_REPORTS_STREAM_USAGE = "api.openai.com"


def provider(client: Any, host: str | None) -> str:
    """`gen_ai.provider.name` of a client's host: `openai` for what speaks its protocol and is nobody we know."""
    return "azure.ai.openai" if "Azure" in type(client).__name__ else _provider(host)


@functools.lru_cache(maxsize=1024)
def _provider(host: str | None) -> str:
    labels = (host or "").lower().split(".")
    for start in range(len(labels)):
        known = _PROVIDERS.get(".".join(labels[start:]))
        if known is not None:
            return known
    return "openai"


def reports_stream_usage(host: str | None) -> bool:
    """Whether a host is known to report the usage of a stream when asked."""
    return host is not None and f".{host.lower()}".endswith("." + _REPORTS_STREAM_USAGE)


def server(client: Any) -> tuple[str | None, int | None]:
    """Host and port that a client talks to; the port where it is not its scheme's own."""
    url = getattr(client, "base_url", None)
    return getattr(url, "host", None), getattr(url, "port", None)
