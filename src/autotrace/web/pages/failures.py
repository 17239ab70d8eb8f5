"""Failures: in groups that are alike, and one of them."""

from __future__ import annotations

from typing import Any

from autotrace.insights.failure_list import failure, failure_list
from autotrace.insights.failures import KINDS

from .. import figures
from ..drawing import Bucket, columns, spark
from .page import Asked, NotThere, Page


def data(asked: Asked) -> dict[str, Any]:
    """Groups of failures."""
    kind = asked.query.other.get("kind")
    kind = kind if kind in KINDS else None
    return {"kind": kind, **failure_list(asked.insights, asked.site.memory, asked.query.scope, kind)}


def context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """A drawing of each group's course."""
    return {"sparks": [spark(group["course"], "Traces over time") for group in found["groups"]], "labels": KINDS}


def one(asked: Asked) -> dict[str, Any]:
    """One group."""
    number = asked.path["failure"]
    known = number.isascii() and number.isdigit() and len(number) < 18
    found = failure(asked.insights, asked.site.memory, asked.query.scope, int(number)) if known else None
    if found is None:
        raise NotThere("There is no such group of failures.")
    return found


def one_context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """The drawing of its course."""
    ends = [*found["starts"][1:], None]
    buckets = [
        Bucket((count,), f"{figures.moment(start)} UTC: {count:,} traces", _within(asked, found["id"], start, end))
        for start, end, count in zip(found["starts"], ends, found["course"], strict=True)
    ]
    drawing = columns(buckets, ("bad",), "Traces with this failure over time")
    return {"drawing": drawing, "label": KINDS[found["kind"]], "top": max(found["course"], default=0)}


def _within(asked: Asked, number: int, start: str, end: str | None) -> str:
    """The traces of a bucket in which it occurred."""
    before = asked.query.given.get("filter", "").strip()
    term = f"failure:{number}"
    return asked.query.within(start, end or "", filter=f"({before}) AND {term}" if before else term)


PAGE = Page("failures", "Failures", "/failures", "failures", data, context)
ONE = Page("failure", "Failure", "/failure/{failure}", "failures", one, one_context)
