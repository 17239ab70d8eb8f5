"""What requests of httpx2 tell other services of a trace: it is made as httpx is."""

from __future__ import annotations

from collections.abc import Sequence

from autotrace import Instrumentation, hookimpl

from .httpx import instrumentation


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """Beneath everything that a client or a program's own transport does."""
    return [instrumentation("httpx2")]
