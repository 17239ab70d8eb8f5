"""The attributes that we emit: OpenTelemetry's GenAI semantic conventions, pinned to one release.

Source of the names: the GenAI conventions' registry as of OpenTelemetry semantic conventions 1.44 (November
2026). `openinference.span.kind` is the one attribute of another vocabulary: it types a span in most viewers.
Names beginning `autotrace.` are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import SpanKind

from .encoding import readable, scalar
from .messages import Document, RequestValues, ResponseValues, Usage
from .privacy import Policy

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
#: The older name of the provider, read by viewers that do not know the newer one.
SYSTEM: Final = "gen_ai.system"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
OUTPUT_TYPE: Final = "gen_ai.output.type"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
CONVERSATION: Final = "gen_ai.conversation.id"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
SESSION: Final = "session.id"
USER: Final = "user.id"
INPUT_VALUE: Final = "input.value"
OUTPUT_VALUE: Final = "output.value"
SPAN_KIND: Final = "openinference.span.kind"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVED: Final = "gen_ai.retrieval.documents"
TAGS: Final = "autotrace.tags"
TRACE_NAME: Final = "autotrace.trace.name"
#: What the caller calls its request.
REQUEST_ID: Final = "autotrace.request.id"
#: How a span ended that neither succeeded nor failed: docs/cli.md has the list.
OUTCOME: Final = "autotrace.outcome"
#: The scope of the instrumentor that made a span, where that is none of ours.
INSTRUMENTOR: Final = "autotrace.instrumentor"

#: Usage by field. Cache writes stand under their new and their old name: backends read either.
USAGE: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": ("gen_ai.usage.input_tokens",),
    "output_tokens": ("gen_ai.usage.output_tokens",),
    "cache_read": ("gen_ai.usage.cache_read.input_tokens",),
    "cache_write": ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens",),
    "audio_input": ("gen_ai.usage.audio.input_tokens",),
    "audio_output": ("gen_ai.usage.audio.output_tokens",),
}

_USAGE_KEYS: Final = tuple(USAGE[name] for name in Usage._fields)

#: Operations that ask a model and may carry usage: they nest as one (recording/usage.py).
MODEL_OPERATIONS: Final = frozenset(
    {
        "chat",
        "text_completion",
        "generate_content",
        "embeddings",
        "image_generation",
        "transcription",
        "translation",
        "speech",
        "moderation",
        "compact",
    }
)

_KINDS: Final[Mapping[str, str]] = {
    "embeddings": "EMBEDDING",
    "execute_tool": "TOOL",
    "invoke_agent": "AGENT",
    "create_agent": "AGENT",
    "retrieval": "RETRIEVER",
    "rerank": "RERANKER",
    "moderation": "GUARDRAIL",
    **dict.fromkeys(MODEL_OPERATIONS - {"embeddings", "moderation"}, "LLM"),
}

_CLIENT: Final = MODEL_OPERATIONS | {"retrieval", "fetch_response"}


def span_kind(operation: str) -> SpanKind:
    """CLIENT for what asks another service, INTERNAL for what runs here."""
    return SpanKind.CLIENT if operation in _CLIENT else SpanKind.INTERNAL


def span_name(operation: str, values: RequestValues) -> str:
    """`{operation} {model or name}`, as the conventions want it."""
    target = str(values.get("name") or values.get("model") or "")
    name = f"{operation} {target}".strip() or "span"
    return name if name.isascii() else readable(name)


def request_attributes(operation: str, provider: str, values: RequestValues, policy: Policy) -> dict[str, Any]:
    """Attributes known when a call begins (a sampler sees them)."""
    found: dict[str, Any] = {SPAN_KIND: _KINDS.get(operation, "CHAIN")}
    if operation:
        found[OPERATION] = operation
    if provider:
        found[PROVIDER] = found[SYSTEM] = provider
    model = values.get("model")
    if model:
        _put(found, REQUEST_MODEL, model)
    host, port = values.get("server", (None, None))
    if host:
        found[SERVER_ADDRESS] = host
        if port:
            found[SERVER_PORT] = port
    for key, name in _REQUEST_TEXTS:
        if key in values:
            _put(found, name, values[key])  # type: ignore[literal-required]
    for name, value in values.get("parameters", {}).items():
        _put(found, "gen_ai.request." + name, value)
    own_name = _OWN_NAMES.get(operation)
    if own_name is not None:
        _put(found, own_name, values.get("name"))
    if policy.keeps_content:
        _content(found, operation, values, policy)
    for name, value in values.get("attributes", {}).items():
        _put(found, name, value)
    return found


#: Where the conventions want the name of what is not called by a model's name.
_OWN_NAMES: Final[Mapping[str, str]] = {
    "execute_tool": "gen_ai.tool.name",
    "invoke_agent": "gen_ai.agent.name",
    "create_agent": "gen_ai.agent.name",
    "invoke_workflow": "gen_ai.workflow.name",
}

#: Values of a request that are attributes as they are.
_REQUEST_TEXTS: Final = (("output_type", OUTPUT_TYPE), ("session", CONVERSATION))


def _content(found: dict[str, Any], operation: str, values: RequestValues, policy: Policy) -> None:
    messages = values.get("input")
    if messages:
        found[INPUT_MESSAGES] = policy.messages(messages)
    if "input_value" in values:
        if operation == "execute_tool":
            _text(found, TOOL_ARGUMENTS, values["input_value"], policy)
        else:
            _value(found, INPUT_VALUE, values["input_value"], policy)
            if operation == "retrieval":
                _text(found, RETRIEVAL_QUERY, values["input_value"], policy)
    instructions = values.get("instructions")
    if instructions:
        found[INSTRUCTIONS] = policy.json([{"type": "text", "content": instructions}])
    tools = values.get("tools")
    if tools:
        found[TOOL_DEFINITIONS] = policy.json(tools)


def response_attributes(values: ResponseValues, policy: Policy, operation: str = "") -> dict[str, Any]:
    """Attributes known when a call of `operation` has ended."""
    found: dict[str, Any] = {}
    _put(found, RESPONSE_MODEL, values.get("model"))
    _put(found, RESPONSE_ID, values.get("id"))
    reasons = values.get("finish_reasons")
    if reasons:
        found[FINISH_REASONS] = reasons
    usage = values.get("usage")
    if usage is not None:
        found.update(usage_attributes(usage))
    if policy.keeps_content:
        messages = values.get("output")
        if messages:
            found[OUTPUT_MESSAGES] = policy.messages(messages)
        if "output_value" in values:
            if operation == "execute_tool":
                _text(found, TOOL_RESULT, values["output_value"], policy)
            else:
                _value(found, OUTPUT_VALUE, values["output_value"], policy)
        documents = values.get("documents")
        if documents is not None:
            _documents(found, documents, policy)
    for name, value in values.get("attributes", {}).items():
        _put(found, name, value)
    return found


def usage_attributes(usage: Usage) -> dict[str, int]:
    """`gen_ai.usage.*`, in tokens. A figure that is no count (a provider's joke) is left out."""
    found: dict[str, int] = {}
    for count, keys in zip(usage, _USAGE_KEYS, strict=True):
        if type(count) is int and count >= 0:
            for key in keys:
                found[key] = count
    return found


def _value(found: dict[str, Any], name: str, value: Any, policy: Policy) -> None:
    kept = policy.value(value)
    if kept is not None:
        found[name], found[name.replace(".value", ".mime_type")] = kept


def _text(found: dict[str, Any], name: str, value: Any, policy: Policy) -> None:
    """A value as JSON text or as the text that it is, without saying which."""
    kept = policy.value(value)
    if kept is not None:
        found[name] = kept[0]


def _documents(found: dict[str, Any], documents: list[Document], policy: Policy) -> None:
    """Ids and scores as the conventions want them; the texts too, which they have no place for."""
    found[RETRIEVED] = policy.json([{"id": one.id, "score": one.score} for one in documents])
    told = [{key: value for key, value in one._asdict().items() if value is not None} for one in documents]
    _value(found, OUTPUT_VALUE, told, policy)


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        # Most are plain texts: `scalar` would ask twice more.
        known = value if type(value) is str and value.isascii() else scalar(value)
        if known is not None:
            found[name] = known
