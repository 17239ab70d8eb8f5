"""From a call to what is known before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from autotrace import Call, Message, RequestValues

from .conversation import messages, text_of
from .fields import field, items


def generation(call: Call, stream: bool = False) -> RequestValues:
    """One request for content."""
    config = call.argument("config")
    formats = [*map(str, items(config, "response_modalities")), field(config, "response_mime_type")]
    return {
        **_asked(call, config, {"stream": True} if stream else {}),
        "input": messages(call.argument("contents")),
        "instructions": text_of(field(config, "system_instruction")),
        "tools": [_offered(tool) for tool in items(config, "tools")],
        "output_type": next((_OUTPUTS[one] for one in formats if one in _OUTPUTS), None),
    }


def embedding(call: Call) -> RequestValues:
    """Contents to be embedded."""
    config = call.argument("config")
    dimensions = {"gen_ai.embeddings.dimension.count": field(config, "output_dimensionality")}
    return {**_asked(call, config), "input_value": call.argument("contents"), "attributes": dimensions}


def picture(call: Call) -> RequestValues:
    """An image to be made or changed."""
    prompt = Message.user(call.argument("prompt") or "")
    return {**_asked(call, call.argument("config")), "input": [prompt], "output_type": "image"}


def _asked(call: Call, config: Any, more: Mapping[str, Any] | None = None) -> RequestValues:
    client = call.instance._api_client
    url = urlsplit(field(client, "_http_options", "base_url") or "")
    parameters = {
        known: value for name, known in _PARAMETERS.items() if (value := field(config, *name.split("."))) is not None
    }
    if parameters.get("choice.count") == 1:
        del parameters["choice.count"]
    return {
        # `models/gemini-3` and a project's path to it are `gemini-3`; a tuned model or an endpoint stays a path.
        "model": str(call.argument("model")).rpartition("models/")[2],
        "provider": "gcp.vertex_ai" if client.vertexai else "gcp.gemini",
        "server": (url.hostname, url.port),
        "parameters": {**parameters, **(more or {})},
    }


#: Parameters by their place in the SDK's config, with the conventions' name of each.
_PARAMETERS: Mapping[str, str] = {
    **{name: name for name in ("temperature", "top_p", "top_k", "stop_sequences", "seed")},
    **{name: name for name in ("frequency_penalty", "presence_penalty")},
    "max_output_tokens": "max_tokens",
    "candidate_count": "choice.count",
    "number_of_images": "choice.count",
    "thinking_config.thinking_level": "reasoning.level",
}
_OUTPUTS = {"AUDIO": "speech", "IMAGE": "image", "application/json": "json", "text/plain": "text"}


def _offered(tool: Any) -> Any:
    """A tool as it is given; a function by its name and what it says of itself."""
    if not callable(tool):
        return tool
    return {"name": getattr(tool, "__name__", type(tool).__name__), "description": getattr(tool, "__doc__", None)}
