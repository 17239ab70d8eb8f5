"""Making an operation's context the current one, around the call or the await itself and never across a yield.

Other tools keep contexts too and make one current that they took before our operation began, in the middle of it: what
is ours is missing there. So the innermost context that we made current is remembered beside OpenTelemetry's.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, NamedTuple, cast

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import Span

from . import suppression, usage
from .labels import LABELS, TRACE
from .tracer import ASIDE, HELD, OWN_SPAN, SPAN_KEY, RecordedSpan

_innermost: ContextVar[Context | None] = ContextVar("autotrace.innermost", default=None)
#: What everything in this process lies in that lies in nothing nearer.
_around: Context | None = None
_OURS = "autotrace."


class Entered(NamedTuple):
    """What was current before."""

    theirs: Token[Context]
    ours: Token[Context | None]


def enter(context: Context) -> Entered:
    """Makes `context` current. Give the result to `leave`."""
    return Entered(context_api.attach(context), _innermost.set(context))


def leave(entered: Entered) -> None:
    """Restores what was current before.

    A coroutine that the garbage collector closes is closed in another context than it ran in, where there is
    nothing to restore; OpenTelemetry's `detach` would log an error for it.
    """
    token = entered.theirs
    try:
        _innermost.reset(entered.ours)
        if type(token) is Token:
            token.var.reset(token)
    except (ValueError, RuntimeError):
        pass
    if type(token) is not Token:  # an application's own runtime context
        context_api.detach(token)


def surround(context: Context | None) -> Context | None:
    """From now on all that begins in this process, in whichever thread or task, lies in `context`; None: in nothing.

    For a process that does one thing at a time, such as a run of tests, whose event loops and threads serve many.

    Returns:
        What it lay in before.
    """
    global _around
    before, _around = _around, context
    return before


def current_context() -> Context:
    """The current context; with what is ours, where another tool has replaced it by one from before our operation."""
    context = _current_context()
    if _around is None or HELD in context or TRACE in context:
        return context
    return Context({**_around, **context})


def _current_context() -> Context:
    context = context_api.get_current()
    innermost = _innermost.get()
    if innermost is None or innermost is context:
        return completed(context)
    if context.get(OWN_SPAN) is innermost.get(OWN_SPAN):
        if HELD not in innermost or HELD in context:
            return completed(context)
        return completed(_within_work(context, innermost))
    return completed(_completed(context, innermost))


def completed(context: Context) -> Context:
    """`context`, with what is ours of its span, where an instrumentor made that and knows nothing of us.

    And with the part of the work that is at hand, where that is divided.
    """
    held: Any = context.get(HELD)
    if held is not None:
        part = held.part()
        if part is not held:
            context = Context({**context, HELD: part, TRACE: part.state})
    holder = context.get(SPAN_KEY)
    if holder is None or type(holder) is RecordedSpan:
        return context
    delegated = getattr(holder, "delegated", None)
    return context if delegated is None else cast(Context, delegated.within(context))


def _within_work(context: Context, innermost: Context) -> Context:
    """`context` as part of the work at hand, where another tool made it of what a request or a message brought along.

    That has begun a span meanwhile; with none, or with the sender's, it is one that the program chose itself.
    """
    holder = context.get(SPAN_KEY)
    if not isinstance(holder, Span) or holder.get_span_context().is_remote:
        return context
    return Context({**{key: value for key, value in innermost.items() if key.startswith(_OURS)}, **context})


def _completed(context: Context, innermost: Context) -> Context:
    """`context` and what it lacks of `innermost`; as it is, where it is rather one that the program chose itself."""
    span, call = innermost.get(OWN_SPAN), usage.owner(innermost)
    if not isinstance(span, Span) or not span.is_recording():
        return context
    holder = context.get(SPAN_KEY)
    if OWN_SPAN in context:
        # Within a model call, any context of its trace that does not know of it was taken before.
        is_from_before = call is not None and context.get(TRACE) is innermost.get(TRACE)
    else:
        # The program begins a trace with an empty context, or with what another service sent.
        is_from_before = call is not None or (isinstance(holder, Span) and not holder.get_span_context().is_remote)
    if not is_from_before:
        return context
    kept = {key: context[key] for key in (LABELS, suppression.KEY) if key in context}
    ours = {key: value for key, value in innermost.items() if key.startswith(_OURS)}
    return Context({**context, **ours, **kept, ASIDE: holder})
