"""Switching tracing off for a stretch of code: `with autotrace.suppress("openai"):`.

Kept in OpenTelemetry's context, so that it follows tasks and threads like a span does.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import context as context_api

KEY = "autotrace.suppress"
ALL = "*"

#: OpenTelemetry's own switch, under its plain name and under the unique key of this process.
_FOREIGN = (
    "suppress_instrumentation",
    getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
)
#: Set by OpenLLMetry around a framework's model call: its owner has a span for it already.
_FOREIGN_MODEL = "suppress_language_model_instrumentation"


def suppressing(frameworks: frozenset[str]) -> context_api.Context:
    """The current context with `frameworks` (or all, when empty) switched off."""
    names = frameworks or frozenset({ALL})
    known = context_api.get_value(KEY)
    return context_api.set_value(KEY, names | known if isinstance(known, frozenset) else names)


def is_suppressed(context: Mapping[str, object], framework: str, is_shared: bool = True) -> bool:
    """Whether calls of `framework` are not to be traced in `context`.

    Args:
        context: Where the call is made.
        framework: Whose call it is.
        is_shared: Whether our spans lie beside those of other tools: what they have a span for needs none of ours then.
            In a store of our own it would be missing.
    """
    if not context:
        return False
    names = context.get(KEY)
    if names is not None and (framework in names or ALL in names):  # type: ignore[operator]
        return True
    get = context.get
    return bool(get(_FOREIGN[0]) or get(_FOREIGN[1]) or (is_shared and get(_FOREIGN_MODEL)))
