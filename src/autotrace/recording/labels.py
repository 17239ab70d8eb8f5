"""Whose trace it is: session, user, tags and name, for one trace or for a stretch of code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import INVALID_SPAN, Span

from . import semconv
from .encoding import plain, plain_json, readable

#: In OpenTelemetry's context: the Labels of the stretch of code, the TraceState of the trace.
LABELS = "autotrace.labels"
TRACE = "autotrace.trace"


@dataclass(frozen=True)
class Labels:
    """What is said of a trace by its surroundings."""

    session: str | None = None
    user: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)

    def over(self, other: Labels) -> Labels:
        """These labels where they say something, `other`'s elsewhere."""
        return Labels(
            self.session if self.session is not None else other.session,
            self.user if self.user is not None else other.user,
            {**other.tags, **self.tags},
        )

    def attributes(self) -> dict[str, Any]:
        """As span attributes."""
        found: dict[str, Any] = {}
        if self.session is not None:
            found[semconv.SESSION] = found[semconv.CONVERSATION] = readable(str(self.session))
        if self.user is not None:
            found[semconv.USER] = readable(str(self.user))
        if self.tags:
            found[semconv.TAGS] = plain_json(plain(dict(self.tags)))
        return found


class TraceState:
    """The part of a trace that runs in this process: its first span, and what was said of it on the way."""

    __slots__ = ("_name", "labels", "root")

    def __init__(self, root: Span, labels: Labels) -> None:
        self.root = root
        self.labels = labels
        self._name: str | None = None

    def begin(self, root: Span) -> None:
        """The first span has begun, perhaps after something was said of the trace."""
        if self.root is INVALID_SPAN:
            self.root = root
            if self._name is not None:
                root.set_attribute(semconv.TRACE_NAME, readable(str(self._name)))

    def update(self, labels: Labels, name: str | None) -> None:
        """Adds labels to the trace: to its first span now, to later spans when they start."""
        self.labels = labels.over(self.labels)
        if self.root.is_recording():
            self.root.set_attributes(self.labels.attributes())
            if name is not None:
                self.root.set_attribute(semconv.TRACE_NAME, readable(str(name)))
        elif name is not None and self.root is INVALID_SPAN:
            self._name = name


EMPTY = Labels()


def in_force(context: Mapping[str, object]) -> Labels | None:
    """The labels that a span started in `context` carries, or None when there are none."""
    near = context.get(LABELS)
    state = context.get(TRACE)
    far = state.labels if isinstance(state, TraceState) else EMPTY
    if isinstance(near, Labels):
        return near.over(far)
    return far if far is not EMPTY else None
