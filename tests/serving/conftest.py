"""What tests of served applications share: the fake web framework, traced, and the spans that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from autotrace.testing import Spans
from autotrace.testing.recorded import isolated

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Tracing, switched on for this test; errors of ours raise."""
    with isolated(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def web(traced: Spans, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The fake web framework, traced."""
    monkeypatch.syspath_prepend(str(FAKES))
    import acme_web

    traced.on(plugins=["acme_web_tracing"])
    return acme_web
