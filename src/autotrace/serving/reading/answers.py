"""What a response answers, where it came as a whole: a conversation, a text or a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...read import field, items, text
from ...recording.messages import Message
from .conversation import message
from .fields import Fields, first_at
from .parts import parts
from .problems import problem
from .said import Places, Said, is_json, json_value, plain_text, said, said_in


class Answered(NamedTuple):
    """What a response answers. What it does not say is None.

    Attributes:
        output: A text or any JSON value, where the answer is no conversation.
        messages: The messages of the answer, where it has some.
        error: What went wrong, in its own words: of an error response, or of an answer that says so.
    """

    output: Any | None = None
    messages: list[Message] | None = None
    error: str | None = None


def answer(value: Any, fields: Fields) -> Answered:
    """What a JSON value answers."""
    given = first_at(value, fields.output)
    known = (said(given, PLACES) if given is not None else None) or said_in(value, PLACES)
    if known is not None:
        return Answered(*known)
    error = problem(field(value, "error"))
    return Answered(error=error) if error else Answered(*(said(value, PLACES) or Said()))


def whole_answer(body: bytes, kind: str, charset: str, fields: Fields) -> Answered:
    """What the body of a response answers: JSON counts as what it stands for."""
    if kind == "json":
        return answer(json_value(body), fields)
    value = json_value(body) if is_json(body) else None
    return answer(value or plain_text(body, charset), fields)


def failure(body: bytes, charset: str) -> Answered:
    """What an error response says."""
    value = json_value(body) if is_json(body) else None
    return Answered(error=problem(value or plain_text(body, charset)))


def is_page(body: bytes) -> bool:
    """Whether this is HTML, which is no answer. The content type does not tell: Flask says so of any text."""
    return body[:100].lstrip()[:1] == b"<"


FINISH = {
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
}


def finish_reason(reason: Any) -> str | None:
    """Why a model stopped, in the conventions' words."""
    return FINISH.get(reason.lower(), reason.lower()[:50]) if type(reason) is str and reason else None


def _choices(named: Mapping[str, Any]) -> list[Message] | None:
    """The choices of OpenAI's chat completions and completions, the candidates of Gemini's."""
    found = []
    for choice in items(named, "choices"):
        made = message(field(choice, "message"))
        words = text(choice, "text")
        if made is None and words:
            made = Message.assistant(words)
        if made is not None:
            found.append(made._replace(finish_reason=finish_reason(field(choice, "finish_reason"))))
    for candidate in items(named, "candidates"):
        content = parts(field(candidate, "content", "parts"))
        if content:
            found.append(Message.assistant(content, finish_reason(field(candidate, "finishReason"))))
    return found or _artifacts(named)


def _artifacts(named: Mapping[str, Any]) -> list[Message] | None:
    """What an A2A task brought forth."""
    found = [part for artifact in items(named, "artifacts") for part in parts(field(artifact, "parts"))]
    return [Message.assistant(found)] if found else None


def _answering(named: Mapping[str, Any], found: Said) -> Said:
    """Of messages, those after the user's last one: agents may send all of the conversation back."""
    if not found.messages:
        return found
    last = max((index for index, one in enumerate(found.messages) if one.role == "user"), default=-1)
    kept = found.messages[last + 1 :] or found.messages
    reason = finish_reason(named.get("finishreason") or named.get("stopreason"))
    if reason and kept[-1].role == "assistant" and kept[-1].finish_reason is None:
        kept = [*kept[:-1], kept[-1]._replace(finish_reason=reason)]
    return Said(messages=kept)


PLACES = Places(
    conversations=("messages", "output", "outputs"),
    texts=(
        *("answer", "output", "response", "text", "content", "message", "result", "reply", "completion"),
        *("outputtext", "generatedtext", "finalanswer", "finaloutput", "generation", "botmessage"),
    ),
    wrappers=("predictions", "prediction", "output", "outputs", "result", "response", "task"),
    special=_choices,
    finished=_answering,
)
