"""OTLP as a destination: OpenTelemetry's collector, and every backend that speaks its protocol."""

from __future__ import annotations

from autotrace.config import Config
from autotrace.recording.guard import guard

from .destination import OtlpDestination
from .settings import read

__all__ = ["OtlpDestination", "make"]


def make(config: Config) -> OtlpDestination:
    """The destination that the settings and OpenTelemetry's variables describe; nothing is opened or imported yet.

    What cannot be used among them is told once, and the default takes its place.
    """
    settings, problems = read(config.framework("otlp").settings, config.standard, config.written)
    for problem in problems:
        guard.tell(problem)
    return OtlpDestination(settings)
