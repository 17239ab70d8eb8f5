"""JSON that came from outside: what a strict parser refuses, and what is cut off in its midst. Never raises."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

#: Brackets, commas and texts of what is cut off that are looked at: a few milliseconds.
MOST_TOKENS = 20_000
#: How deep it may be nested.
MOST_BRACKETS = 200
#: Digits of a whole number that is still read as one.
_DIGITS = 1000
#: A text, as far as it goes: an escape that is cut off does not belong to it. Or a mark between values.
_TOKEN = re.compile(r'"[^"\\]*(?:\\(?:u[0-9a-fA-F]{4}|[^u])[^"\\]*)*("?)|[\[\]{},]', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}


def loads(text: bytes | str) -> Any:
    """The value of a JSON text; None where it is none. NaN, lone surrogates and bytes that are no UTF-8 are taken."""
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    if isinstance(text, bytes):
        bytes_, text = text, text.decode("utf-8-sig", "replace")
        is_odd = "\ufffd" in text or bytes_[:1] == b"\xef"
    else:
        is_odd = False
    if not is_odd and not any(mark in text for mark in _ODD):
        return None  # Python's parser would refuse it too, and takes longer for it
    try:
        return json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return None


#: What Python's parser takes and the strict one does not.
_ODD = ("\\ud", "\\uD", "NaN", "Infinity")


def _whole(digits: str) -> int | float:
    """Python takes quadratic time for a whole number, and refuses a long one."""
    return int(digits) if len(digits) <= _DIGITS else float("inf")


def begun(text: str, mark: str = "") -> Any:
    """The value that a JSON text begins, as far as it came; None where it begins none.

    Args:
        text: The beginning.
        mark: What a string that is cut off ends in.

    Example:
        >>> begun('{"answer": "Oslo has 4 deg')
        {'answer': 'Oslo has 4 deg'}
    """
    brackets: list[str] = []
    safe = depth = 0  # where the last value before a comma ended, and in how many brackets it stands
    end, quote = len(text), ""
    for count, token in enumerate(_TOKEN.finditer(text)):
        sign = text[token.start()]
        if sign == '"':
            if not token[1]:
                end, quote = token.end(), mark + '"'
                break
        elif sign in "]}":
            if not brackets:
                break
            brackets.pop()
        else:
            safe = token.start()
            if sign != ",":
                brackets.append(_CLOSING[sign])
                safe += 1
            depth = len(brackets)
            if count >= MOST_TOKENS or depth >= MOST_BRACKETS:
                end = safe
                break
    found = loads(text[:end] + quote + "".join(reversed(brackets)))
    if found is None and safe:
        found = loads(text[:safe] + "".join(reversed(brackets[:depth])))
    return found
