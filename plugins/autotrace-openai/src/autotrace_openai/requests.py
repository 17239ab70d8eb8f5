"""From a call of `client.request` to what is known before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autotrace import Call, Message, Part, RequestValues, read, stainless

from .conversation import chat_message, response_input
from .endpoints import Endpoint, endpoint, provider


def request(call: Call) -> RequestValues | None:
    """What is asked, of which model, where; None for what asks no model, or another SDK's client."""
    options = call.argument("options")
    known = endpoint(str(options.method).lower(), str(options.url))
    if known is None:
        return None
    where = stainless.server(call.instance)
    body = stainless.body(options)
    values: RequestValues = {"operation": known.operation, "server": where}
    values["provider"] = provider(call.instance, where[0])
    model = body.get("model")
    if model and isinstance(model, str):
        values["model"] = model
    parameters = _parameters(body)
    if call.argument("stream"):
        parameters["stream"] = True
    values["parameters"] = parameters
    if known.operation == "fetch_response":
        values["name"] = str(options.url).rpartition("/")[2]
    else:
        _READERS[known.api](body, values)
    attributes = _attributes(known, body)
    values["attributes"] = {**attributes, **values["attributes"]} if "attributes" in values else attributes
    return values


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in body.items():
        known = _PARAMETERS.get(name)
        if known is not None and value is not None:
            found[known] = value
    if found:
        _adjust(found)
    effort = read.field(body["reasoning"], "effort") if "reasoning" in body else None
    if effort:
        found["reasoning.level"] = effort
    return found


#: Parameters by the API's name, with the conventions' name of each.
_PARAMETERS: Mapping[str, str] = {
    **{name: name for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "top_k")},
    **dict.fromkeys(("max_tokens", "max_output_tokens", "max_completion_tokens"), "max_tokens"),
    "stop": "stop_sequences",
    "n": "choice.count",
    "reasoning_effort": "reasoning.level",
    "previous_response_id": "previous_response.id",
}


def _adjust(found: dict[str, Any]) -> None:
    """What the conventions want otherwise than the API has it."""
    if isinstance(found.get("stop_sequences"), str):
        found["stop_sequences"] = [found["stop_sequences"]]
    if found.get("choice.count") == 1:
        del found["choice.count"]


def _attributes(known: Endpoint, body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    api = _API_TYPES.get(known.api)
    if api is not None:
        found["openai.api.type"] = api
    if "service_tier" in body and body["service_tier"] != "auto":
        found["openai.request.service_tier"] = body["service_tier"]
    prompt = body.get("prompt")
    if type(prompt) is dict:
        found["gen_ai.prompt.name"], found["gen_ai.prompt.version"] = prompt.get("id"), prompt.get("version")
    return found


_API_TYPES = {"chat": "chat_completions", "responses": "responses"}


def _chat(body: Mapping[str, Any], values: RequestValues) -> None:
    messages = body.get("messages")
    values["input"] = [chat_message(message) for message in messages] if isinstance(messages, list | tuple) else []
    tools = body.get("tools") or body.get("functions")
    if tools:
        values["tools"] = tools
    if "response_format" in body:
        kind = read.text(body, "response_format", "type")
        if kind:
            values["output_type"] = "text" if kind == "text" else "json"


def _responses(body: Mapping[str, Any], values: RequestValues) -> None:
    values["input"] = response_input(body.get("input"))
    values["instructions"] = read.text(body, "instructions")
    values["tools"] = body.get("tools")
    values["session"] = read.text(body, "conversation", "id") or read.text(body, "conversation")
    kind = read.text(body, "text", "format", "type")
    if kind:
        values["output_type"] = "text" if kind == "text" else "json"


def _embeddings(body: Mapping[str, Any], values: RequestValues) -> None:
    values["input_value"] = _texts(body.get("input"))
    formats = read.text(body, "encoding_format")
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
    prompt = read.text(body, "prompt")
    values["output_type"] = "image"
    if prompt:
        values["input"] = [Message.user(prompt)]
    values["attributes"] = {"openai.request.image." + name: body.get(name) for name in ("size", "quality", "style")}


def _audio(body: Mapping[str, Any], values: RequestValues) -> None:
    """A recording to be written down. The file itself is a part of the form that is never touched."""
    parts = [Part("audio", read.text(body, "language") or "sound")]
    prompt = read.text(body, "prompt")
    values["input"] = [Message.user([*([Part.text(prompt)] if prompt else []), *parts])]


def _speech(body: Mapping[str, Any], values: RequestValues) -> None:
    values["output_type"] = "speech"
    spoken = read.text(body, "input")
    if spoken:
        values["input"] = [Message.user(spoken)]
    values["attributes"] = {"openai.request.voice": read.text(body, "voice")}


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
