"""What a reply bills, and how each API reports it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from autotrace.testing.openai_api.ask import JSON, Ask


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens billed; the details are parts of `input_tokens` and `output_tokens`, as at the provider."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0

    def __add__(self, other: Billed) -> Billed:
        return Billed(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Billed)))


def meter(ask: Ask, *, audio: bool = True) -> Billed:
    """The tokens of a generation: non-zero, in disjoint ranges, so that no figure passes for another."""
    return Billed(
        requests=1,
        input_tokens=ask.figure(200, 800, 0),
        output_tokens=ask.figure(1200, 800, 2),
        cached_tokens=ask.figure(100, 40, 4),
        cache_write_tokens=ask.figure(60, 20, 5),
        input_audio_tokens=ask.figure(20, 10, 6) if audio else 0,
        reasoning_tokens=ask.figure(140, 40, 7),
        output_audio_tokens=ask.figure(40, 10, 8) if audio else 0,
    )


def completion_usage(billed: Billed) -> JSON:
    """Usage as chat and text completions report it."""
    return {
        "prompt_tokens": billed.input_tokens,
        "completion_tokens": billed.output_tokens,
        "total_tokens": billed.input_tokens + billed.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": billed.cached_tokens,
            "cache_write_tokens": billed.cache_write_tokens,
            "audio_tokens": billed.input_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": billed.reasoning_tokens,
            "audio_tokens": billed.output_audio_tokens,
            "accepted_prediction_tokens": 2,
            "rejected_prediction_tokens": 1,
        },
    }


def response_usage(billed: Billed) -> JSON:
    """Usage as the Responses API reports it."""
    return {
        "input_tokens": billed.input_tokens,
        "input_tokens_details": {
            "cached_tokens": billed.cached_tokens,
            "cache_write_tokens": billed.cache_write_tokens,
        },
        "output_tokens": billed.output_tokens,
        "output_tokens_details": {"reasoning_tokens": billed.reasoning_tokens},
        "total_tokens": billed.input_tokens + billed.output_tokens,
    }
