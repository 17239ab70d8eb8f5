"""Traces the OpenAI SDK, 1.40 to 3.x; which of its requests are of interest is decided by the endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from autotrace import Instrumentation, StreamClass, hookimpl, stainless

from .folding import digest, fold
from .replies import response
from .requests import request
from .stream_usage import amend

_HELPERS = {
    "chat._completions": ("ChatCompletionStream", "AsyncChatCompletionStream"),
    "responses._responses": ("ResponseStream", "AsyncResponseStream"),
}


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces."""
    return [
        stainless.instrumentation(
            "openai",
            request=request,
            response=response,
            fold=fold,
            digest=digest,
            amend=amend,
            # The helpers close the response, not the stream that they wrap.
            streams=tuple(
                StreamClass(f"openai.lib.streaming.{module}", name, "_raw_stream._iterator")
                for module, names in _HELPERS.items()
                for name in names
            ),
            settings={"stream_usage": ("auto", "always", "never")},
        )
    ]
