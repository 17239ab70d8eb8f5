"""A provider of light spans that keeps them in a list."""

from __future__ import annotations

from autotrace.recording.tracer import LeanTracerProvider, RecordedSpan

started: list[RecordedSpan] = []
finished: list[RecordedSpan] = []


class _Sink:
    def started(self, span: RecordedSpan) -> None:
        started.append(span)

    def ended(self, span: RecordedSpan) -> None:
        finished.append(span)


provider = LeanTracerProvider(_Sink())


def names() -> list[str]:
    """The finished spans' names."""
    return [span.name for span in finished]
