"""From what came back to values. What it is, it says itself: the reply's own fields decide how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import Message, Part, ResponseValues, Usage, read

from .conversation import chat_message, content_parts, finish_reason, response_output


def response(reply: Any) -> ResponseValues | None:
    """What a reply says; None for one of unknown shape."""
    fields = read.view(reply)
    if fields.get("choices") is not None:
        return _completion(fields)
    kind = read.text(fields, "object") or ""
    if kind == "response" or kind.startswith("response."):
        return _response(reply)
    if kind == "list" and read.field(reply, "data") is not None:
        return _embeddings(reply)
    if read.field(reply, "results") is not None:
        return _moderation(reply)
    if isinstance(read.field(reply, "data"), list):
        return _images(reply)
    if read.text(reply, "text") is not None:
        return _transcription(reply)
    return {"output_value": reply} if isinstance(reply, str) else None


def _completion(fields: Mapping[str, Any]) -> ResponseValues:
    found = fields.get("choices")
    choices = [read.view(choice) for choice in found] if isinstance(found, list | tuple) else []
    reasons = [finish_reason(choice.get("finish_reason")) for choice in choices]
    return {
        "model": fields.get("model"),
        "id": fields.get("id"),
        "output": [_choice(choice) for choice in choices],
        "finish_reasons": [reason for reason in reasons if reason],
        "usage": usage(fields.get("usage")),
        "attributes": {
            "openai.response.system_fingerprint": fields.get("system_fingerprint"),
            "openai.response.service_tier": fields.get("service_tier"),
        },
    }


def _choice(choice: Mapping[str, Any]) -> Message:
    message, reason = choice.get("message"), choice.get("finish_reason")
    if message is not None:
        return chat_message(message, reason)
    return Message.assistant(read.text(choice, "text") or "", finish_reason(reason))


def _response(reply: Any) -> ResponseValues:
    output = response_output(reply)
    found: ResponseValues = {
        "model": read.text(reply, "model"),
        "id": read.text(reply, "id"),
        "usage": usage(read.field(reply, "usage")),
        "attributes": {
            "openai.response.service_tier": read.text(reply, "service_tier"),
            "openai.response.status": read.text(reply, "status"),
        },
    }
    if output is not None:
        found["output"] = [output]
        if output.finish_reason:
            found["finish_reasons"] = [output.finish_reason]
    error = read.field(reply, "error")
    if error is not None:
        found["error"] = (read.text(error, "code") or "error", read.text(error, "message") or "")
    return found


def _embeddings(reply: Any) -> ResponseValues:
    vectors = list(read.items(reply, "data"))
    first = read.field(vectors[0], "embedding") if vectors else None
    return {
        "model": read.text(reply, "model"),
        "usage": usage(read.field(reply, "usage")),
        "output_value": f"<{len(vectors)} vectors>",
        # A base64 vector is 4 bytes a dimension.
        "attributes": {"gen_ai.embeddings.dimension.count": _dimensions(first)},
    }


def _dimensions(vector: Any) -> int | None:
    if isinstance(vector, str):
        return (len(vector) * 3 // 4 - vector[-2:].count("=")) // 4
    return len(vector) if isinstance(vector, list | tuple) else None


def _moderation(reply: Any) -> ResponseValues:
    results = list(read.items(reply, "results"))
    flagged = [bool(read.field(result, "flagged")) for result in results]
    return {
        "model": read.text(reply, "model"),
        "id": read.text(reply, "id"),
        "output_value": [
            {"flagged": read.field(one, "flagged"), "categories": _true(read.field(one, "categories"))}
            for one in results
        ],
        "attributes": {"openai.response.flagged": any(flagged)},
    }


def _true(categories: Any) -> list[str]:
    """The names of the categories that apply."""
    known = categories if isinstance(categories, dict) else getattr(categories, "__dict__", {})
    return [name for name, applies in known.items() if applies is True]


def _images(reply: Any) -> ResponseValues:
    parts = []
    for image in read.items(reply, "data"):
        data, url = read.text(image, "b64_json"), read.text(image, "url")
        mime_type = f"image/{read.text(reply, 'output_format') or 'png'}"
        if data:
            parts.append(Part.blob(data, mime_type, "image"))
        elif url:
            parts.append(Part.media(url, "image"))
        revised = read.text(image, "revised_prompt")
        if revised:
            parts.append(Part.text(revised))
    return {"output": [Message.assistant(parts)], "usage": usage(read.field(reply, "usage"))}


def _transcription(reply: Any) -> ResponseValues:
    return {
        "output": [Message.assistant(content_parts(read.text(reply, "text")))],
        "usage": usage(read.field(reply, "usage")),
        "attributes": {
            "openai.response.audio.seconds": read.field(reply, "usage", "seconds") or read.field(reply, "duration")
        },
    }


def usage(found: Any) -> Usage | None:
    """Tokens as the API reports them: cached and written input are part of the input, reasoning of the output.

    None where it does not say, as in a stream that was not asked for usage.
    """
    if found is None:
        return None
    fields = read.view(found)
    names = _USAGE[0] if "prompt_tokens" in fields else _USAGE[1]
    given, answered = fields.get(names[0]), fields.get(names[1])
    if given is None and answered is None:
        return None
    into = read.view(fields.get(names[2]) or fields.get("input_token_details")).get
    out = read.view(fields.get(names[3])).get
    # What is no count is left out when it becomes an attribute.
    return Usage(
        given,
        answered,
        into("cached_tokens"),
        into("cache_write_tokens"),
        out("reasoning_tokens"),
        into("audio_tokens"),
        out("audio_tokens"),
    )


#: The chat API's words for usage, and those of all others.
_USAGE = (
    ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"),
    ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"),
)
