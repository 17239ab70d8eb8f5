"""One line on stderr for every finished root span."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from autotrace.config import Config

from . import Record


class ConsoleDestination:
    """Prints name, status, duration, model and tokens of each local root span that has ended.

    Args:
        stream: Where to print; `sys.stderr`, as it is at that moment, when None.
    """

    name = "console"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> None:
        """Prints the ended root spans among the records."""
        lines = [_line(record) for record in records if record.kind == "E" and record.body["root"]]
        stream = self._stream or sys.stderr
        if lines and stream is not None:  # a program without a console has no stderr
            stream.write("".join(line + "\n" for line in lines))
            stream.flush()

    def close(self) -> None:
        """Nothing to let go of."""


def make(config: Config) -> ConsoleDestination:
    """The console as a destination."""
    return ConsoleDestination()


def _line(record: Record) -> str:
    body = record.body
    attributes = body["attributes"]
    status = "error" if body["status"] == "error" else attributes.get("autotrace.outcome", "ok")
    seconds = (body["end"] - body["start"]) / 1e9
    parts = [
        f"autotrace: {attributes.get('autotrace.trace.name') or body['name']}",
        str(status),
        f"{seconds:.2f} s",
        str(attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model") or ""),
        _tokens(attributes),
        str(body["message"] or attributes.get("error.type") or "") if status == "error" else "",
        f"trace {record.trace_id}",
    ]
    return _escaped("  ".join(part for part in parts if part))


def _tokens(attributes: Mapping[str, Any]) -> str:
    tokens_in = attributes.get("gen_ai.usage.input_tokens")
    tokens_out = attributes.get("gen_ai.usage.output_tokens")
    if tokens_in is None and tokens_out is None:
        return ""
    return f"{tokens_in or 0} -> {tokens_out or 0} tokens"


def _escaped(text: str) -> str:
    """The text with everything that could move a terminal's cursor shown as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
