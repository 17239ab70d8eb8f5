"""What keeps the page up to date, where the store cannot be read on."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from autotrace.insights import trouble
from autotrace.insights.opening import opened, place
from autotrace.insights.view import Insights
from autotrace.store.schema import VERSION
from tests.conftest import by_hand
from tests.store.conftest import Store, record

_PATIENCE_S = 30.0


def until(is_so: Callable[[], Any]) -> None:
    """Waits for what another process does."""
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.05)


def version_of(store: Path, version: int) -> None:
    """Has the store be of another version."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def test_what_keeps_it_from_going_on_is_noted_until_it_goes_on(tmp_path: Path) -> None:
    """Who looks at the page is told, and no longer once it is over; on standard error it is said once."""
    store = Store(tmp_path / "traces.db")
    store.write(record("a", "1"))
    store.writer.close()
    with opened(tmp_path):
        pass
    version_of(store.path, VERSION + 1)

    def told() -> Any:
        with closing(sqlite3.connect(place(tmp_path))) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (trouble.WHY,)).fetchone()
            return row and row[0]

    command = [sys.executable, "-m", "autotrace.cli.following", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True, env=by_hand()) as process:
        try:
            until(told)
            assert "newer autotrace" in told()
            version_of(store.path, VERSION)
            with Insights(place(tmp_path), store.path) as insights:
                until(lambda: trouble.told(insights.meta)["problem"] is None)
        finally:
            _, said = process.communicate(timeout=_PATIENCE_S)  # it ends when its input does
    assert process.returncode == 0
    assert said.count("newer autotrace") == 1
