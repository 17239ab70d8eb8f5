"""OpenInference's vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import Document, Message, Part, RequestValues, ResponseValues, ToolCall, Usage

from .flattened import at, elements, parsed, text, tree
from .parameters import parameters

KIND = "openinference.span.kind"
_OPERATIONS = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
}
#: Providers whose name in OpenTelemetry's conventions is another.
_PROVIDERS = {
    "mistralai": "mistral_ai",
    "azure": "azure.ai.openai",
    "google": "gcp.gen_ai",
    "vertexai": "gcp.vertex_ai",
    "aws": "aws.bedrock",
    "xai": "x_ai",
}
_USAGE = {
    "input_tokens": "prompt",
    "output_tokens": "completion",
    "cache_read": "prompt_details.cache_read",
    "cache_write": "prompt_details.cache_write",
    "reasoning": "completion_details.reasoning",
    "audio_input": "prompt_details.audio",
    "audio_output": "completion_details.audio",
}
#: Figures and names that hold no content and have no place in ours.
_FACTS = ("user.id", "graph.node.id", "graph.node.name", "graph.node.parent_id", "reranker.top_k")
#: What stands in ours under another name, or twice, or says nothing without its model.
_DROPPED = ("input.mime_type", "output.mime_type", "llm.token_count.", "llm.cost.", "embedding.embeddings.")


def values(left: dict[str, Any]) -> tuple[RequestValues, ResponseValues]:
    """What a span says. What is understood is taken out of `left`."""
    kind = str(left.pop(KIND, "") or ("LLM" if any(key.startswith("llm.") for key in left) else ""))
    operation = _OPERATIONS.get(kind, "")
    request: RequestValues = {"attributes": {key: left.pop(key) for key in _FACTS if key in left}}
    response: ResponseValues = {}
    if operation:
        request["operation"] = operation
    elif kind:
        request["attributes"] = {**request["attributes"], KIND: kind}
    _model(left, request, response)
    _conversation(left, request, response)
    _other(left, kind, request, response)
    session = left.pop("session.id", None)
    if session:
        request["session"] = str(session)
        request["attributes"] = {**request["attributes"], "session.id": str(session)}
    for key in [key for key in left if key.startswith(_DROPPED)]:
        del left[key]
    return request, response


def _model(left: dict[str, Any], request: RequestValues, response: ResponseValues) -> None:
    model = left.pop("llm.model_name", None) or left.pop("embedding.model_name", None)
    model = model or left.pop("reranker.model_name", None)
    asked, answered = left.pop("llm.request.model_name", None), left.pop("llm.response.model_name", None)
    known, rest = parameters(
        parsed(left.get("llm.invocation_parameters") or left.get("embedding.invocation_parameters"))
    )
    if known:
        request["parameters"] = known
    named = rest.pop("model", None)
    if asked or named or model:
        request["model"] = str(asked or named or model)
    if answered or (model and (asked or named)):
        response["model"] = str(answered or model)
    for key in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        if key in left and not set(rest) - {"messages", "tools", "input"}:
            del left[key]
    provider = left.pop("llm.provider", None) or left.get("llm.system")
    left.pop("llm.system", None)
    if provider:
        request["provider"] = _PROVIDERS.get(str(provider), str(provider))
    counts = tree(left, "llm.token_count")
    usage = Usage(**{name: at(counts, *path.split(".")) for name, path in _USAGE.items()})
    if any(count is not None for count in usage):
        response["usage"] = usage
    reason = left.pop("llm.finish_reason", None)
    if reason:
        response["finish_reasons"] = [str(reason)]


def _conversation(left: dict[str, Any], request: RequestValues, response: ResponseValues) -> None:
    said = [message(one) for one in elements(tree(left, "llm.input_messages"))]
    answered = [message(one) for one in elements(tree(left, "llm.output_messages"))]
    said += [Message.user(text(one, "prompt", "text") or "") for one in elements(tree(left, "llm.prompts"))]
    answered += [
        Message.assistant(text(one, "completion", "text") or "") for one in elements(tree(left, "llm.choices"))
    ]
    reasons = response.get("finish_reasons")
    if reasons and answered and answered[0].finish_reason is None:
        answered[0] = answered[0]._replace(finish_reason=reasons[0])
    tools = [parsed(at(one, "tool", "json_schema")) for one in elements(tree(left, "llm.tools"))]
    if said:
        request["input"] = said
    if answered:
        response["output"] = answered
    if any(tools):
        request["tools"] = tools
    # The whole request and reply, which the messages tell better.
    _take(left, "input.value", "llm.input_messages.", "llm.prompts.", "llm.tools.", is_said=bool(said))
    _take(left, "output.value", "llm.output_messages.", "llm.choices.", is_said=bool(answered))


def _take(left: dict[str, Any], value: str, *prefixes: str, is_said: bool) -> None:
    for key in [key for key in left if key.startswith(prefixes)]:
        del left[key]
    if is_said:
        left.pop(value, None)


def _other(left: dict[str, Any], kind: str, request: RequestValues, response: ResponseValues) -> None:
    embedded = [text(one, "embedding", "text") for one in elements(tree(left, "embedding.embeddings"))]
    given, got = left.pop("input.value", None), left.pop("output.value", None)
    query = left.pop("reranker.query", None)
    arguments = left.pop("tool.parameters", None) if kind == "TOOL" else None
    if any(embedded):
        given = embedded
    given = query if query is not None else given if given is not None else arguments
    if given is not None:
        request["input_value"] = parsed(given)
    name = left.pop("tool.name", None) if kind == "TOOL" else left.pop("agent.name", None)
    if name:
        request["name"] = str(name)
    documents = [
        document(one)
        for prefix in ("retrieval.documents", "reranker.output_documents")
        for one in elements(tree(left, prefix))
    ]
    if documents:
        response["documents"] = documents
        for key in [key for key in left if key.startswith(("retrieval.documents.", "reranker.output_documents."))]:
            del left[key]
    elif got is not None and kind != "EMBEDDING":
        response["output_value"] = parsed(got)


def document(found: Any) -> Document:
    """One document that was found."""
    told = at(found, "document")
    score, metadata = at(told, "score"), parsed(at(told, "metadata"))
    known = at(told, "id")
    return Document(
        text(told, "content"),
        None if known is None else str(known),
        score if isinstance(score, float | int) else None,
        metadata if isinstance(metadata, Mapping) else None,
    )


def message(found: Any) -> Message:
    """One message."""
    told = at(found, "message") or {}
    role = text(told, "role") or "user"
    content = text(told, "content")
    answers = text(told, "tool_call_id")
    if role in ("tool", "function") and content is not None:
        return Message.tool(parsed(content), answers)
    parts: list[Part | ToolCall] = [Part.text(content)] if content else []
    parts += [_part(at(one, "message_content")) for one in elements(told, "contents")]
    for one in elements(told, "tool_calls"):
        call = at(one, "tool_call")
        function = at(call, "function")
        parts.append(ToolCall(text(function, "name") or "", at(function, "arguments"), text(call, "id")))
    if text(told, "function_call_name"):
        parts.append(ToolCall(text(told, "function_call_name") or "", at(told, "function_call_arguments_json")))
    return Message(role, tuple(parts), text(told, "name"))


def _part(content: Any) -> Part:
    image = text(content, "image", "image", "url")
    if image:
        return Part.media(image, "image")
    sound = text(content, "audio", "audio", "url")
    if sound:
        return Part.media(sound, "audio", text(content, "audio", "audio", "mime_type"))
    return Part(text(content, "type") or "text", text(content, "text"))
