"""What tests of web frameworks share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrace.testing import Spans
from autotrace.testing.recorded import isolated


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Tracing, switched on for this test; errors of ours raise."""
    with isolated(tmp_path, monkeypatch) as found:
        yield found
