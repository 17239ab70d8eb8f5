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
        if name in NAMES and value is not None:
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
