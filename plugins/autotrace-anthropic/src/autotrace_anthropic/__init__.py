"""Traces the Anthropic SDK, 0.43 to 2.x: messages, beta messages and legacy completions, also on other clouds.

Counting tokens asks no model, and neither does making a batch: both leave no span. The results of a batch tell of
calls that another process may have asked for, and that may be read any number of times: they are no calls either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Amendment, Call, Instrumentation, Message, RequestValues, hookimpl, read, stainless

from .blocks import message, texts
from .replies import digest, fold, response

_OPERATIONS = {"messages": "chat", "complete": "text_completion"}
#: By a word of the client's class. Foundry's hosts are Azure's.
_CLOUDS = {"Bedrock": "aws.bedrock", "Vertex": "gcp.vertex_ai", "Foundry": "azure.ai.inference"}
_PARAMETERS = {
    **{name: name for name in ("temperature", "top_p", "top_k", "max_tokens", "stop_sequences")},
    "max_tokens_to_sample": "max_tokens",
}


def request(call: Call) -> RequestValues | None:
    """What is asked, of which model, where; None for what asks no model."""
    options = call.argument("options")
    operation = _OPERATIONS.get(str(options.url).partition("?")[0].rpartition("/v1/")[2])
    if operation is None or str(options.method).lower() != "post":
        return None
    body, where = stainless.body(options), stainless.server(call.instance)
    config = read.field(body, "output_config")
    shape = read.field(config, "format") or read.field(body, "output_format")
    prompt = read.text(body, "prompt")
    return {
        "operation": operation,
        "provider": _provider(call.instance, where[0]),
        "server": where,
        "model": read.text(body, "model"),
        "parameters": {
            **{known: body[name] for name, known in _PARAMETERS.items() if name in body},
            "stream": True if call.argument("stream") else None,
            "reasoning.level": read.text(config, "effort"),
            "previous_response.id": read.text(body, "thread", "previous_message_id"),
        },
        "instructions": texts(body.get("system")),
        "input": [Message.user(prompt)] if prompt else [message(turn) for turn in read.items(body, "messages")],
        "tools": body.get("tools"),
        "session": read.text(_own(call), "conversation_id"),
        "output_type": "json" if read.text(shape, "type") else None,
        "attributes": {
            "anthropic.request.service_tier": body.get("service_tier"),
            "anthropic.thinking.type": read.text(body, "thinking", "type"),
            "anthropic.thinking.budget_tokens": read.field(body, "thinking", "budget_tokens"),
        },
    }


def amend(call: Call) -> Amendment | None:
    """Leaves out the span that the SDK makes by itself (since 2.0), and the header with it, where nobody wants it.

    A client that was given a tracer provider of its own goes on using it.
    """
    if not read.text(call.argument("options"), "span_name") or call.needs_own_spans or "tracer_provider" in _own(call):
        return None
    return stainless.amended(call, span_name=None)


def _own(call: Call) -> Mapping[str, Any]:
    return getattr(call.instance, "open_telemetry", None) or {}


def _provider(client: object, host: str | None) -> str:
    named = (known for kind in type(client).__mro__ for word, known in _CLOUDS.items() if word in kind.__name__)
    return next(named, None) or stainless.provider(host, "anthropic")


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces."""
    return [
        stainless.instrumentation(
            "anthropic", request=request, response=response, fold=fold, digest=digest, amend=amend
        )
    ]
