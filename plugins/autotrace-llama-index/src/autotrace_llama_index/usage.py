"""Tokens as LlamaIndex hands on what providers report: in a reply's raw form, else beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autotrace import Usage


def of_raw(raw: Any) -> Usage | None:
    """Tokens of one reply, by what the provider sent."""
    found = _reported(raw)
    return usage(found) if found is not None else None


def of_extra(extra: Any) -> Usage | None:
    """Tokens of one reply, by the extra arguments of a response or of a message."""
    return usage(extra) if isinstance(extra, dict) and any(name in extra for name in _COUNTS) else None


def is_told(raw: Any) -> bool:
    """Whether a reply, or a piece of one, tells its tokens."""
    return _reported(raw) is not None


def usage(found: Any) -> Usage | None:
    """Tokens by any provider's names. Those read from a cache are part of the input: some report them apart."""
    get = _getter(found)
    given, answered = _first(get, _INPUT), _first(get, _OUTPUT)
    if given is None and answered is None:
        return None
    into = _getter(_first(get, ("prompt_tokens_details", "input_tokens_details")))
    out = _getter(_first(get, ("completion_tokens_details", "output_tokens_details")))
    # Anthropic's and Bedrock's names: counted beside the input.
    read = _first(get, ("cache_read_input_tokens", "cacheReadInputTokens"))
    write = _first(get, ("cache_creation_input_tokens", "cacheWriteInputTokens"))
    thoughts = _count(get("thoughts_token_count"))  # Gemini's: counted beside the output
    return Usage(
        _sum(given, read, write),
        _sum(answered, thoughts),
        cache_read=_first_count(read, into("cached_tokens"), get("cached_content_token_count")),
        cache_write=_first_count(write, into("cache_write_tokens")),
        reasoning=_first_count(thoughts, out("reasoning_tokens")),
        audio_input=_count(into("audio_tokens")),
        audio_output=_count(out("audio_tokens")),
    )


_INPUT = ("prompt_tokens", "input_tokens", "inputTokens", "prompt_token_count", "prompt_eval_count")
_OUTPUT = ("completion_tokens", "output_tokens", "outputTokens", "candidates_token_count", "eval_count")
_COUNTS = (*_INPUT, *_OUTPUT)


def _reported(raw: Any) -> Any:
    """The part of a reply that counts tokens; a reply of Ollama's counts them itself."""
    get = _getter(raw)
    for name in ("usage", "usage_metadata"):
        found = get(name)
        if found is not None:
            return found
    return raw if isinstance(raw, dict) and "eval_count" in raw else None


def _getter(of: Any) -> Callable[[str], Any]:
    if isinstance(of, Mapping):
        return of.get
    return lambda name: getattr(of, name, None)


def _first(get: Callable[[str], Any], names: Iterable[str]) -> Any:
    """The first that is told."""
    return next((value for name in names if (value := get(name)) is not None), None)


def _first_count(*values: Any) -> int | None:
    return next((value for value in values if type(value) is int), None)


def _count(value: Any) -> int | None:
    return value if type(value) is int else None


def _sum(*counts: Any) -> int | None:
    known = [count for count in counts if type(count) is int]
    return sum(known) if known else None
