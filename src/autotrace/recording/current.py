"""Making an operation's context the current one, around the call or the await itself and never across a yield."""

from __future__ import annotations

from contextvars import Token

from opentelemetry import context as context_api
from opentelemetry.context import Context


def enter(context: Context) -> Token[Context]:
    """Makes `context` current. Give the result to `leave`."""
    return context_api.attach(context)


def leave(token: Token[Context]) -> None:
    """Restores what was current before.

    A coroutine that the garbage collector closes is closed in another context than it ran in, where there is
    nothing to restore; OpenTelemetry's `detach` would log an error for it.
    """
    if type(token) is Token:
        try:
            token.var.reset(token)
        except (ValueError, RuntimeError):
            pass
    else:  # an application's own runtime context
        context_api.detach(token)
