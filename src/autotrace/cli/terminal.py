"""What leaves for a terminal or a pipe, made harmless: `store/visible.py` says of what and how."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import TYPE_CHECKING, Any

import click
import orjson

from autotrace.store.visible import UNSAFE as UNSAFE
from autotrace.store.visible import visible as visible

if TYPE_CHECKING:
    from rich.console import Console

#: Columns of a table in a pipe, where nobody tells how wide it may be.
PIPE_WIDTH = 160


def first_line(text: str | None, limit: int = 500) -> str:
    """The first line of `text` that is not blank, harmless, at most `limit` characters; empty for None."""
    for line in (text or "")[: 20 * limit].split("\n"):
        if line.strip():
            return visible(line.strip()[:limit]).replace("\t", " ")
    return ""


def json_bytes(value: Any) -> bytes:
    """`value` as indented JSON in valid UTF-8 that can be shown on a terminal; infinities become null."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # lone surrogates, integers beyond 64 bits
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return UNSAFE.sub(_json_escape, text).encode()


def print_json(value: Any) -> None:
    """Prints `value` as JSON, UTF-8 whatever the locale says."""
    click.echo(json_bytes(value))


def warn(text: object) -> None:
    """Prints one line on stderr."""
    click.echo(f"autotrace: {visible(text)}", err=True)


class Failure(click.ClickException):
    """Ends a command with `Error: ...` on stderr and status 1."""

    def __init__(self, message: object) -> None:
        super().__init__(visible(message))


def console() -> Console:
    """A console that reads no markup, no emoji codes, and never fails on a narrow encoding."""
    from rich.console import Console

    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    found = Console(markup=False, highlight=False, emoji=False)
    if not found.is_terminal and "COLUMNS" not in found._environ:
        found = Console(markup=False, highlight=False, emoji=False, width=PIPE_WIDTH)
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _json_escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"
