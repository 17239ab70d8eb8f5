"""Traces the OpenAI SDK, 1.40 to 3.x.

Every resource of the SDK sends its request through one method of the client, `request`: with retries inside,
whichever way the call was made (create, parse, stream helper, raw response, `client.post`). That one method is
patched, sync and async; which calls are of interest is decided by the endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Call, Event, Instrumentation, Patch, StreamClass, hookimpl

from .folding import digest, fold
from .replies import http_response, response
from .requests import request
from .stream_usage import amend


def retry(call: Call) -> Mapping[str, Any] | None:
    """A retry inside the SDK, told while the error that caused it is being handled."""
    import sys

    error = sys.exc_info()[1]
    status = getattr(getattr(error, "response", None), "status_code", None)
    return {
        "autotrace.retry.left": call.argument("remaining_retries"),
        "error.type": type(error).__qualname__ if error is not None else None,
        "http.response.status_code": status,
    }


_BASE = "openai._base_client"
_HELPERS = {
    "chat._completions": ("ChatCompletionStream", "AsyncChatCompletionStream"),
    "responses._responses": ("ResponseStream", "AsyncResponseStream"),
}


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces."""
    patches = tuple(
        Patch(
            _BASE,
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
        for client in ("SyncAPIClient", "AsyncAPIClient")
    )
    streams = (
        *(StreamClass("openai._streaming", name) for name in ("Stream", "AsyncStream")),
        # The helpers close the response, not the stream that they wrap.
        *(
            StreamClass(f"openai.lib.streaming.{module}", name, "_raw_stream._iterator")
            for module, names in _HELPERS.items()
            for name in names
        ),
    )
    events = (Event(_BASE, "BaseClient._calculate_retry_timeout", "retry", retry),)
    return [
        Instrumentation(
            "openai",
            provider="openai",
            patches=patches,
            streams=streams,
            events=events,
            settings={"stream_usage": ("auto", "always", "never")},
        )
    ]
