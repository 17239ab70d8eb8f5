"""From a call to what is known before it is made."""

from __future__ import annotations

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
        **_asked(call, stream),
        "input": messages(call.argument("contents")),
        "instructions": text_of(field(config, "system_instruction")),
        "tools": [_offered(tool) for tool in items(config, "tools")],
        "output_type": next((_OUTPUTS[one] for one in formats if one in _OUTPUTS), None),
    }


def embedding(call: Call) -> RequestValues:
    """Contents to be embedded."""
    dimensions = {"gen_ai.embeddings.dimension.count": field(call.argument("config"), "output_dimensionality")}
    return {**_asked(call), "input_value": call.argument("contents"), "attributes": dimensions}


def picture(call: Call) -> RequestValues:
    """An image to be made or changed."""
    return {**_asked(call), "input": [Message.user(call.argument("prompt"))], "output_type": "image"}


def _asked(call: Call, stream: bool = False) -> RequestValues:
    client, config = call.instance._api_client, call.argument("config")
    url = urlsplit(field(client, "_http_options", "base_url") or "")
    count = field(config, "candidate_count") or field(config, "number_of_images")
    return {
        # `models/gemini-3` and a project's path to it are `gemini-3`; a tuned model or an endpoint stays a path.
        "model": str(call.argument("model")).rpartition("models/")[2],
        "provider": "gcp.vertex_ai" if client.vertexai else "gcp.gemini",
        "server": (url.hostname, url.port),
        "parameters": {
            **{name: field(config, name) for name in _PARAMETERS},
            "max_tokens": field(config, "max_output_tokens"),
            "reasoning.level": field(config, "thinking_config", "thinking_level"),
            "choice.count": None if count == 1 else count,
            "stream": stream or None,
        },
    }


#: Parameters that the SDK and the conventions call the same.
_PARAMETERS = ("temperature", "top_p", "top_k", "stop_sequences", "seed", "frequency_penalty", "presence_penalty")
_OUTPUTS = {"AUDIO": "speech", "IMAGE": "image", "application/json": "json", "text/plain": "text"}


def _offered(tool: Any) -> Any:
    """A tool as it is given; a function by its name and what it says of itself."""
    if not callable(tool):
        return tool
    return {"name": getattr(tool, "__name__", type(tool).__name__), "description": tool.__doc__}
