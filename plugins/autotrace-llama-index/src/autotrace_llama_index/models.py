"""Calls of models: what is asked and what comes back, whole or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autotrace import Call, Message, RequestValues, ResponseValues, suppress

from .conversation import calls_tools, field, finish_reason, message, messages, text_of
from .usage import is_told, of_extra, of_raw

#: Providers by the name of LlamaIndex's package, with the conventions' name of each.
_PROVIDERS = {
    "anthropic": "anthropic",
    "azure_inference": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "groq": "groq",
    "mistralai": "mistral_ai",
    "openai": "openai",
    "perplexity": "perplexity",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
#: Attributes and arguments by their usual names, with the conventions' name of each.
_PARAMETERS = {
    **{name: name for name in ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")},
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "max_tokens"),
    "stop": "stop_sequences",
    "reasoning_effort": "reasoning.level",
}
_MODELS = ("model", "model_name", "model_id")
#: What LlamaIndex calls a model that has no name.
_UNKNOWN = "unknown"


def chat(call: Call) -> RequestValues:
    """A conversation that is sent to a model."""
    found = _request(call)
    found["input"] = messages(_first(call, "messages"))
    return found


def stream_chat(call: Call) -> RequestValues:
    """The same, to be answered in pieces."""
    return _streamed(chat(call))


def complete(call: Call) -> RequestValues:
    """A text that a model is to go on with."""
    found = _request(call)
    prompt = _first(call, "prompt")
    found["input"] = [Message.user(prompt)] if isinstance(prompt, str) else []
    return found


def stream_complete(call: Call) -> RequestValues:
    """The same, to be answered in pieces."""
    return _streamed(complete(call))


def model_of(instance: Any) -> str:
    """The name of a model or, where it has none, of its class."""
    known = (_name(getattr(instance, name, None)) for name in _MODELS)
    return next(filter(None, known), None) or _told_name(instance) or type(instance).__name__


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value not in ("", _UNKNOWN) else None


def _told_name(instance: Any) -> str | None:
    """The name that a model tells LlamaIndex, which asks for it at nearly every call, as we do where no field has it.

    It is the program's code: what it asks of other models is no call of the program's, and its failure is not ours.
    """
    try:
        with suppress():
            return _name(instance.metadata.model_name)
    except Exception:  # noqa: BLE001 (whatever it is, the model has a class)
        return None


def provider_of(instance: Any) -> str | None:
    """Whose model it is, by the package of LlamaIndex's that speaks to it."""
    for kind in type(instance).__mro__:
        path = kind.__module__.split(".")
        if path[0] == "llama_index" and len(path) > 2 and path[1] in ("llms", "embeddings", "multi_modal_llms"):
            own = "azure_openai" if kind.__name__.startswith("AzureOpenAI") else path[2]
            return _PROVIDERS.get(own)
    return None


def _wrapped(instance: Any) -> Any:
    """The model that is asked: a structured one only wraps it."""
    return instance.llm if type(instance).__name__ == "StructuredLLM" else instance


def _request(call: Call) -> RequestValues:
    model, given = _wrapped(call.instance), call.kwargs
    found: RequestValues = {"model": model_of(model)}
    provider = provider_of(model)
    if provider is not None:
        found["provider"] = provider
    parameters: dict[str, Any] = {}
    for name, known in _PARAMETERS.items():
        value = given.get(name)
        value = getattr(model, name, None) if value is None else value
        if isinstance(value, int | float | str | list | tuple) and value not in ("", []):
            parameters[known] = [value] if name == "stop" and isinstance(value, str) else value
    found["parameters"] = parameters
    tools = given.get("tools") or given.get("functions")
    if tools:
        found["tools"] = tools
    if given.get("response_format") is not None:
        found["output_type"] = "json"
    return found


def _streamed(found: RequestValues) -> RequestValues:
    return {**found, "parameters": {**found["parameters"], "stream": True}}


def _first(call: Call, name: str) -> Any:
    """The first argument: wrappers of LlamaIndex's hide its name."""
    return call.kwargs.get(name, call.args[0] if call.args else None)


class Reply(NamedTuple):
    """A reply, whole or put together from its pieces.

    Attributes:
        message: The answer; None for a model that completes texts.
        text: All the text.
        raws: What the provider sent, in order.
        extras: Where counts may stand beside it, the latest last.
    """

    message: Any
    text: str | None
    raws: Sequence[Any]
    extras: Sequence[Any]


def response(reply: Any) -> ResponseValues | None:
    """What a ChatResponse or a CompletionResponse says, or what pieces of one were folded to."""
    return _told(reply if isinstance(reply, Reply) else _whole(reply))


def fold(pieces: list[Any]) -> Reply:
    """All pieces of a stream as one reply. The last whole one holds all text up to it, by LlamaIndex's custom."""
    whole = [piece for piece in pieces if not isinstance(piece, str)]
    last = _whole(whole[-1])
    text = "".join(piece if isinstance(piece, str) else getattr(piece, "delta", None) or "" for piece in pieces)
    return Reply(
        last.message,
        text if len(text) > len(last.text or "") else last.text,
        [raw for piece in whole if (raw := getattr(piece, "raw", None)) is not None],
        [getattr(piece, "additional_kwargs", None) for piece in whole],
    )


def digest(piece: Any) -> Any:
    """Of a piece its text; the piece itself where it says more. Not all of them: each holds the text so far."""
    raw, delta = getattr(piece, "raw", None), getattr(piece, "delta", None)
    if delta is None or is_told(raw) or _reason(raw) is not None or calls_tools(getattr(piece, "message", None)):
        return piece
    return delta or None


def _whole(reply: Any) -> Reply:
    said = getattr(reply, "message", None)
    extras = [getattr(said, "additional_kwargs", None), getattr(reply, "additional_kwargs", None)]
    text = text_of(said) if said is not None else getattr(reply, "text", None)
    return Reply(said, text, [getattr(reply, "raw", None)], extras)


def _told(reply: Reply) -> ResponseValues:
    reason = _last(reply.raws, _reason)
    found: ResponseValues = {"usage": _last(reply.raws, of_raw) or _last(reply.extras, of_extra)}
    if reply.message is not None:
        found["output"] = [message(reply.message, reason, reply.text)]
    elif reply.text is not None:
        found["output"] = [Message.assistant(reply.text, finish_reason(reason))]
    model, own = _last(reply.raws, _field("model")), _last(reply.raws, _field("id"))
    if isinstance(model, str):
        found["model"] = model
    if isinstance(own, str):
        found["id"] = own
    reason = finish_reason(reason)
    if reason is not None:
        found["finish_reasons"] = [reason]
    return found


def _last(given: Sequence[Any], read: Callable[[Any], Any]) -> Any:
    """The last that is told."""
    return next((value for one in reversed(given) if (value := read(one)) is not None), None)


def _field(name: str) -> Callable[[Any], Any]:
    return lambda of: field(of, name)


def _reason(raw: Any) -> str | None:
    """Why a reply ended, as providers tell it."""
    choices = field(raw, "choices")
    first = choices[0] if isinstance(choices, list) and choices else raw
    for name in ("finish_reason", "stop_reason", "done_reason", "stopReason"):
        reason = field(first, name)
        reason = getattr(reason, "name", reason)  # an enumeration of the provider's
        if isinstance(reason, str):
            return reason
    return None
