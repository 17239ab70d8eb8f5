"""SDKs made by Stainless (OpenAI's, Anthropic's, Groq's, Together's, ...) are patched and read alike.

Every resource of such an SDK sends its request through one method of the client, `request`: with retries inside,
whichever way the call was made (create, parse, stream helper, raw response, `client.post`). That one method is
patched, sync and async; a plugin says which requests are of interest and how they and their replies are read.

Example:
    >>> whole = instrumentation("acme", request=lambda call: {"model": "m"}, response=lambda reply: {}, fold=list)
    >>> [patch.target for patch in whole.patches]
    ['SyncAPIClient.request', 'AsyncAPIClient.request']
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .host.instrumentation import Amendment, Call, Event, Instrumentation, Patch, StreamClass
from .recording.messages import RequestValues, ResponseValues


def instrumentation(
    package: str,
    *,
    request: Callable[[Call], RequestValues | None],
    response: Callable[[Any], ResponseValues | None],
    fold: Callable[[list[Any]], Any],
    digest: Callable[[Any], Any] | None = None,
    amend: Callable[[Call], Amendment | None] | None = None,
    streams: tuple[StreamClass, ...] = (),
    settings: Mapping[str, tuple[str, ...]] | None = None,
) -> Instrumentation:
    """What a plugin offers for the SDK `package`, a chat unless `request` says otherwise.

    Args:
        package: The SDK's import name; the instrumentation's, and the provider's unless `request` says otherwise.
        request: See `Patch`, as for the next four.
        response: From a reply, a model or JSON, to values.
        fold: From all pieces of a stream, models or JSON, to what `response` takes.
        digest: From a piece of a stream to what `fold` needs of it.
        amend: Asks for a change of the call.
        streams: Stream classes beside `Stream` and `AsyncStream`.
        settings: The plugin's own settings (see `Instrumentation`).
    """
    base = f"{package}._base_client"
    clients = ("SyncAPIClient", "AsyncAPIClient")
    patches = tuple(
        Patch(
            base,
            f"{client}.request",
            operation="chat",
            request=request,
            response=response,
            fold=fold,
            digest=digest,
            amend=amend,
            body=http_response,
            # Other tools put wrappers of their own on a client's class, past this one when they came first.
            subclasses=True,
        )
        for client in clients
    )
    return Instrumentation(
        package,
        provider=package,
        patches=patches,
        streams=(*(StreamClass(f"{package}._streaming", name) for name in ("Stream", "AsyncStream")), *streams),
        events=(
            Event(base, "BaseClient._calculate_retry_timeout", "retry", _retry),
            *(Event(base, f"{client}._sleep_for_retry", "retry", _retry, optional=True) for client in clients),
        ),
        settings=settings or {},
    )


def http_response(result: Any) -> Any:
    """The HTTP response in a raw or binary result, whose body is the user's to read; None for a parsed reply."""
    found = getattr(result, "http_response", None)
    if found is None and type(result).__name__ == "HttpxBinaryResponseContent":
        found = getattr(result, "response", None)
    return found


def _retry(call: Call) -> Mapping[str, Any] | None:
    """A retry inside the SDK: what it waits for, an answer or an error that is being handled, is what caused it."""
    arguments = call.argument
    left = arguments("remaining_retries")
    if left is not None and hasattr(call.instance, "_sleep_for_retry"):
        return None  # told by that one, which knows the answer
    error, answer = sys.exc_info()[1], arguments("response")
    if answer is not None and getattr(error, "response", None) is not answer:
        error = None  # the program's own, in whose handling it asks
    status = getattr(answer if answer is not None else getattr(error, "response", None), "status_code", None)
    return {
        "autotrace.retry.left": left if left is not None else arguments("max_retries") - arguments("retries_taken"),
        "error.type": type(error).__qualname__ if error is not None else str(status),
        "http.response.status_code": status,
    }


def amended(call: Call, hides: Callable[[Any], bool] | None = None, **changes: Any) -> Amendment:
    """The same call with some of its `options` changed, in a copy.

    Example:
        >>> from types import SimpleNamespace
        >>> class Options(SimpleNamespace):
        ...     def copy(self):
        ...         return Options(**vars(self))
        >>> call = Call(None, (str, Options(url="/chat", seed=None)), {}, ("cast_to", "options"))
        >>> amended(call, seed=7).args[1]
        Options(url='/chat', seed=7)

    Args:
        call: A call of the client's `request`.
        hides: Says which pieces of the stream exist only because of the change (see `Amendment`).
        **changes: Fields of the options, by name.
    """
    options = call.argument("options")
    copy = options.copy() if not hasattr(options, "model_copy") else options.model_copy()
    for name, value in changes.items():
        setattr(copy, name, value)
    if "options" in call.kwargs:
        return Amendment(call.args, {**call.kwargs, "options": copy}, hides)
    at = call.parameters.index("options")
    return Amendment((*call.args[:at], copy, *call.args[at + 1 :]), call.kwargs, hides)


def body(options: Any) -> Mapping[str, Any]:
    """What a request sends, as far as it is JSON or a form, `extra_body` included. Not to be changed.

    Example:
        >>> from types import SimpleNamespace
        >>> body(SimpleNamespace(json_data={"model": "small"}, extra_json={"seed": 1}))
        {'model': 'small', 'seed': 1}
    """
    sent, extra = options.json_data, options.extra_json
    sent = sent if isinstance(sent, dict) else {}
    return {**sent, **extra} if isinstance(extra, dict) else sent


def server(client: Any) -> tuple[str | None, int | None]:
    """Host and port that a client talks to; the port where it is not its scheme's own.

    Example:
        >>> from types import SimpleNamespace
        >>> server(SimpleNamespace(base_url=SimpleNamespace(host="localhost", port=8080)))
        ('localhost', 8080)
    """
    url = getattr(client, "base_url", None)
    return getattr(url, "host", None), getattr(url, "port", None)


@functools.lru_cache(maxsize=1024)
def provider(host: str | None, default: str) -> str:
    """`gen_ai.provider.name` of a host: `default` for what speaks the SDK's protocol and is nobody we know.

    Example:
        >>> provider("api.deepseek.com", "anthropic"), provider("localhost", "anthropic")
        ('deepseek', 'anthropic')
    """
    labels = (host or "").lower().split(".")
    for start in range(len(labels)):
        known = _PROVIDERS.get(".".join(labels[start:]))
        if known is not None:
            return known
    return default


#: Hosts of providers, those of their regions among them (`eu.api.openai.com`).
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
