"""Tokens exactly once: who owns the usage when calls of models nest.

The outermost model call in a context owns its tokens: it alone has a span. A provider's plugin beneath it (an
OpenAI request made by LangChain's chat model) opens none; what it knows, it contributes to the owner. So the sum
over a trace is what the provider bills, on any backend that sums spans.

Spans of another instrumentor (delegated.py) say what they are when they end, too late to own anything. There the
innermost that knows the tokens tells them: a `Claim` keeps the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from opentelemetry.trace import Span

from .messages import ResponseValues, Usage

KEY = "autotrace.model_call"
#: The claim of the innermost span of another instrumentor.
CLAIM = "autotrace.claim"


class Claim:
    """Who tells the tokens of what happens inside a span of another instrumentor: each is told once.

    Args:
        context: Where the span begins.

    Attributes:
        is_told: The span has told tokens itself; whatever ends later inside it has none left to tell.
    """

    __slots__ = ("_above", "_inside", "is_told")

    def __init__(self, context: Mapping[str, object]) -> None:
        above = context.get(CLAIM)
        self._above = above if isinstance(above, Claim) else None
        self._inside = 0
        self.is_told = False

    def begin(self) -> None:
        """A model call begins inside: it will tell its tokens itself."""
        self._count(1)

    def withdraw(self) -> None:
        """That model call has ended without knowing its tokens."""
        self._count(-1)

    def tell(self) -> bool:
        """Whether the span may tell the tokens that it knows; from then on they are told."""
        if self._inside > 0 or self._is_told_above():
            return False
        self.is_told = True
        if self._above is not None:
            self._above._count(1)
        return True

    def _is_told_above(self) -> bool:
        claim = self._above
        while claim is not None and not claim.is_told:
            claim = claim._above
        return claim is not None

    def _count(self, change: int) -> None:
        claim: Claim | None = self
        while claim is not None:
            claim._inside += change
            claim = claim._above


def claim(context: Mapping[str, object]) -> Claim | None:
    """The claim that a model call which begins in `context` lies in, told of it; None where there is none."""
    found = context.get(CLAIM)
    if not isinstance(found, Claim):
        return None
    found.begin()
    return found


class ModelCall:
    """An open model call, as those beneath it see it.

    Attributes:
        span: The owner's span.
        framework: Whose call it is. A call of the same framework inside it (an OpenAI request that a transport of the
            OpenAI client makes) is another call, not another view of this one.
        is_open: False once the owner has ended: what comes later is a call of its own.
        contributions: What the calls beneath have learned, in order.
        outcome: How the owner ended that neither succeeded nor failed.
    """

    __slots__ = ("_claim", "contributions", "framework", "is_open", "outcome", "span")

    def __init__(self, span: Span, framework: str, claim: Claim | None = None) -> None:
        self._claim = claim
        self.span = span
        self.framework = framework
        self.is_open = True
        self.contributions: list[ResponseValues] = []
        self.outcome: str | None = None

    def combined(self, own: ResponseValues) -> ResponseValues:
        """The owner's values, made exact by the contributions: several requests add up."""
        self.is_open = False
        values = self._merged(own) if self.contributions else own
        if self._claim is not None and values.get("usage") is None:
            self._claim.withdraw()
        return values

    def _merged(self, own: ResponseValues) -> ResponseValues:
        merged: ResponseValues = {}
        usage: Usage | None = None
        for values in self.contributions:
            merged.update(values)
            part = values.get("usage")
            if part is not None:
                usage = part if usage is None else usage + part
        merged["attributes"] = {**own.get("attributes", {}), **merged.get("attributes", {})}
        if usage is None:
            usage = own.get("usage")
        content = cast(ResponseValues, {key: own[key] for key in ("output", "output_value") if key in own})
        return {**own, **merged, **content, "usage": usage}


def owner(context: Mapping[str, object]) -> ModelCall | None:
    """The open model call that `context` lies in, or None."""
    call = context.get(KEY)
    return call if isinstance(call, ModelCall) and call.is_open else None


def owner_of(context: Mapping[str, object], framework: str) -> ModelCall | None:
    """The open model call that a call of `framework` in `context` contributes to, or None: it has its own span."""
    call = owner(context)
    return call if call is not None and call.framework != framework else None
