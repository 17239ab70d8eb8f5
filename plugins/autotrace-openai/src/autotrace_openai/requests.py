"""From a call of `client.request` to what is known before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autotrace import Call, Message, Part, RequestValues

from .conversation import chat_message, response_input
from .endpoints import Endpoint, endpoint, provider, server
from .fields import field, items, text

#: Parameters whose names the conventions share with the API.
_SHARED = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "top_k")


def request(call: Call) -> RequestValues | None:
    """What is asked, of which model, where; None for what asks no model, or another SDK's client."""
    options = call.argument("options")
    known = endpoint(str(options.method).lower(), str(options.url))
    if known is None:
        return None
    where = server(call.instance)
    body = _body(options)
    values: RequestValues = {"operation": known.operation, "server": where}
    values["provider"] = provider(call.instance, where[0])
    model = text(body, "model")
    if model:
        values["model"] = model
    parameters = _parameters(body)
    if call.argument("stream"):
        parameters["stream"] = True
    values["parameters"] = parameters
    if known.operation == "fetch_response":
        values["name"] = str(options.url).rpartition("/")[2]
    else:
        _READERS[known.api](body, values)
    values["attributes"] = {**_attributes(known, body), **values.get("attributes", {})}
    return values


def _body(options: Any) -> Mapping[str, Any]:
    """What is really sent, as far as it is JSON or a form."""
    body, extra = options.json_data, options.extra_json
    body = body if isinstance(body, dict) else {}
    return {**body, **extra} if isinstance(extra, dict) else body


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: body[name] for name in _SHARED if name in body}
    for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
        if isinstance(body.get(name), int):
            found["max_tokens"] = body[name]
            break
    stop = body.get("stop")
    if stop:
        found["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if isinstance(body.get("n"), int) and body["n"] != 1:
        found["choice.count"] = body["n"]
    effort = body.get("reasoning_effort") or field(body.get("reasoning"), "effort")
    if effort:
        found["reasoning.level"] = effort
    if body.get("previous_response_id"):
        found["previous_response.id"] = body["previous_response_id"]
    return found


def _attributes(known: Endpoint, body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if known.api in ("chat", "responses"):
        found["openai.api.type"] = "chat_completions" if known.api == "chat" else "responses"
    tier = body.get("service_tier")
    if tier and tier != "auto":
        found["openai.request.service_tier"] = tier
    prompt = body.get("prompt")
    if known.api == "responses" and isinstance(prompt, dict):
        found["gen_ai.prompt.name"], found["gen_ai.prompt.version"] = prompt.get("id"), prompt.get("version")
    return found


def _chat(body: Mapping[str, Any], values: RequestValues) -> None:
    values["input"] = [chat_message(message) for message in items(body, "messages")]
    values["tools"] = body.get("tools") or body.get("functions")
    kind = text(body, "response_format", "type")
    if kind:
        values["output_type"] = "text" if kind == "text" else "json"


def _responses(body: Mapping[str, Any], values: RequestValues) -> None:
    values["input"] = response_input(body.get("input"))
    values["instructions"] = text(body, "instructions")
    values["tools"] = body.get("tools")
    values["session"] = text(body, "conversation", "id") or text(body, "conversation")
    kind = text(body, "text", "format", "type")
    if kind:
        values["output_type"] = "text" if kind == "text" else "json"


def _embeddings(body: Mapping[str, Any], values: RequestValues) -> None:
    values["input_value"] = _texts(body.get("input"))
    formats = text(body, "encoding_format")
    values["attributes"] = {
        "gen_ai.request.encoding_formats": [formats] if formats else None,
        "gen_ai.embeddings.dimension.count": body.get("dimensions"),
    }


def _texts(given: Any) -> Any:
    """Texts as they are; lists of token numbers by their length."""
    if isinstance(given, list | tuple):
        if given and isinstance(given[0], int):
            return f"<{len(given)} tokens>"
        return [_texts(one) for one in given]
    return given if isinstance(given, str) else None if given is None else f"<{type(given).__name__}>"


def _completions(body: Mapping[str, Any], values: RequestValues) -> None:
    prompts = _texts(body.get("prompt"))
    values["input"] = [Message.user(one) for one in (prompts if isinstance(prompts, list) else [prompts]) if one]


def _images(body: Mapping[str, Any], values: RequestValues) -> None:
    prompt = text(body, "prompt")
    values["output_type"] = "image"
    if prompt:
        values["input"] = [Message.user(prompt)]
    values["attributes"] = {"openai.request.image." + name: body.get(name) for name in ("size", "quality", "style")}


def _audio(body: Mapping[str, Any], values: RequestValues) -> None:
    """A recording to be written down. The file itself is a part of the form that is never touched."""
    parts = [Part("audio", text(body, "language") or "sound")]
    prompt = text(body, "prompt")
    values["input"] = [Message.user([*([Part.text(prompt)] if prompt else []), *parts])]


def _speech(body: Mapping[str, Any], values: RequestValues) -> None:
    values["output_type"] = "speech"
    spoken = text(body, "input")
    if spoken:
        values["input"] = [Message.user(spoken)]
    values["attributes"] = {"openai.request.voice": text(body, "voice")}


def _moderations(body: Mapping[str, Any], values: RequestValues) -> None:
    values["input_value"] = body.get("input")


_READERS: Mapping[str, Callable[[Mapping[str, Any], RequestValues], None]] = {
    "chat": _chat,
    "responses": _responses,
    "embeddings": _embeddings,
    "completions": _completions,
    "images": _images,
    "audio": _audio,
    "speech": _speech,
    "moderations": _moderations,
}
