"""Traces the Google Gen AI SDK, 1.8 to 3.x: releases before drop thoughts and their tokens from replies.

The public `generate_content` may send many requests: one a round of automatic function calling, one a continuation.
Each is billed, and each goes through one private method: that is patched, so that a span is a request. Chats go
through it too. `count_tokens` asks no model and bills nothing: no span.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from autotrace import Instrumentation, Patch, hookimpl

from .replies import embeddings, generated, images
from .requests import embedding, generation, picture

_MODULE = "google.genai.models"


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces."""
    return [
        Instrumentation("google_genai", provider="gcp.gemini", patches=(*_patches("Models"), *_patches("AsyncModels")))
    ]


def _patches(models: str) -> Iterator[Patch]:
    whole, streamed = f"{models}._generate_content", f"{models}._generate_content_stream"
    yield Patch(_MODULE, whole, generation, "generate_content", generated)
    yield Patch(_MODULE, streamed, partial(generation, stream=True), "generate_content", generated, fold=list)
    yield Patch(_MODULE, f"{models}.embed_content", embedding, "embeddings", embeddings)
    # The public methods warn of their end, and name the line that calls them: it must not be ours.
    for name in ("_generate_images", "_edit_image"):
        yield Patch(_MODULE, f"{models}.{name}", picture, "image_generation", images)
