"""A home with a store that a test fills, and the command line run upon it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from autotrace.cli import main
from autotrace.delivery.destinations import Record
from autotrace.store.writer import Writer

SECOND = 10**9
BEGAN = 1_780_000_000 * SECOND

Command = Callable[..., Result]
Fill = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the store; it does not exist yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOTRACE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def autotrace(home: Path) -> Command:
    """Runs the command line in this process."""
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def write(home: Path) -> Iterator[Fill]:
    """Writes a span: `write(trace, span, parent, attributes, **body)`; ids are one digit, repeated."""
    writer = Writer(home / "traces.db")

    def write(
        trace: str = "a",
        span: str = "1",
        parent: str | None = None,
        attributes: dict[str, Any] | None = None,
        start: int = 0,
        resource: dict[str, Any] | None = None,
        **body: Any,
    ) -> None:
        content = {
            "parent_id": parent and parent * 16,
            "root": parent is None,
            "name": f"span {span}",
            "kind": "internal",
            "start": BEGAN + start * SECOND,
            "end": BEGAN + (start + 1) * SECOND,
            "status": "unset",
            "message": None,
            "scope": "autotrace",
            "scope_version": "1",
            "attributes": {
                name: json.dumps(value) if isinstance(value, list | dict) else value
                for name, value in (attributes or {}).items()
            },
            "events": [],
            "links": [],
            **body,
        }
        writer.write([Record("E", (trace * 32)[:32], span * 16, content)], {"service.name": "shop", **(resource or {})})

    yield write
    writer.close()
