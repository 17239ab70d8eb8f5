"""OpenTelemetry's GenAI conventions, of every age, and what OpenLLMetry (Traceloop) adds to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Message, Part, RequestValues, ResponseValues, ToolCall, Usage

from .flattened import at, elements, listed, parsed, text, tree
from .parameters import NAMES, parameters

OPERATION = "gen_ai.operation.name"
_OPERATIONS = {
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
    "workflow": "invoke_workflow",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "task": "",
    "unknown": "",
}
#: Usage by its names, the newest first.
_USAGE: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
    "cache_read": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
    ),
    "audio_input": ("gen_ai.usage.audio.input_tokens",),
    "audio_output": ("gen_ai.usage.audio.output_tokens",),
}
#: Names and figures that hold no content and are attributes of ours as they are.
_FACTS = (
    *("gen_ai.agent.id", "gen_ai.agent.version", "gen_ai.data_source.id", "gen_ai.embeddings.dimension.count"),
    *("gen_ai.tool.type", "gen_ai.tool.call.id", "gen_ai.response.time_to_first_chunk", "gen_ai.token.type"),
    *("gen_ai.request.encoding_formats", "gen_ai.provider.name", "user.id", "enduser.id", "openai.api.type"),
    *("openai.request.service_tier", "openai.response.service_tier", "openai.response.system_fingerprint"),
)
_FLAT = ("gen_ai.prompt.", "gen_ai.completion.", "llm.request.functions.")
#: Figures that follow from others.
_SUMS = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "gen_ai.usage.token_type", "llm.usage.token_type")


def speaks(attributes: Mapping[str, Any]) -> bool:
    """Whether a span speaks this language and no other."""
    return "openinference.span.kind" not in attributes and any(
        key.startswith(("gen_ai.", "traceloop.", "llm.request.type", "llm.usage.")) for key in attributes
    )


def values(left: dict[str, Any]) -> tuple[RequestValues, ResponseValues]:
    """What a span says. What is understood is taken out of `left`."""
    kind = left.pop(OPERATION, None) or left.pop("llm.request.type", None) or left.get("traceloop.span.kind")
    for key in ("llm.request.type", "traceloop.span.kind"):
        left.pop(key, None)
    operation = _OPERATIONS.get(str(kind), str(kind)) if kind else ""
    system = left.pop("gen_ai.system", None)
    request: RequestValues = {"attributes": {key: left.pop(key) for key in _FACTS if key in left}}
    response: ResponseValues = {}
    if operation:
        request["operation"] = operation
    provider = request["attributes"].get("gen_ai.provider.name") or system
    if provider:
        request["provider"] = str(provider).lower()
        request["attributes"] = {k: v for k, v in request["attributes"].items() if k != "gen_ai.provider.name"}
    _model(left, request, response)
    _messages(left, request, response)
    _entity(left, operation, request, response)
    return request, response


def _model(left: dict[str, Any], request: RequestValues, response: ResponseValues) -> None:
    model = left.pop("gen_ai.request.model", None)
    if model:
        request["model"] = str(model)
    answered, known = left.pop("gen_ai.response.model", None), left.pop("gen_ai.response.id", None)
    if answered:
        response["model"] = str(answered)
    if known:
        response["id"] = str(known)
    reasons = left.pop("gen_ai.response.finish_reasons", None)
    if isinstance(reasons, Sequence) and reasons:
        response["finish_reasons"] = [reasons] if isinstance(reasons, str) else [str(reason) for reason in reasons]
    output = left.pop("gen_ai.output.type", None)
    if output:
        request["output_type"] = str(output)
    given = {_parameter(key): key for key in left if _parameter(key) in NAMES}
    request["parameters"], _ = parameters({name: left.pop(key) for name, key in given.items()})
    told: dict[str, Any] = {}
    for name, keys in _USAGE.items():
        counts = [left.pop(key) for key in keys if key in left]
        told[name] = next((count for count in counts if count is not None), None)
    if any(count is not None for count in told.values()):
        response["usage"] = Usage(**told)
    for key in _SUMS:
        left.pop(key, None)


def _parameter(key: str) -> str:
    """The name of the parameter that an attribute may be; empty for any other."""
    starts = ("gen_ai.request.", "gen_ai.", "llm.request.", "llm.")
    return next((key[len(start) :] for start in starts if key.startswith(start)), "")


def _messages(left: dict[str, Any], request: RequestValues, response: ResponseValues) -> None:
    said = messages(parsed(left.pop("gen_ai.input.messages", None)))
    answered = messages(parsed(left.pop("gen_ai.output.messages", None)))
    said += [flat_message(one, "user") for one in elements(tree(left, "gen_ai.prompt"))]
    answered += [flat_message(one, "assistant") for one in elements(tree(left, "gen_ai.completion"))]
    instructions = parsed(left.pop("gen_ai.system_instructions", None))
    tools = parsed(left.pop("gen_ai.tool.definitions", None))
    functions = [
        {**one, "parameters": parsed(one.get("parameters"))}
        for one in elements(tree(left, "llm.request.functions"))
        if isinstance(one, Mapping)
    ]
    if said:
        request["input"] = said
    if answered:
        response["output"] = answered
        reasons = [one.finish_reason for one in answered if one.finish_reason]
        if reasons:
            response.setdefault("finish_reasons", reasons)
    if instructions:
        parts = instructions if isinstance(instructions, list) else [instructions]
        request["instructions"] = "\n".join(text(one, "content") or str(one) for one in parts)
    if tools or functions:
        request["tools"] = tools or functions
    for key in [key for key in left if key.startswith(_FLAT)]:
        del left[key]


def _entity(left: dict[str, Any], operation: str, request: RequestValues, response: ResponseValues) -> None:
    """A tool, an agent, a step: its name, and what went in and came out."""
    names = ("gen_ai.tool.name", "gen_ai.agent.name", "gen_ai.workflow.name", "traceloop.entity.name")
    found = [left.pop(name) for name in names if name in left]
    if found and operation not in ("chat", "text_completion", "embeddings", "generate_content"):
        request["name"] = str(found[0])
    given = [left.pop(key) for key in ("gen_ai.tool.call.arguments", "traceloop.entity.input") if key in left]
    given += [left.pop("gen_ai.retrieval.query.text")] if "gen_ai.retrieval.query.text" in left else []
    got = [left.pop(key) for key in ("gen_ai.tool.call.result", "traceloop.entity.output") if key in left]
    if given:
        request["input_value"] = parsed(given[0])
    if got:
        response["output_value"] = parsed(got[0])
    session = left.pop("gen_ai.conversation.id", None) or left.pop("session.id", None)
    session = session or left.pop("traceloop.association.properties.session_id", None)
    if session:
        request["session"] = str(session)
        request["attributes"] = {**request["attributes"], "session.id": str(session)}
    user = left.pop("traceloop.association.properties.user_id", None) or left.pop("gen_ai.user", None)
    if user:
        request["attributes"] = {**request["attributes"], "user.id": str(user)}


def messages(found: Any) -> list[Message]:
    """Messages of the conventions' schema."""
    if not isinstance(found, list):
        return [] if not found else [Message.user(str(found))]
    return [
        Message(
            text(one, "role") or "user",
            tuple(_part(part) for part in listed(at(one, "parts"))),
            text(one, "name"),
            text(one, "finish_reason"),
        )
        for one in found
        if isinstance(one, Mapping)
    ]


def _part(part: Any) -> Part | ToolCall:
    kind = text(part, "type") or "text"
    if kind in ("tool_call", "server_tool_call"):
        return ToolCall(text(part, "name") or "", at(part, "arguments"), text(part, "id"), kind != "tool_call")
    if kind == "tool_call_response":
        result = at(part, "response")
        return Part.tool_result(result if result is not None else at(part, "result"), text(part, "id"))
    content = next((at(part, key) for key in ("content", "uri", "file_id") if at(part, key) is not None), None)
    return Part(kind, content, text(part, "mime_type"), at(part, "modality"), text(part, "id"))


def flat_message(told: Any, role: str) -> Message:
    """A message of the older kind: `gen_ai.prompt.0.role` and so on."""
    role, content = text(told, "role") or role, parsed(at(told, "content"))
    if role == "tool":
        return Message.tool(content, text(told, "tool_call_id"))
    parts: list[Part | ToolCall] = []
    if isinstance(content, list) and all(isinstance(one, Mapping) for one in content):
        parts += [_provider_part(one) for one in content]
    elif content:
        parts.append(Part.text(str(at(told, "content"))))
    reasoning = text(told, "reasoning")
    if reasoning:
        parts.insert(0, Part.reasoning(reasoning))
    for call in elements(told, "tool_calls"):
        parts.append(ToolCall(text(call, "name") or "", at(call, "arguments"), text(call, "id")))
    return Message(role, tuple(parts), None, text(told, "finish_reason"))


def _provider_part(part: Mapping[str, Any]) -> Part:
    url = text(part, "image_url", "url") or text(part, "image_url")
    if url:
        return Part.media(url, "image")
    said = text(part, "text")
    return Part.text(said) if said is not None else Part(text(part, "type") or "unknown", dict(part))
