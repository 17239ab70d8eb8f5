"""HTTP clients for the openai SDK whose answers come from memory: no network is measured."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import openai
import workload

Handler = Callable[[Any], Any]


def chat_client() -> Any:
    """A client that answers chat calls, whole or as a stream."""
    http = _http_library()
    return http.Client(transport=http.MockTransport(_chat_handler(http)))


def async_chat_client() -> Any:
    """The same, asynchronous."""
    http = _http_library()
    handle = _chat_handler(http)

    async def handle_async(request: Any) -> Any:
        await asyncio.sleep(0)  # lets the concurrent calls interleave, as a network would
        return handle(request)

    return http.AsyncClient(transport=http.MockTransport(handle_async))


def embedding_client() -> Any:
    """A client that answers embeddings of one text."""
    http = _http_library()
    body = workload.embedding()

    def handle(request: Any) -> Any:
        return http.Response(200, content=body, headers={"content-type": "application/json"})

    return http.Client(transport=http.MockTransport(handle))


def _chat_handler(http: ModuleType) -> Handler:
    whole, streamed = workload.completion(), workload.event_stream()

    def handle(request: Any) -> Any:
        if b'"stream":true' in request.content.replace(b" ", b""):
            return http.Response(200, content=streamed, headers={"content-type": "text/event-stream"})
        return http.Response(200, content=whole, headers={"content-type": "application/json"})

    return handle


@cache
def _http_library() -> ModuleType:
    """The package (httpx or httpx2) that openai's own default client derives from: the one this version is made for."""
    for base in openai.DefaultHttpxClient.__mro__:
        package = base.__module__.partition(".")[0]
        if package.startswith("httpx"):
            return importlib.import_module(package)
    raise RuntimeError("openai's default client derives from no httpx client")
