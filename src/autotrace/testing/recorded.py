"""The spans of one test: a private provider with counting ids and a clock that goes on by a second a look."""

from __future__ import annotations

import gc
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import autotrace
from autotrace import Usage
from autotrace.activation import active
from autotrace.recording import recorder, semconv, tracer
from autotrace.recording.current import surround
from autotrace.recording.guard import guard

if TYPE_CHECKING:
    import pytest

#: Attributes whose text is JSON.
_JSON = frozenset(
    {semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.INSTRUCTIONS, semconv.TOOL_DEFINITIONS, semconv.RETRIEVED}
)


@dataclass(frozen=True)
class RecordedSpan:
    """A span that has ended.

    Attributes:
        name: Its name, e.g. `chat acme-1`.
        kind: `client`, `internal`, ...
        status: `ok`, `error` or `unset`.
        message: What goes with the status `error`.
        attributes: All of them; what is JSON text on the span (messages, tools) is parsed.
        events: Names and attributes, in order.
        trace_id: 1 for the first trace of the test, 2 for the next.
        span_id: 1 for the first span of the test, and so on, in the order of starting.
        parent_id: The span that it lies in; None for a root.
        start_s: Seconds of the test's clock, which goes on by one second each time that it is looked at.
        end_s: The same.
        framework: The name of the instrumentation that it comes from; empty for the program's own.
    """

    name: str
    kind: str
    status: str
    message: str | None
    attributes: Mapping[str, Any]
    events: Sequence[tuple[str, Mapping[str, Any]]]
    trace_id: int
    span_id: int
    parent_id: int | None
    start_s: int
    end_s: int
    framework: str
    everything: str = field(default="", repr=False, compare=False)

    def __getitem__(self, name: str) -> Any:
        """The attribute `name`, or the one called `gen_ai.` and `name`; None where there is none."""
        return self.attributes.get(name, self.attributes.get("gen_ai." + name))

    @property
    def outcome(self) -> str | None:
        """`closed`, `abandoned`, `cancelled`, ...; None for what succeeded or failed."""
        return self["autotrace.outcome"]  # type: ignore[no-any-return]

    @property
    def usage(self) -> Usage:
        """The tokens on it."""
        return Usage(*(self.attributes.get(semconv.USAGE[name][0]) for name in Usage._fields))

    @property
    def is_model_call(self) -> bool:
        """Whether it asked a model, and so may carry tokens."""
        return self["operation.name"] in semconv.MODEL_OPERATIONS


class Spans:
    """The spans that have ended in this test: what the fixture `spans` gives.

    Example:
        >>> with Spans() as spans:
        ...     with autotrace.span("outer"), autotrace.span("inner", input="why?"):
        ...         pass
        >>> print(spans.outline())
        outer
          inner

    On leaving, it asserts that nothing of autotrace's is left: no wrapper, no open operation, no current span.
    """

    def __init__(self) -> None:
        self._spans: list[tracer.RecordedSpan] = []
        self._ids = _CountingIds()
        clock = itertools.count(1_000_000_000, 1_000_000_000)
        self._provider = tracer.LeanTracerProvider(self, lambda: next(clock), lambda: self._ids)
        self._around: Any = None
        self._surroundings: Any = None
        self._open_before: set[int] = set()
        self._before: tuple[bool, dict[str, Any], dict[str, dict[str, Any]], Any] = (False, {}, {}, None)

    def __enter__(self) -> Spans:
        from opentelemetry.trace import get_current_span

        activation = active()
        self._before = activation.is_on, activation.arguments, activation.framework_arguments, activation.given_provider
        activation.reset()
        self._open_before = set(recorder._open)
        self._around = get_current_span()
        self._surroundings = surround(None)  # the test itself may be a trace, which is not what it is about
        self.on()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if set(recorder._open) - self._open_before:
            gc.collect()
        left = [operation() for key, operation in list(recorder._open.items()) if key not in self._open_before]
        names = [getattr(one.span, "name", "a span") for one in left if one is not None]
        patches, failures = active().host.patches(), _failures()
        for one in left:
            if one is not None:
                one.abandon("abandoned")  # else every later test would meet it
        active().reset()
        try:
            if kind is None:
                self._assert_clean(names, patches, failures)
        finally:
            self._restore()

    def _restore(self) -> None:
        """Leaves tracing as the program had it before this test."""
        surround(self._surroundings)
        is_on, arguments, framework_arguments, provider = self._before
        activation = active()
        activation.arguments, activation.framework_arguments = arguments, framework_arguments
        activation.given_provider = provider
        if is_on:
            activation.switch_on()

    def on(self, **settings: Any) -> None:
        """Switches tracing on (again), with settings of `autotrace.autolog`; errors of ours and of plugins raise.

        With a `tracer_provider` the spans go there, as a program's own provider gets them, and are not collected here.
        """
        known: dict[str, Any] = {"strict": True, "disable": False, "capture_content": "full"}
        autotrace.autolog(**{"tracer_provider": self._provider, **known, **settings})

    def off(self) -> None:
        """Switches tracing off: the frameworks are as if autotrace were not there."""
        autotrace.autolog(disable=True)

    def all(self) -> list[RecordedSpan]:
        """Every span that has ended, in the order of starting."""
        return [_recorded(span) for span in sorted(self._spans, key=lambda span: span.get_span_context().span_id)]

    def one(self) -> RecordedSpan:
        """The only span.

        Raises:
            AssertionError: There is none, or there are several.
        """
        found = self.all()
        assert len(found) == 1, f"one span was expected, there are {len(found)}: {[span.name for span in found]}"
        return found[0]

    def named(self, name: str) -> RecordedSpan:
        """The only span of that name.

        Raises:
            AssertionError: There is none, or there are several.
        """
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, f"{len(found)} spans are called {name!r}; there are {[s.name for s in self.all()]}"
        return found[0]

    def tree(self) -> list[dict[str, Any]]:
        """All that has ended as one value, to be compared whole: the roots, each with its children.

        A span is a dict of `name`, `kind`, `status` (`ok`, `error`, or the outcome), `attributes`, and where there
        are any `message`, `events`, `children`.
        """
        return self._below(None)

    def outline(self) -> str:
        """The tree by its names, a line a span, two spaces a level; `!` marks an error, `(closed)` an outcome."""
        return "\n".join(_lines(self.tree(), 0))

    def clear(self) -> None:
        """Forgets the spans so far."""
        self._spans.clear()

    @property
    def usage(self) -> Usage:
        """The tokens on all spans: what the provider billed."""
        return sum((span.usage for span in self.all()), Usage())

    def started(self, span: tracer.RecordedSpan) -> None:
        """A span without a parent has started."""

    def ended(self, span: tracer.RecordedSpan) -> None:
        """A span has ended."""
        self._spans.append(span)

    def _below(self, parent: int | None) -> list[dict[str, Any]]:
        spans = self.all()
        known = {span.span_id for span in spans}
        is_child = [span.parent_id == parent or (parent is None and span.parent_id not in known) for span in spans]
        return [self._node(span) for span, wanted in zip(spans, is_child, strict=True) if wanted]

    def _node(self, span: RecordedSpan) -> dict[str, Any]:
        optional = {"message": span.message, "events": span.events, "children": self._below(span.span_id)}
        return {
            "name": span.name,
            "kind": span.kind,
            "status": span.outcome or span.status,
            "attributes": dict(span.attributes),
            **{key: value for key, value in optional.items() if value},
        }

    def _assert_clean(self, left_open: list[str], patches: list[Any], failures: dict[str, Any]) -> None:
        from opentelemetry.trace import get_current_span

        assert not left_open, f"{len(left_open)} spans were begun and never ended: {left_open}"
        left = [patch.label for patch in patches if patch.is_in_place()]
        assert not left, f"wrappers are left on {left}"
        assert get_current_span() is self._around, "a span is still current"
        assert failures == {}


@contextmanager
def isolated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Spans of one test, whatever the environment says; a store, should one be asked for, lies in `folder`."""
    for name in list(os.environ):
        if name.startswith(("AUTOTRACE_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AUTOTRACE_HOME", str(folder / "autotrace"))
    with Spans() as found:
        yield found


class _CountingIds:
    """Ids as they come: 1, 2, 3, of traces and of spans."""

    def __init__(self) -> None:
        self._counters = {64: itertools.count(1), 128: itertools.count(1)}

    def getrandbits(self, k: int) -> int:
        return next(self._counters[k])


def _failures() -> dict[str, str]:
    """What has failed inside autotrace or a plugin at work; a plugin that cannot be used is told elsewhere."""
    places = guard.failures.items()
    return {
        place: one.last for place, one in places if not place.startswith("plugin ") and not place.endswith(": patch")
    }


def _recorded(span: tracer.RecordedSpan) -> RecordedSpan:
    ids, parent, scope = span.get_span_context(), span.parent, span.tracer.scope
    attributes = {key: json.loads(value) if key in _JSON else value for key, value in span.attributes.items()}
    events = [(event.name, event.attributes) for event in span.events]
    return RecordedSpan(
        span.name,
        span.kind.name.lower(),
        span.status.status_code.name.lower(),
        span.status.description,
        attributes,
        events,
        ids.trace_id,
        ids.span_id,
        None if parent is None else parent.span_id,
        span.start_time // 1_000_000_000,
        (span.end_time or 0) // 1_000_000_000,
        scope.removeprefix("autotrace.plugins.") if scope.startswith("autotrace.plugins.") else "",
        f"{span.name} {span.status.description} {span.attributes} {events}",
    )


def _lines(nodes: list[dict[str, Any]], level: int) -> list[str]:
    found = []
    for node in nodes:
        mark = {"ok": "", "error": " !"}.get(node["status"], f" ({node['status']})")
        found.append("  " * level + node["name"] + mark)
        found += _lines(node.get("children", []), level + 1)
    return found
