"""Images, generated and edited."""

from __future__ import annotations

from autotrace.testing.openai_api.ask import JSON, Ask
from autotrace.testing.openai_api.billing import Billed
from autotrace.testing.openai_api.reply import CREATED, SSE, Reply, encode, event
from autotrace.testing.openai_api.samples import PNG


def image(ask: Ask) -> Reply:
    """`POST /images/generations` and `/images/edits`; tokens are reported and billed for gpt-image models."""
    model = str(ask.body.get("model", "dall-e-2"))
    count = int(ask.body.get("n") or 1)
    form = {"background": "opaque", "output_format": "png", "quality": "high", "size": "1024x1024"}
    if not model.startswith("gpt-image"):
        as_data = ask.body.get("response_format") == "b64_json"
        one = {"b64_json": PNG} if as_data else {"url": f"https://images.example/{ask.id('img-')}.png"}
        data = [{**one, "revised_prompt": f"{ask.body.get('prompt')}, in detail"}] * count
        return Reply(encode({"created": CREATED, "data": data}))
    billed = Billed(1, ask.figure(200, 800, 0), ask.figure(1200, 800, 2))
    text, drawn = ask.figure(60, 20, 5), billed.output_tokens - 17
    usage = {
        "input_tokens": billed.input_tokens,
        "input_tokens_details": {"text_tokens": text, "image_tokens": billed.input_tokens - text},
        "output_tokens": billed.output_tokens,
        "output_tokens_details": {"text_tokens": 17, "image_tokens": drawn},
        "total_tokens": billed.input_tokens + billed.output_tokens,
    }
    if ask.streams:
        kind = "image_edit" if ask.endpoint.endswith("edits") else "image_generation"
        value = {"b64_json": PNG, "created_at": CREATED, **form}
        parts: list[JSON] = [
            {"type": f"{kind}.partial_image", **value, "partial_image_index": 0},
            {"type": f"{kind}.completed", **value, "usage": usage},
        ]
        return Reply(chunks=[event(part, part["type"]) for part in parts], content_type=SSE, billed=billed)
    whole = {"created": CREATED, **form, "data": [{"b64_json": PNG}] * count, "usage": usage}
    return Reply(encode(whole), billed=billed)
