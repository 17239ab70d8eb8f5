"""The state of a trace's page, as its address tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

VIEWS = ("chat", "details", "raw")
#: Parents whose children are all shown, at most.
_OPENED = 20
_SPAN_ID = re.compile("[0-9a-f]{16}")
_TRACE_ID = re.compile("[0-9a-f]{32}")
#: Stands for what has no parent.
TOP = "top"


@dataclass(frozen=True, slots=True)
class Address:
    """What of a trace is shown.

    Attributes:
        trace_id: Which trace.
        span: The selected span's id; None: the page chooses.
        view: One of `VIEWS`.
        first: The first line of the tree; None: where the span that was asked for is.
        opened: Ids of the spans whose children are all shown, `TOP` among them.
        full: Whether long texts are shown in full.
        scope: Parameters that say which traces the pages around this one are about; they are given on.
    """

    trace_id: str
    span: str | None = None
    view: str = "chat"
    first: int | None = None
    opened: tuple[str, ...] = ()
    full: bool = False
    scope: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, trace_id: str, query: Mapping[str, str], scope: Mapping[str, str] | None = None) -> Address | None:
        """The state that an address describes, without what cannot be used of it; None where the id is none."""
        trace_id = trace_id.lower()
        if not _TRACE_ID.fullmatch(trace_id):
            return None
        span, view, first = (query.get(name, "") for name in ("span", "view", "row"))
        opened = dict.fromkeys(query.get("open", "")[:1000].split(","))
        return cls(
            trace_id,
            span.lower() if _SPAN_ID.fullmatch(span.lower()) else None,
            view if view in VIEWS else "chat",
            int(first) if re.fullmatch("[0-9]{1,9}", first) else None,
            tuple(each for each in opened if each == TOP or _SPAN_ID.fullmatch(each))[:_OPENED],
            query.get("full") == "1",
            tuple((scope or {}).items()),
        )

    def url(self, ending: str = "", **changes: Any) -> str:
        """The address of the page with some of its state changed."""
        to = replace(self, **changes)
        state = {
            "span": to.span,
            "view": None if to.view == "chat" else to.view,
            "row": to.first,
            "open": ",".join(to.opened),
            "full": "1" if to.full else None,
        }
        told = {name: value for name, value in state.items() if value not in (None, "")}
        return to.beside(f"/trace/{to.trace_id}{ending}", **told)

    def beside(self, path: str, **parameters: Any) -> str:
        """The address of another page, about the same traces."""
        told = {**dict(self.scope), **parameters}
        return path + (f"?{urlencode(told, safe=',', errors='replace')}" if told else "")
