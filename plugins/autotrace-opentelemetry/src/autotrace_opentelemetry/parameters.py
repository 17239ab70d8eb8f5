"""Parameters of a request to a model, by the names that the conventions give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: By the name in a request, the last word of `gen_ai.request.*`.
NAMES: Mapping[str, str] = {
    **{name: name for name in ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")},
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens"), "max_tokens"),
    **dict.fromkeys(("stop", "stop_sequences"), "stop_sequences"),
    "n": "choice.count",
    "stream": "stream",
    "is_streaming": "stream",
    "reasoning_effort": "reasoning.level",
    "encoding_formats": "encoding_formats",
    "choice.count": "choice.count",
    "reasoning.level": "reasoning.level",
}


def parameters(given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters that are known, by the conventions' names; and what else was given."""
    known: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if name in NAMES and _fits(NAMES[name], value):
            known[NAMES[name]] = value
        else:
            rest[name] = value
    if isinstance(known.get("stop_sequences"), str):
        known["stop_sequences"] = [known["stop_sequences"]]
    if known.get("stream") is False:
        del known["stream"]
    if known.get("choice.count") == 1:
        del known["choice.count"]
    return known, rest


def _fits(name: str, value: Any) -> bool:
    """Whether a value is one that the parameter can have: an instrumentor may put any text in its place."""
    if name in ("stop_sequences", "encoding_formats"):
        texts = [value] if isinstance(value, str) else value
        return isinstance(texts, list | tuple) and all(isinstance(text, str) and text for text in texts)
    if name == "stream":
        return isinstance(value, bool)
    if name == "reasoning.level":
        return isinstance(value, str) and value.isalpha()
    return isinstance(value, int | float) and not isinstance(value, bool)
