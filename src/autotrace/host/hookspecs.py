"""All that a plugin may implement, on one screen. Mark an implementation with `@autotrace.hookimpl`."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from .instrumentation import Instrumentation

hookspec = pluggy.HookspecMarker("autotrace")
hookimpl = pluggy.HookimplMarker("autotrace")


@hookspec
def instrumentations() -> Sequence[Instrumentation]:  # type: ignore[empty-body]
    """What the plugin can trace. Called once, when the plugin's framework is first imported."""


@hookspec
def redact(text: str) -> str | None:
    """The part of a text of content that a span may hold; None for nothing. If it raises, the text is dropped."""
