"""Which function replies at which endpoint."""

from __future__ import annotations

from collections.abc import Callable

from autotrace.testing.openai_api.ask import Ask
from autotrace.testing.openai_api.audio import speech, transcription, translation
from autotrace.testing.openai_api.completions import chat, completion
from autotrace.testing.openai_api.embeddings import embeddings
from autotrace.testing.openai_api.images import image
from autotrace.testing.openai_api.models import models
from autotrace.testing.openai_api.moderations import moderation
from autotrace.testing.openai_api.reply import Reply, error
from autotrace.testing.openai_api.responses import compact, create_response, stored_response

_ENDPOINTS: dict[str, Callable[[Ask], Reply]] = {
    "POST chat/completions": chat,
    "POST completions": completion,
    "POST responses": create_response,
    "POST responses/compact": compact,
    "POST embeddings": embeddings,
    "POST images/generations": image,
    "POST images/edits": image,
    "POST audio/transcriptions": transcription,
    "POST audio/translations": translation,
    "POST audio/speech": speech,
    "POST moderations": moderation,
    "GET models": models,
}


def reply_to(ask: Ask) -> Reply:
    """The model's reply, or OpenAI's 404 for what is not served here."""
    endpoint = _ENDPOINTS.get(f"{ask.method} {ask.endpoint}")
    if endpoint is not None:
        return endpoint(ask)
    if ask.endpoint.startswith("responses/"):
        return stored_response(ask)
    if ask.method == "GET" and ask.endpoint.startswith("models/"):
        return models(ask)
    return error(404, f"Invalid URL ({ask.method} /v1/{ask.endpoint})")
