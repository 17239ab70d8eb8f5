"""autotrace's journal alone: nothing is delivered."""

from __future__ import annotations

import os
from pathlib import Path

from autotrace.delivery.journal import Journal
from autotrace.delivery.sink import JournalSink
from autotrace.recording.tracer import LeanTracerProvider

from . import api


def begin() -> None:
    """Makes a journal in the home."""
    journal = Journal(Path(os.environ["AUTOTRACE_HOME"]), {"service.name": "bench"}, destinations=["store"])
    api.provider = LeanTracerProvider(JournalSink(journal, lambda: None))


trace = api.trace
