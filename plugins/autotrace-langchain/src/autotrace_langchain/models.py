"""Runs of chat models and of models that complete texts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from autotrace import Call, Ended, Message, RequestValues, ResponseValues, Run, Usage

from .conversation import finish_reason, joined, message, messages
from .runs import failure

Find = Callable[[Hashable], Run | None]

#: Providers by LangChain's names, with the conventions' name of each where it differs.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
#: Parameters by their usual names, with the conventions' name of each.
_PARAMETERS = {
    **{name: name for name in ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")},
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens"), "max_tokens"),
    "stop": "stop_sequences",
}


def chat_started(call: Call, managers: Any, find: Find) -> Iterator[Run]:
    """Runs of a chat model that have begun: one a conversation."""
    conversations = call.argument("messages")
    for manager, conversation in zip(managers, conversations, strict=False):
        yield _run("chat", call, manager, messages(conversation) or [])


def completion_started(call: Call, managers: Any, find: Find) -> Iterator[Run]:
    """Runs of a model that completes texts: one a text."""
    for manager, prompt in zip(managers, call.argument("prompts"), strict=False):
        yield _run("text_completion", call, manager, [Message.user(str(prompt))])


def _run(operation: str, call: Call, manager: Any, said: list[Message]) -> Run:
    values = _request(call.instance.metadata, call.kwargs.get("invocation_params"))
    values["input"] = said
    return Run(manager.run_id, parent=manager.parent_run_id, operation=operation, values=values, holder=manager)


def _request(metadata: Mapping[str, Any], given: Any) -> RequestValues:
    params: Mapping[str, Any] = given if isinstance(given, dict) else {}
    found: RequestValues = {
        "model": metadata.get("ls_model_name") or params.get("model") or params.get("model_name") or params.get("_type")
    }
    provider = metadata.get("ls_provider")
    if isinstance(provider, str) and provider:
        found["provider"] = _PROVIDERS.get(provider, provider)
    known = {_PARAMETERS[name]: params[name] for name in _PARAMETERS if params.get(name) is not None}
    if params.get("n") not in (None, 1):
        known["choice.count"] = params["n"]
    if known:
        found["parameters"] = known
    tools = params.get("tools") or params.get("functions")
    if tools:
        found["tools"] = tools
    if params.get("response_format") is not None:
        found["output_type"] = "json"
    return found


def ended(call: Call) -> Ended:
    """A model's run that has ended well."""
    return Ended(call.instance.run_id, lambda: response(call.argument("response")))


def failed(call: Call) -> Ended:
    """A model's run that ended with an exception, perhaps after some of the answer."""
    partial = call.kwargs.get("response")
    return failure(call.instance.run_id, call.argument("error"), lambda: response(partial))


def partial(pieces: Sequence[Any]) -> ResponseValues | None:
    """What a model's stream had said when it was left."""
    said = joined(pieces)
    return {"output": [said]} if said is not None else None


def response(result: Any) -> ResponseValues | None:
    """What an LLMResult says. Several choices of one call repeat its usage: it counts once."""
    generations = getattr(result, "generations", None)
    choices = generations[0] if isinstance(generations, list) and generations else ()
    if not choices:
        return None
    replies = [getattr(choice, "message", None) for choice in choices]
    reasons = [_reason(choice, reply) for choice, reply in zip(choices, replies, strict=True)]
    output = [_output(choice, reply, why) for choice, reply, why in zip(choices, replies, reasons, strict=True)]
    about = _metadata(replies[0])
    told = getattr(result, "llm_output", None)
    told = told if isinstance(told, dict) else {}
    found: ResponseValues = {
        "output": [one for one in output if one is not None],
        "finish_reasons": [reason for reason in map(finish_reason, reasons) if reason],
        "model": about.get("model_name") or about.get("model") or told.get("model_name"),
        "id": about.get("id") or told.get("id"),
        "usage": _usage(choices[0], replies[0], told),
    }
    return found


def _output(choice: Any, reply: Any, reason: Any) -> Message | None:
    if reply is not None:
        return message(reply, reason)
    text = getattr(choice, "text", None)
    return Message.assistant(text, finish_reason(reason)) if isinstance(text, str) else None


def _metadata(reply: Any) -> Mapping[str, Any]:
    found = getattr(reply, "response_metadata", None)
    return found if isinstance(found, dict) else {}


def _reason(choice: Any, reply: Any) -> Any:
    about = getattr(choice, "generation_info", None)
    for known in (about if isinstance(about, dict) else {}, _metadata(reply)):
        reason = known.get("finish_reason") or known.get("stop_reason") or known.get("done_reason")
        if reason:
            return reason
    return None


def _usage(choice: Any, reply: Any, told: Mapping[str, Any]) -> Usage | None:
    """Tokens by the message's own account, else by what the provider's reply says of the whole result."""
    known = getattr(reply, "usage_metadata", None)
    if isinstance(known, dict):
        if "total_cost" in known:
            return None  # LangChain's mark of an answer out of its cache: nothing is billed for it
        into, out = _details(known, "input_token_details"), _details(known, "output_token_details")
        return Usage(
            known.get("input_tokens"),
            known.get("output_tokens"),
            cache_read=into.get("cache_read"),
            cache_write=into.get("cache_creation"),
            reasoning=out.get("reasoning"),
            audio_input=into.get("audio"),
            audio_output=out.get("audio"),
        )
    raw = told.get("token_usage") or told.get("usage") or _metadata(reply).get("token_usage")
    if not isinstance(raw, dict) or not raw:
        return None
    into, out = _details(raw, "prompt_tokens_details"), _details(raw, "completion_tokens_details")
    return Usage(
        raw.get("prompt_tokens", raw.get("input_tokens")),
        raw.get("completion_tokens", raw.get("output_tokens")),
        cache_read=into.get("cached_tokens"),
        reasoning=out.get("reasoning_tokens"),
    )


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = usage.get(name)
    return found if isinstance(found, dict) else {}
