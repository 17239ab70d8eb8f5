"""Texts of a trace as a page shows them: harmless, and no longer than a person reads."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from autotrace.store.visible import visible

#: Characters of one text, by default and at most; and of all texts of a page.
SHORT, LONG, ALL = 20_000, 500_000, 2_000_000
#: Characters of JSON that are read in order to be indented.
_INDENTED = 500_000
#: Characters of a name, an id, a label.
_LABEL = 300


class Texts:
    """What is left to be shown on one page.

    Args:
        full: Whether long texts are shown as far as a page bears.
        limit: Characters of one text, where it is something else.
    """

    def __init__(self, full: bool = False, limit: int | None = None) -> None:
        self._limit = limit or (LONG if full else SHORT)
        self._left = ALL
        #: Whether more would be shown of a text in full.
        self.is_cut = False

    def shown(self, value: Any) -> dict[str, Any]:
        """`text`, and `left_out`: how many characters are missing at its end."""
        text = value if isinstance(value, str) else indented(value)
        limit = max(0, min(self._limit, self._left))
        self.is_cut |= len(text) > limit
        self._left -= min(len(text), limit)
        return {"text": visible(text[:limit]), "left_out": max(0, len(text) - limit)}

    def value(self, value: Any) -> dict[str, Any]:
        """Likewise, indented where it is the text of a JSON object or list; `is_json` tells."""
        parsed = parsed_json(value) if isinstance(value, str) else value
        is_json = isinstance(parsed, dict | list)
        return {**self.shown(parsed if is_json else value), "is_json": is_json}


def label(value: Any) -> str:
    """A name or an id in one line."""
    text = value if isinstance(value, str) else indented(value)
    return " ".join(visible(text[:_LABEL]).split()) + ("…" if len(text) > _LABEL else "")


def parsed_json(text: str, most: int = _INDENTED) -> Any:
    """What a text of at most so many characters says that looks like a JSON object or list, else None."""
    if len(text) > most or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def indented(value: Any) -> str:
    """Any value as indented JSON."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # lone surrogates, integers beyond 64 bits, too deep
        try:
            return json.dumps(value, ensure_ascii=False, indent=2)
        except (TypeError, ValueError, RecursionError):
            return f"<{type(value).__name__}>"


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
