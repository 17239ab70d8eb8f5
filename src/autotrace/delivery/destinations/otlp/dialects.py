"""Dialects: attributes as one backend wants them. Each is a pure function of a span's attributes.

`genai` is what is recorded: OpenTelemetry's GenAI conventions and `openinference.span.kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Dialect:
    """What one backend wants.

    Attributes:
        translate: Attributes into attributes; None: they go as they are.
        headers: Sent unless the user sets others of these names.
        max_rate: Spans a second that the backend keeps up with; None: as many as come.
    """

    translate: Callable[[Attributes], Attributes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_rate: float | None = None


#: OpenInference's names for what we have under others. The later of two names counts.
_OPENINFERENCE = (
    ("gen_ai.provider.name", "llm.provider"),
    ("gen_ai.conversation.id", "session.id"),
    ("gen_ai.usage.input_tokens", "llm.token_count.prompt"),
    ("gen_ai.usage.output_tokens", "llm.token_count.completion"),
    ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read"),
    ("gen_ai.usage.cache_write.input_tokens", "llm.token_count.prompt_details.cache_write"),
    ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"),
    ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"),
    ("gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning"),
    ("gen_ai.tool.name", "tool.name"),
    ("gen_ai.tool.description", "tool.description"),
    ("gen_ai.tool.call.arguments", "tool.parameters"),
    ("gen_ai.tool.call.arguments", "input.value"),
    ("gen_ai.tool.call.result", "output.value"),
    ("gen_ai.input.messages", "input.value"),
    ("gen_ai.output.messages", "output.value"),
    ("autotrace.tags", "metadata"),
)
#: What is JSON of those that become an input or an output.
_MIME_TYPES = (("input.value", "input.mime_type"), ("output.value", "output.mime_type"))
#: The model by the span's kind.
_MODELS = {"LLM": "llm.model_name", "EMBEDDING": "embedding.model_name", "RERANKER": "reranker.model_name"}


def openinference(attributes: Attributes) -> Attributes:
    """Adds OpenInference's names; what a span has under them already stays.

    Messages are not spread over `llm.input_messages.N...`: Phoenix makes those of `gen_ai.*.messages` itself.
    """
    added: dict[str, Any] = {new: attributes[old] for old, new in _OPENINFERENCE if old in attributes}
    name = _MODELS.get(str(attributes.get("openinference.span.kind")))
    model = attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model")
    if name and model:
        added[name] = model
    tokens = (attributes.get("gen_ai.usage.input_tokens"), attributes.get("gen_ai.usage.output_tokens"))
    if all(type(count) is int for count in tokens):
        added["llm.token_count.total"] = sum(tokens)
    for number, tool in enumerate(_parsed(attributes.get("gen_ai.tool.definitions"), list)):
        added[f"llm.tools.{number}.tool.json_schema"] = orjson.dumps(tool).decode()
    for value, mime_type in _MIME_TYPES:
        if value in added and value not in attributes:
            added[value], added[mime_type] = _shown(added[value])
    return {**added, **attributes}


def _parsed(text: Any, kind: type) -> Any:
    """What a JSON text holds; nothing, where that is not of the kind."""
    try:
        found = orjson.loads(text)
    except (ValueError, TypeError):
        found = None
    return found if isinstance(found, kind) else kind()


def _shown(value: Any) -> tuple[Any, str]:
    """Messages as the text that they end with, other JSON as it is."""
    try:
        found = orjson.loads(value)
    except (ValueError, TypeError):
        return value, "text/plain"
    try:
        texts = [part["content"] for part in found[-1]["parts"] if part["type"] == "text"]
        if texts and all(isinstance(text, str) for text in texts):
            return "\n".join(texts), "text/plain"
    except (KeyError, IndexError, TypeError):
        pass
    return value, "application/json"


#: Langfuse adds up all that stands under `gen_ai.usage.`; these it knows how to set off against each other.
_LANGFUSE_USAGE = frozenset(
    f"gen_ai.usage.{name}"
    for name in (
        "input_tokens",
        "output_tokens",
        "cache_read.input_tokens",
        "cache_creation.input_tokens",
        "reasoning.output_tokens",
    )
)


def langfuse(attributes: Attributes) -> Attributes:
    """Leaves out the counts that Langfuse would add twice; the trace's name and tags under its names."""
    found = {
        key: value for key, value in attributes.items() if not key.startswith("gen_ai.usage.") or key in _LANGFUSE_USAGE
    }
    written = attributes.get("gen_ai.usage.cache_write.input_tokens")
    if written is not None:
        found["gen_ai.usage.cache_creation.input_tokens"] = written
    if "autotrace.trace.name" in attributes:
        found["langfuse.trace.name"] = attributes["autotrace.trace.name"]
    for name, value in _parsed(attributes.get("autotrace.tags"), dict).items():
        found[f"langfuse.trace.metadata.{name}"] = value
    return found


def datadog(attributes: Attributes) -> Attributes:
    """By the GenAI conventions of 1.37 alone: of two vocabularies on one span Datadog reads only one."""
    if "gen_ai.operation.name" not in attributes:
        return attributes
    return {key: value for key, value in attributes.items() if key not in ("openinference.span.kind", "gen_ai.system")}


#: Phoenix takes spans far faster than it stores them, and keeps the rest in memory: 101 a second measured.
_PHOENIX_RATE = 100.0

DIALECTS: Mapping[str, Dialect] = {
    "genai": Dialect(),
    "openinference": Dialect(openinference),
    "phoenix": Dialect(openinference, max_rate=_PHOENIX_RATE),
    "langfuse": Dialect(langfuse),
    "datadog": Dialect(datadog, {"dd-otlp-source": "llmobs"}),
}
