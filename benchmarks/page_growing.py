"""A trace of the made-up shop's assistants as it grows: spans that are open, a clock, and records for the journal."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from page_failures import Failure
from page_words import Words

MS = 1_000_000
S = 1000 * MS


class Record(NamedTuple):
    """A line of the journal: kind, ids, body."""

    kind: str
    trace_id: str
    span_id: str
    body: dict[str, Any]


class Model(NamedTuple):
    """A model: who has it, its weight among the calls, ms to the first token, tokens a second, how often it fails."""

    name: str
    provider: str
    plugin: str
    weight: float
    first_ms: float
    speed: float
    failing: float = 1.0
    thinks: bool = False


#: One is new to every price list, and worse than the others.
MODELS = (
    Model("gpt-4o-mini", "openai", "openai", 34, 350, 90),
    Model("gpt-4o", "openai", "openai", 24, 480, 70),
    Model("claude-sonnet-4-5", "anthropic", "anthropic", 18, 900, 60),
    Model("gemini-2.5-flash", "gcp.gemini", "google_genai", 12, 420, 160, thinks=True),
    Model("o4-mini", "openai", "openai", 7, 2200, 80, thinks=True),
    Model("acme-chat-2", "acme", "openai", 5, 1600, 25, failing=4.0),
)


@dataclass(frozen=True)
class Turn:
    """One trace to be made.

    Attributes:
        number: Its place among all; with the seed it decides everything.
        start_ns: When it begins, in ns since 1970.
        session: The session's number and the turn in it; None for what belongs to none.
        user: Who asks.
        setting: Environment, service and release.
        is_bad: The release has a fault.
        rare: A word that is to stand in the question.
    """

    number: int
    start_ns: int
    session: tuple[int, int] | None
    user: str | None
    setting: tuple[str, str, str]
    is_bad: bool = False
    rare: str = ""


@dataclass
class Trace:
    """A trace as it grows: `now` is its clock."""

    words: Words
    chance: random.Random
    turn: Turn
    trace_id: str
    model: Model
    now: int
    records: list[Record] = field(default_factory=list)
    open: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def begin(self, name: str, scope: str, attributes: dict[str, Any], kind: str = "internal") -> dict[str, Any]:
        """Opens a span inside the one that is open."""
        body: dict[str, Any] = {
            "parent_id": self.open[-1][0] if self.open else None,
            "root": not self.open,
            "name": name,
            "kind": kind,
            "start": self.now,
            "end": None,
            "status": "unset",
            "message": None,
            "scope": f"autotrace.plugins.{scope}",
            "scope_version": "0.9.0",
            "attributes": self.labels | attributes,
            "events": [],
            "links": [],
        }
        self.open.append((f"{self.chance.getrandbits(64) | 1:016x}", body))
        return body

    def end(self, attributes: Mapping[str, Any] | None = None, failure: Failure | None = None) -> None:
        """Ends the span that is open."""
        span, body = self.open.pop()
        self.now += self.chance.randrange(20_000, 900_000)
        body["end"] = self.now
        body["attributes"].update(attributes or ())
        if failure is not None:
            body["status"], body["message"] = "error", failure.message
            body["attributes"]["error.type"] = failure.type
            body["events"].append(failure.event(self.now))
        self.records.append(Record("E", self.trace_id, span, body))

    def interrupt(self) -> None:
        """The process is killed: nothing that is open ends."""
        while self.open:
            span, body = self.open.pop()
            self.records.append(Record("I", self.trace_id, span, body))

    def passes(self, ms: float) -> None:
        """Time goes by: about so much, now and then far more."""
        self.now += int(ms * MS * self.chance.lognormvariate(0, 0.45))


def said(role: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A message."""
    return {"role": role, "parts": list(parts), **more}


def text(content: str) -> dict[str, Any]:
    """A part that is a text."""
    return {"type": "text", "content": content}
