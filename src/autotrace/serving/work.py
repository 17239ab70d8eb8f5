"""A unit of work, as a plugin describes it: a worker's task, a handler, a notebook's cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Work:
    """What a unit of work is.

    Example:
        >>> Work("answer", input="why?", carrier={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}).name
        'answer'

    Attributes:
        name: What its span is called.
        input: What it starts from: any value, or a function that tells it when it is wanted; None: nothing that is
            worth keeping.
        carrier: What its sender sent along (see Sender), if it did.
        continues: It is a part of its sender's trace, as a request is; else a trace of its own, linked to that.
        links: The `traceparent`s of more spans that led to it.
        session: The conversation that it belongs to.
        user: Who asked.
        request_id: What the caller calls it, and TaskEnd.
        kind: `consumer` for what was sent, `server` for what somebody waits for, `internal` for what runs here.
        attributes: More, by name.
    """

    name: str
    input: Any = None
    carrier: Mapping[str, Any] | None = None
    continues: bool = False
    links: Sequence[str] = ()
    session: str | None = None
    user: str | None = None
    request_id: str | None = None
    kind: Literal["consumer", "server", "internal"] = "consumer"
    attributes: Mapping[str, Any] = field(default_factory=dict)
