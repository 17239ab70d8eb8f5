"""A span's attributes in MLflow's words, beside those of the GenAI conventions: pure, a record in, attributes out.

An attribute `mlflow.*` counts for MLflow's server before whatever it could work out of another vocabulary; the type,
and so every filter, list and chart by type, comes from `mlflow.spanType` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace.store.messages import input_messages, output_messages
from autotrace.store.spans import Tokens

from .. import Record
from . import costs, limits, shapes

SPAN_TYPE = "mlflow.spanType"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
TOOLS = "mlflow.chat.tools"
USAGE = "mlflow.chat.tokenUsage"
COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"
FORMAT = "mlflow.message.format"
NAME_TAG = "mlflow.traceName"
#: On a root span: a tag of its trace.
TRACE_TAG = "mlflow.traceTag."

_TYPES: Mapping[str, str] = {
    "chat": "CHAT_MODEL",
    "text_completion": "LLM",
    "generate_content": "LLM",
    "image_generation": "LLM",
    "transcription": "LLM",
    "translation": "LLM",
    "speech": "LLM",
    "compact": "LLM",
    "moderation": "GUARDRAIL",
    "embeddings": "EMBEDDING",
    "execute_tool": "TOOL",
    "invoke_agent": "AGENT",
    "create_agent": "AGENT",
    "invoke_workflow": "WORKFLOW",
    "retrieval": "RETRIEVER",
    "rerank": "RERANKER",
}
#: `openinference.span.kind`, where the operation says nothing.
_KINDS = frozenset({"LLM", "CHAIN", "RETRIEVER", "EMBEDDING", "TOOL", "AGENT", "RERANKER", "GUARDRAIL", "EVALUATOR"})
UNKNOWN = "UNKNOWN"

#: Providers whose file in MLflow's price catalogue has another name than the conventions give them.
_PROVIDERS: Mapping[str, str] = {
    "aws.bedrock": "bedrock",
    "azure.ai.inference": "azure_ai",
    "azure.ai.openai": "azure",
    "fireworks": "fireworks_ai",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "google": "gemini",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshot",
    "moonshotai": "moonshot",
    "together": "together_ai",
    "x_ai": "xai",
}

_PARAMETERS = "gen_ai.request."
#: Attributes that MLflow keeps no more than so many characters of, and refuses a whole request for.
_BOUNDED = ("session.id", "gen_ai.conversation.id", "user.id")


def attributes(record: Record) -> dict[str, Any]:
    """All attributes of a span, in both vocabularies.

    Args:
        record: A span that has ended, or never will.
    """
    given: Mapping[str, Any] = record.body["attributes"]
    found = {key: value for key, value in given.items() if not key.startswith("mlflow.")}
    for key in _BOUNDED:
        if found.get(key) is not None:
            found[key] = limits.literal(limits.identifier(limits.text_of(found[key]), limits.METADATA))
    found[SPAN_TYPE] = span_type(given)
    _put_content(found, given)
    _put_model(found, given)
    _put_usage(found, given, record.body["start"])
    if record.body["parent_id"] is None:
        for key, value in trace_tags(record).items():
            found[TRACE_TAG + key] = limits.literal(value)
    return found


def _operation(given: Mapping[str, Any]) -> str:
    return str(given.get("gen_ai.operation.name"))


def span_type(given: Mapping[str, Any]) -> str:
    """MLflow's type of a span."""
    named = _TYPES.get(_operation(given))
    if named is not None:
        return named
    kind = given.get("openinference.span.kind")
    return kind if isinstance(kind, str) and kind in _KINDS else UNKNOWN


#: Operations whose spans MLflow sums up by name: by that of the tool or the agent, without the operation before it.
_NAMED_BY: Mapping[str, str] = {
    "execute_tool": "gen_ai.tool.name",
    "invoke_agent": "gen_ai.agent.name",
    "create_agent": "gen_ai.agent.name",
    "invoke_workflow": "gen_ai.workflow.name",
}


def span_name(record: Record) -> str:
    """What MLflow calls a span."""
    given = record.body["attributes"]
    own = given.get(_NAMED_BY.get(_operation(given), ""))
    return limits.text_of(own or record.body["name"])


def trace_name(record: Record) -> str:
    """What a trace is called after its local root."""
    given = record.body["attributes"].get("autotrace.trace.name")
    return limits.cut(limits.text_of(given or span_name(record)), limits.TRACE_NAME)


def trace_tags(record: Record) -> dict[str, str]:
    """The tags of the trace of a local root, its name among them."""
    return {NAME_TAG: trace_name(record), **tags_of(limits.parsed(record.body["attributes"].get("autotrace.tags")))}


def tags_of(given: Any) -> dict[str, str]:
    """Tags as MLflow takes them; none where these are no tags."""
    found = [limits.tag(str(key), value) for key, value in given.items()] if isinstance(given, Mapping) else []
    return dict(pair for pair in found if pair is not None)


def _put_content(found: dict[str, Any], given: Mapping[str, Any]) -> None:
    messages = shapes.chat_messages(input_messages(given))
    answers = output_messages(given)
    if messages or answers:
        found[FORMAT] = "openai"
    inputs = _request(messages, given) if messages else _input_value(given)
    if inputs is not None:
        found[INPUTS] = _content(inputs)
    outputs = _response(answers, given) if answers else _output_value(given)
    if outputs is not None:
        found[OUTPUTS] = _content(outputs)
    tools = shapes.tools(limits.parsed(given.get("gen_ai.tool.definitions")))
    if tools:
        found[TOOLS] = limits.json_text(tools)


def _request(messages: list[dict[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {key.removeprefix(_PARAMETERS): value for key, value in given.items() if key.startswith(_PARAMETERS)}
    return {**parameters, "messages": messages}


def _response(answers: list[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    if _operation(given) in _ANSWERS_ALL_ALIKE or len(answers) == 1:
        reasons = given.get("gen_ai.response.finish_reasons")
        made = {"choices": shapes.choices(answers, reasons if isinstance(reasons, list) else ())}
        return {key: given[name] for key, name in _ANSWER if name in given} | made
    return {"messages": shapes.chat_messages(answers)}


#: Operations whose messages that come back are so many answers to the same request, and no conversation.
_ANSWERS_ALL_ALIKE = frozenset({"chat", "text_completion", "generate_content"})
_ANSWER = (("id", "gen_ai.response.id"), ("model", "gen_ai.response.model"))


def _input_value(given: Mapping[str, Any]) -> Any:
    value = _first(given, "gen_ai.tool.call.arguments", "input.value", "gen_ai.retrieval.query.text")
    if _operation(given) == "embeddings" and value is not None:
        return {"model": given.get("gen_ai.request.model"), "input": value}
    return value


def _output_value(given: Mapping[str, Any]) -> Any:
    value = _first(given, "gen_ai.tool.call.result", "output.value")
    return shapes.documents(value) if span_type(given) in ("RETRIEVER", "RERANKER") else value


def _first(given: Mapping[str, Any], *names: str) -> Any:
    return next((limits.parsed(given[name]) for name in names if given.get(name) is not None), None)


def _content(value: Any) -> Any:
    """A value as the server reads it back: objects and lists as JSON texts, numbers as they are."""
    if isinstance(value, str):
        return limits.literal(value)
    return value if isinstance(value, (bool, int, float)) else limits.json_text(value)


def model_of(given: Mapping[str, Any]) -> str | None:
    """The model that answered, or the one that was asked."""
    model = given.get("gen_ai.response.model") or given.get("gen_ai.request.model")
    return model if isinstance(model, str) else None


def _put_model(found: dict[str, Any], given: Mapping[str, Any]) -> None:
    model = model_of(given)
    if model is not None:
        found[MODEL] = limits.literal(model)
    provider = given.get("gen_ai.provider.name")
    if isinstance(provider, str):
        found[PROVIDER] = _PROVIDERS.get(provider, provider.lower())


def tokens_of(given: Mapping[str, Any]) -> Tokens | None:
    """What a span used; None where it says nothing of it."""
    figures = (_count(given.get(f"gen_ai.usage.{name}")) for name in _USAGE)
    tokens = Tokens(*figures)
    return tokens if tokens.input is not None or tokens.output is not None else None


_USAGE = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens")


def _count(value: Any) -> int | None:
    return value if type(value) is int else None


def usage(tokens: Tokens) -> dict[str, int]:
    """Tokens in MLflow's words: the total is always there, for its sums count no span without one."""
    inputs, outputs = tokens.input or 0, tokens.output or 0
    found = {"input_tokens": inputs, "output_tokens": outputs, "total_tokens": inputs + outputs}
    if tokens.cache_read is not None:
        found["cache_read_input_tokens"] = tokens.cache_read
    if tokens.cache_write is not None:
        found["cache_creation_input_tokens"] = tokens.cache_write
    return found


def _put_usage(found: dict[str, Any], given: Mapping[str, Any], start_ns: int) -> None:
    tokens, model, provider = tokens_of(given), model_of(given), given.get("gen_ai.provider.name")
    if tokens is None:
        return
    found[USAGE] = limits.json_text(usage(tokens))
    if model is not None and isinstance(provider, str):
        cost = costs.cost(provider, model, tokens, start_ns)
        if cost is not None:
            found[COST] = limits.json_text(cost)
