"""The way that an agent took through its tools, and calls that it made twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from autotrace.store.messages import output_messages, value_text
from autotrace.store.spans import Payload, Span

NO_TOOLS = "no tools"
#: Steps of a path that are kept.
_MOST = 12
_TOOLS = frozenset({"execute_tool"})
_STEPS = _TOOLS | {"retrieval", "rerank"}


def tool_name(span: Span, payload: Payload) -> str:
    """The name of the tool that a span is a call of."""
    name = payload.attributes.get("gen_ai.tool.name")
    return name if isinstance(name, str) and name else span.name.removeprefix("execute_tool ")


def steps(spans: Sequence[Span], payloads: Mapping[int, Payload], models: Sequence[Span]) -> list[str]:
    """The tools that were called, in order, and what was looked up; without spans of tools those that models asked for.

    Args:
        spans: Of one trace, earliest first.
        payloads: Of spans, by row id.
        models: Those of the spans that are calls of models.
    """
    found = []
    for span in spans:
        if span.operation in _TOOLS:
            found.append(tool_name(span, payloads.get(span.id, Payload())))
        elif span.operation in _STEPS:
            found.append(str(span.operation))
    if any(span.operation in _TOOLS for span in spans):
        return found
    for span in models:
        for message in output_messages(payloads.get(span.id, Payload()).attributes):
            found += [_called(part) for part in message.parts if part.get("type") == "tool_call"]
    return found


def _called(part: Mapping[str, Any]) -> str:
    """The tool that a model asked for; its name may be anything that JSON can tell."""
    name = part.get("name")
    return name.encode("utf-8", "replace").decode() if isinstance(name, str) and name else "tool"


def path(names: Sequence[str]) -> str:
    """Steps as one text: `search → fetch ×3 → answer`; what is longer than a dozen is cut."""
    if not names:
        return NO_TOOLS
    runs = [(name, sum(1 for _ in same)) for name, same in groupby(names)]
    told = [name[:100] if count == 1 else f"{name[:100]} ×{count}" for name, count in runs[:_MOST]]
    return " → ".join(told + ["…"] * (len(runs) > _MOST))


def repeats(spans: Sequence[Span], payloads: Mapping[int, Payload]) -> int:
    """How many calls of tools were there already in this trace: the same tool with the same arguments."""
    seen: Counter[tuple[str, int]] = Counter()
    for span in spans:
        payload = payloads.get(span.id)
        if span.operation in _TOOLS and payload is not None:
            arguments = payload.attributes.get("gen_ai.tool.call.arguments")
            if arguments is not None:
                seen[tool_name(span, payload), hash(value_text(arguments))] += 1
    return sum(count - 1 for count in seen.values())
