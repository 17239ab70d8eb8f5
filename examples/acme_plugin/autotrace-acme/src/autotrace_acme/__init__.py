"""Traces the calls of acme.Client and acme.AsyncClient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autotrace import (
    Call,
    Instrumentation,
    Message,
    Patch,
    RequestValues,
    ResponseValues,
    StreamClass,
    Usage,
    hookimpl,
)

if TYPE_CHECKING:  # a plugin does not import its framework: its framework wakes it
    import acme


def request(call: Call) -> RequestValues:
    """What is known before the call is made."""
    return {
        "model": call.instance.model,
        "input": conversation(call.argument("messages")),
        "parameters": {"temperature": call.argument("temperature", 1.0)},
    }


def conversation(messages: object) -> list[Message]:
    """The messages; none where they come from an iterator, which is the framework's to read."""
    if isinstance(messages, str):
        return [Message.user(messages)]
    return [Message.of(one.role, one.text) for one in messages] if isinstance(messages, list | tuple) else []


def response(reply: acme.Reply) -> ResponseValues:
    """What came back."""
    return {
        "model": reply.model,
        "output": [Message.assistant(reply.text, "stop")],
        "usage": Usage(reply.tokens_in, reply.tokens_out),
    }


def fold(chunks: list[acme.Chunk]) -> acme.Reply:
    """The reply that the pieces make: the last one's tokens are those of all."""
    import acme

    last = chunks[-1]
    return acme.Reply(last.model, "".join(chunk.text for chunk in chunks), last.tokens_in, last.tokens_out)


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces."""
    targets = ("Client.complete", "Client.stream", "AsyncClient.complete", "AsyncClient.stream")
    return [
        Instrumentation(
            "acme",
            provider="acme",
            patches=tuple(
                Patch("acme.client", target, operation="chat", request=request, response=response, fold=fold)
                for target in targets
            ),
            streams=(
                StreamClass("acme.client", "Stream", iterator="_chunks"),
                StreamClass("acme.client", "AsyncStream", iterator="_chunks"),
            ),
        )
    ]
