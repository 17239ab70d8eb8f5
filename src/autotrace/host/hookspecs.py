"""All that a plugin may implement, on one screen. Mark an implementation with `@autotrace.hookimpl`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy

from .instrumentation import Instrumentation

hookspec = pluggy.HookspecMarker("autotrace")
hookimpl = pluggy.HookimplMarker("autotrace")


@hookspec
def instrumentations() -> Sequence[Instrumentation]:  # type: ignore[empty-body]
    """What the plugin can trace. Called once, when the plugin's framework is first imported."""


@hookspec
def destinations() -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:  # type: ignore[empty-body]
    """Where spans may go, by the names of the entry points in `autotrace.destinations`: what makes each a
    `Destination`, of its settings. Called when the setting `destination` names one of them."""


@hookspec
def redact(text: str) -> str | None:
    """The part of a text of content that a span may hold; None for nothing. If it raises, the text is dropped."""
