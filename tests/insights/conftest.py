"""A store that a test fills with the real writer; insights are opened beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.conftest import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store in a home of its own."""
    found = Store(tmp_path / "traces.db")
    yield found
    found.writer.close()
