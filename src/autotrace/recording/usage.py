"""Tokens exactly once: who owns the usage when calls of models nest.

The outermost model call in a context owns its tokens: it alone has a span. A provider's plugin beneath it (an
OpenAI request made by LangChain's chat model) opens none; what it knows, it contributes to the owner. So the sum
over a trace is what the provider bills, on any backend that sums spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from opentelemetry.trace import Span

from .messages import ResponseValues, Usage

KEY = "autotrace.model_call"


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

    __slots__ = ("contributions", "framework", "is_open", "outcome", "span")

    def __init__(self, span: Span, framework: str) -> None:
        self.span = span
        self.framework = framework
        self.is_open = True
        self.contributions: list[ResponseValues] = []
        self.outcome: str | None = None

    def combined(self, own: ResponseValues) -> ResponseValues:
        """The owner's values, made exact by the contributions: several requests add up."""
        self.is_open = False
        if not self.contributions:
            return own
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
