"""How an exception is told by a span: its type, what may be said of its message, where it was raised."""

from __future__ import annotations

import os
import traceback

from opentelemetry.trace import Span, Status, StatusCode

from .encoding import readable
from .privacy import Policy, without_secrets
from .semconv import ERROR_TYPE

#: Where our own frames lie, which tell the user nothing.
_OURS = os.path.dirname(__file__)  # noqa: PTH120 (as it stands in a frame)

#: Exceptions that end a call without its having failed, by name (asyncio's, trio's), and the outcome they stand for.
_OUTCOMES = {"CancelledError": "cancelled", "Cancelled": "cancelled", "GeneratorExit": "closed", "SystemExit": "exited"}


def outcome_of(error: BaseException) -> str | None:
    """`cancelled`, `closed` or `exited` for what is no failure; None for a real one."""
    if isinstance(error, Exception):
        return None
    return next((_OUTCOMES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _OUTCOMES), None)


def type_name(error: BaseException) -> str:
    """The full name of an exception's class, as `error.type` wants it."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def record(span: Span, error: BaseException, policy: Policy) -> None:
    """Writes `error` onto `span`: status, `error.type` and an `exception` event."""
    name = type_name(error)
    message = policy.error(error)
    span.set_attribute(ERROR_TYPE, name)
    span.add_event(
        "exception",
        {"exception.type": name, "exception.message": message, "exception.stacktrace": _stack(error, policy)},
    )
    span.set_status(Status(StatusCode.ERROR, message or type(error).__name__))


def _stack(error: BaseException, policy: Policy) -> str:
    """The frames below the traced call, without ours. Source lines may hold content: places only, where it counts."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    if not policy.keeps_content or policy.redactors:
        return "".join(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n' for frame in frames)
    stack = without_secrets("".join(traceback.format_list(frames)))
    return readable(f"{stack}{type_name(error)}: {policy.error(error)}\n")
