"""A model call inside another one: what it learns goes to the owner of the tokens (usage.py says who that is)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.context import Context

from . import failures, semconv, usage
from .encoding import scalar
from .guard import guard
from .messages import RequestValues, ResponseValues

if TYPE_CHECKING:
    from .recorder import Recorder


class Contribution:
    """A model call inside another one: it has no span; what it learns goes to the owner (recording/usage.py)."""

    __slots__ = (
        "_call",
        "_claim",
        "_ended",
        "_inner",
        "_request",
        "_started",
        "_values",
        "context",
        "recorder",
        "span",
    )

    def __init__(
        self,
        recorder: Recorder,
        call: usage.ModelCall,
        context: Context,
        operation: str,
        request: RequestValues,
        started: int,
    ) -> None:
        self.span = call.span
        self.recorder = recorder
        self._call = call
        self._claim = usage.claim(context)
        # A layer between the owner and the request: what the request knows counts in place of what the layer says.
        self._inner = usage.ModelCall(call.span, recorder.name) if recorder.is_layered else None
        self.context = context if self._inner is None else Context({**context, usage.KEY: self._inner})
        self._request: RequestValues = {**request, "operation": operation}
        self._started = started
        self._values: ResponseValues = {}
        self._ended = False

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended

    def set(self, values: ResponseValues) -> None:
        """Adds what has become known."""
        self._values = {**self._values, **values}

    def first_chunk(self) -> None:
        """The first chunk of a stream has arrived."""
        seconds = (self.recorder.now() - self._started) / 1e9
        self.set({"attributes": {**self._values.get("attributes", {}), semconv.TIME_TO_FIRST_CHUNK: seconds}})

    def event(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Something that happened on the way: told by the owner's span."""
        known = {key: scalar(value) for key, value in attributes.items() if value is not None}
        if self.span.is_recording():
            self.span.add_event(name, cast(Any, known))

    def finish(self, values: ResponseValues | None = None, outcome: str | None = None) -> None:
        """Hands what is known to the owner; where that has ended before, it becomes a span after all."""
        self._end(values, outcome, None)

    def fail(self, error: BaseException, values: ResponseValues | None = None) -> None:
        """Hands what is known to the owner, and tells it of the error, which may never reach it (a fallback)."""
        self._end(values, failures.outcome_of(error), error)

    def _end(self, values: ResponseValues | None, outcome: str | None, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        known: ResponseValues = {**self._values, **(values or {})}
        if self._inner is not None:
            self._inner.outcome = outcome or self._call.outcome
            known = self._inner.combined(known)
        if self._claim is not None and known.get("usage") is None:
            self._claim.withdraw()
        if not self._call.is_open:
            # A stream that was left is closed by and by, from the outside to the inside: it has been told already.
            if self._call.outcome is None or known.get("usage") is not None:
                self._end_late(known, outcome, error)
            return
        if error is not None and outcome is None:
            self.event("model_call.failed", {semconv.ERROR_TYPE: failures.type_name(error)})
        self._call.contributions.append(known)

    def _end_late(self, known: ResponseValues, outcome: str | None, error: BaseException | None) -> None:
        """Makes the span that the owner can no longer be: inside the program's own iteration, hence guarded."""
        try:
            late = self.recorder.start("", self._request, parent=self.context, started=self._started)
            if error is not None:
                late.fail(error, known)
            else:
                late.finish(known, outcome)
        except Exception as problem:  # noqa: BLE001 (the app's own tracer)
            guard.report(f"{self.recorder.name}: late span", problem)

    def abandon(self, outcome: str) -> None:
        """Hands what is known to the owner."""
        self.finish(outcome=outcome)
