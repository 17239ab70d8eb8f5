"""The page that the report is written into, a part per family."""

from __future__ import annotations

from pathlib import Path

from families import FAMILIES

#: The part that discovery.py writes.
DISCOVERY = "discovery"
#: The part that delivery.py writes.
DELIVERY = "delivery"
#: The part that serving.py writes.
SERVING = "serving"
_NAMES = [*(family.name for family in FAMILIES), DISCOVERY, DELIVERY, SERVING]
_PARTS = "\n\n".join(f"<!-- bench:{name}:begin -->\n<!-- bench:{name}:end -->" for name in _NAMES)
INTRODUCTION = f"""# What tracing costs

This page says what tracing adds to a program that calls a model through the openai SDK, LangChain or LlamaIndex:
time on the calling thread, processor time of the whole process, memory, and start-up time. autotrace stands
beside the alternatives, each set up as its own documentation says for production, with content capture on, in an
environment and a process of its own.

The model's answers come from memory, so that no network is measured; a real model takes seconds where these
calls take a millisecond. The tracers that export to a server send to one on the loopback that accepts
everything. MLflow writes to its SQLite store inside the measured process, and so does autotrace: all their
work is counted.

To reproduce: `make bench`, or `python benchmarks/run.py --write docs/performance.md`. How to read the tables,
and what they do not show, stands in `benchmarks/README.md`. The parts below are written by that command.

{_PARTS}
"""


def write(page: Path, part: str, markdown: str) -> None:
    """Put a part of the report, such as a family's, between its markers of a page; create the page if it is missing.

    Raises:
        ValueError: The page has no markers for it.
    """
    marks = f"<!-- bench:{part}:begin -->", f"<!-- bench:{part}:end -->"
    text = page.read_text(encoding="utf-8") if page.is_file() else INTRODUCTION
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"{page} has no {marks[0]} and {marks[1]} to write between")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{before}{begin}\n\n{markdown}\n\n{end}{after}", encoding="utf-8")
