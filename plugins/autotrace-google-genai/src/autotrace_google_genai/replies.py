"""From a reply to what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from autotrace import Message, Part, ResponseValues, ToolCall, Usage

from .conversation import Piece, media, part
from .fields import field, items


def generated(reply: Any) -> ResponseValues:
    """A reply, or all pieces of a streamed one: parts add up, of all else the newest that says something counts."""
    found: ResponseValues = {}
    parts: dict[int, list[Piece]] = {}
    reasons: dict[int, str] = {}
    for chunk in reply if isinstance(reply, list) else [_parsed(reply)]:
        found["model"] = field(chunk, "model_version") or found.get("model")
        found["id"] = field(chunk, "response_id") or found.get("id")
        found["usage"] = usage(field(chunk, "usage_metadata")) or found.get("usage")
        blocked = field(chunk, "prompt_feedback", "block_reason")
        if blocked:
            told = field(chunk, "prompt_feedback", "block_reason_message") or blocked
            parts[0], reasons[0] = [Part.refusal(told)], "content_filter"
        for candidate in items(chunk, "candidates"):
            index = field(candidate, "index") or 0
            said = [one for one in items(candidate, "content", "parts") if field(one, "text") != ""]
            _add(parts.setdefault(index, []), [part(one) for one in said])
            reason = field(candidate, "finish_reason")
            if reason:
                reasons[index] = _reason(reason, parts[index])
    found["output"] = [Message.assistant(parts[index], reasons.get(index)) for index in sorted(parts)]
    found["finish_reasons"] = [reasons[index] for index in sorted(reasons)]
    return found


def _parsed(reply: Any) -> Any:
    """The reply, also where the program asked for the HTTP response alone."""
    body = field(reply, "sdk_http_response", "body")
    return json.loads(body) if body and field(reply, "candidates") is None else reply


def _add(parts: list[Piece], more: list[Piece]) -> None:
    """Adds the parts of a piece of a stream, the first of which may go on with the last one before."""
    if parts and more:
        last, first = parts[-1], more[0]
        if isinstance(first, Part) and isinstance(last, Part) and last.type == first.type in ("text", "reasoning"):
            parts[-1], more = last._replace(content=last.content + first.content), more[1:]
        elif isinstance(first, ToolCall) and isinstance(last, ToolCall) and not first.name:
            arguments = [*(last.arguments or ()), *(first.arguments or ())]
            parts[-1], more = last._replace(arguments=arguments), more[1:]
    parts += more


def _reason(reason: str, parts: list[Piece]) -> str:
    if reason == "STOP" and any(isinstance(one, ToolCall) and not one.server for one in parts):
        return "tool_call"
    return _REASONS.get(reason, reason.lower())


#: The API's reasons in the conventions' words, where these are others.
_REASONS: Mapping[str, str] = {
    **dict.fromkeys(("MAX_TOKENS", "CONTINUATION"), "length"),
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"), "content_filter"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), "content_filter"),
    **dict.fromkeys(("MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED"), "content_filter"),
    **dict.fromkeys(("OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL"), "error"),
    **dict.fromkeys(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"), "error"),
}


def usage(found: Any) -> Usage | None:
    """Tokens: the API counts the results of its own tools beside the prompt, and thoughts beside the answer."""
    thoughts = field(found, "thoughts_token_count")
    total = Usage(
        field(found, "prompt_token_count"),
        field(found, "candidates_token_count"),
        cache_read=field(found, "cached_content_token_count"),
        reasoning=thoughts,
        audio_input=_sound(found, "prompt_tokens_details", "tool_use_prompt_tokens_details"),
        audio_output=_sound(found, "candidates_tokens_details"),
    ) + Usage(field(found, "tool_use_prompt_token_count"), thoughts)
    return total if any(count is not None for count in total) else None


def _sound(found: Any, *names: str) -> int | None:
    told = [one for name in names for one in items(found, name) if field(one, "modality") == "AUDIO"]
    return sum(field(one, "token_count") or 0 for one in told) if told else None


def embeddings(reply: Any) -> ResponseValues:
    """Vectors; their tokens, where the API tells them: of the request, or of each text."""
    vectors = items(reply, "embeddings")
    counts = [field(one, "statistics", "token_count") for one in vectors]
    counted = Usage(sum(int(count or 0) for count in counts)) if any(counts) else None
    return {
        "usage": usage(field(reply, "usage_metadata")) or counted,
        "output_value": f"<{len(vectors)} vectors>",
        "attributes": {"gen_ai.embeddings.dimension.count": len(items(vectors[0], "values")) if vectors else None},
    }


def images(reply: Any) -> ResponseValues:
    """Images, by hash or address; why there is none, where one was filtered."""
    return {"output": [Message.assistant([_image(one) for one in items(reply, "generated_images")])]}


def _image(made: Any) -> Part:
    withheld, image = field(made, "rai_filtered_reason"), field(made, "image")
    return Part.refusal(withheld) if withheld else media(field(image, "gcs_uri"), field(image, "image_bytes"), image)
