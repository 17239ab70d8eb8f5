"""Context in threads: a call made in a worker thread nests under the span that submitted it.

OpenTelemetry's own instrumentation of `threading` does it. Where the program has switched that on by itself, it is
left alone.
"""

from __future__ import annotations

_followed = False


def follow() -> None:
    """Carries the current context into threads and thread pools from now on."""
    global _followed
    if _followed:
        return
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    instrumentor = ThreadingInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
        _followed = True


def unfollow() -> None:
    """Undoes what `follow` did; leaves what the program did."""
    global _followed
    if not _followed:
        return
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    ThreadingInstrumentor().uninstrument()
    _followed = False
