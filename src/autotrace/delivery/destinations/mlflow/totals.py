"""Tokens and cost of a whole trace, by MLflow's rule: a span that has some speaks for all beneath it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from autotrace.delivery.destinations import Record

from .attributes import COST, USAGE
from .limits import json_text


class Node(NamedTuple):
    """What matters of a span."""

    span_id: str
    parent_id: str | None
    figures: Mapping[str, float] | None


def total(nodes: Iterable[Node]) -> dict[str, float]:
    """The sum over all spans that have figures and do not lie in one that has; empty where none has."""
    known = {node.span_id: node for node in nodes}
    found: Counter[str] = Counter()
    for node in known.values():
        if node.figures and not _has_above(node, known):
            found.update(node.figures)
    return dict(found)


def _has_above(node: Node, known: Mapping[str, Node]) -> bool:
    return any(above.figures for above in _above(node, known))


def _above(node: Node, known: Mapping[str, Node]) -> Iterable[Node]:
    seen = {node.span_id}
    above = known.get(node.parent_id or "")
    while above is not None and above.span_id not in seen:
        seen.add(above.span_id)
        yield above
        above = known.get(above.parent_id or "")


def rolled_up(spans: Mapping[str, tuple[Record, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The attributes of a trace's spans, where a call with tokens lies in another one each counted in the outer one.

    MLflow sums nothing that lies beneath a span with figures of its own.

    Args:
        spans: Each span and its attributes, by span id.
    """
    found = {span_id: attributes for span_id, (_, attributes) in spans.items()}
    for key in (USAGE, COST):
        known = {
            span_id: Node(span_id, record.body["parent_id"], figures_of(attributes.get(key)))
            for span_id, (record, attributes) in spans.items()
        }
        sums = {node.span_id: Counter(node.figures) for node in known.values() if node.figures}
        for node in known.values():
            for above in _above(node, known) if node.figures else ():
                if above.span_id in sums:
                    sums[above.span_id].update(node.figures)
        for span_id, figures in sums.items():
            if figures != known[span_id].figures:
                found[span_id][key] = json_text(dict(figures))
    return found


def figures_of(value: Any) -> dict[str, float] | None:
    """Figures by name, from a mapping or its JSON; None where there are none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, dict):
        return None
    return {key: number for key, number in value.items() if type(number) in (int, float)} or None


def nodes_of(spans: Any, key: str) -> list[Node]:
    """The spans of a trace as MLflow's server gives them back.

    Args:
        spans: OTLP's JSON, with its names as protobuf has them.
        key: Of the attribute that holds the figures.
    """
    return [
        Node(str(span.get("span_id")), span.get("parent_span_id") or None, figures_of(_attribute(span, key)))
        for span in (spans if isinstance(spans, list) else ())
        if isinstance(span, dict)
    ]


def _attribute(span: Mapping[str, Any], key: str) -> Any:
    for pair in span.get("attributes", ()):
        if pair.get("key") == key:
            return _value(pair.get("value"))
    return None


def _value(value: Any) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((kind, inner),) = value.items()
    if kind == "kvlist_value":
        return {pair["key"]: _value(pair.get("value")) for pair in inner.get("values", ())}
    return int(inner) if kind == "int_value" else inner
