"""The fields of the filter language: what each may be compared with, and how its values are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from autotrace.errors import FilterError

#: How a field is compared: by the whole text, by a part of it, or by size.
EXACT, PART, TIME, TOKENS, MONEY, COUNT = "exact", "part", "time", "tokens", "money", "count"
#: Fields with a meaning of their own.
SEARCH, FEEDBACK = "search", "feedback"

FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("status", "environment", "service", "release", "session", "user"), EXACT),
    **dict.fromkeys(("model", "provider", "framework", "tool", "tag", "failure", "id"), EXACT),
    **dict.fromkeys(("name", "error", "question", "path"), PART),
    **dict.fromkeys(("duration", "ttft"), TIME),
    **dict.fromkeys(("tokens", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"), TOKENS),
    "cost": MONEY,
    **dict.fromkeys(("spans", "errors", "retries", "repeats", "model_calls", "tool_calls"), COUNT),
    "text": SEARCH,
    "feedback": FEEDBACK,
}
#: What others call a field.
ALIASES: Mapping[str, str] = {
    **dict.fromkeys(("latency", "time", "took", "elapsed", "duration_ms"), "duration"),
    **dict.fromkeys(("first_token", "time_to_first_token"), "ttft"),
    **dict.fromkeys(("price", "usd", "cost_usd", "spend"), "cost"),
    **dict.fromkeys(("thumb", "thumbs", "rating", "score", "liked", "disliked", "verdict"), "feedback"),
    **dict.fromkeys(("query", "answer", "prompt", "request", "response", "input", "output", "content"), "text"),
    **dict.fromkeys(("env", "stage"), "environment"),
    **dict.fromkeys(("version",), "release"),
    **dict.fromkeys(("trace", "trace_id"), "id"),
    **dict.fromkeys(("app", "application"), "service"),
    **dict.fromkeys(("user_id", "customer"), "user"),
    **dict.fromkeys(("session_id", "conversation", "thread"), "session"),
    **dict.fromkeys(("exception", "failed"), "error"),
    "state": "status",
    "llm": "model",
    "vendor": "provider",
    "function": "tool",
    "label": "tag",
    "token": "tokens",
}
#: Fields that are compared by size.
FIGURES = frozenset(name for name, kind in FIELDS.items() if kind in (TIME, TOKENS, MONEY, COUNT))
#: What can be said of feedback.
VERDICTS = ("up", "down", "none", "any", "comment")

EQUAL = (":", "=", "!=")
COMPARISONS = (*EQUAL, ">", ">=", "<", "<=")


class _Notation(NamedTuple):
    """How a figure is written: units with what they stand for, and examples for who wrote something else."""

    units: Mapping[str, int]
    example: str
    prefix: str = ""


_PLAIN = {"": 1}
_NOTATIONS = {
    TIME: _Notation({"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}, "a time such as 500ms, 3s, 2m"),
    TOKENS: _Notation({**_PLAIN, "k": 1000, "m": 10**6}, "a number of tokens such as 800, 10k, 1.5M"),
    MONEY: _Notation(_PLAIN, "an amount in US dollars such as 0.05 or $2", r"\$?"),
    COUNT: _Notation(_PLAIN, "a number such as 3"),
}
_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})\s*([a-z]*)"


def operators(field: str) -> tuple[str, ...]:
    """The operators that may follow a field."""
    if FIELDS[field] == SEARCH:
        return (":",)
    return COMPARISONS if field in FIGURES else EQUAL


def amount(field: str, text: str) -> int | float:
    """A figure as it is stored: times in ns, costs in USD.

    Raises:
        FilterError: It cannot be read; without the position.
    """
    kind = FIELDS[field]
    notation = _NOTATIONS[kind]
    match = re.fullmatch(notation.prefix + _NUMBER, text.strip().lower())
    unit = notation.units.get(match[2]) if match else None
    if match and kind == TIME and not match[2]:
        unit = 1 if Decimal(match[1]) == 0 else None  # no time is no time, whatever it is counted in
        if unit is None:
            raise FilterError(f"say in which unit, {match[1]}ms, {match[1]}s, {match[1]}m or {match[1]}h")
    if match is None or unit is None:
        raise FilterError(f"give {notation.example}")
    found = Decimal(match[1]) * unit
    if found >= 2**62:
        raise FilterError("this is more than any trace has")
    return float(found) if kind == MONEY or found % 1 else int(found)
