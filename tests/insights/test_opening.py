"""Who keeps `insights.db` up, and where it is."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from autotrace.errors import StoreError
from autotrace.insights import opening
from autotrace.insights.opening import NAME, lock, opened, place
from tests.store.conftest import Store, record


def test_one_at_a_time(tmp_path: Path) -> None:
    """Whoever comes second may not, until the first has let go."""
    with lock(tmp_path / NAME) as first, lock(tmp_path / NAME) as second:
        assert (first, second) == (True, False)
    with lock(tmp_path / NAME) as again:
        assert again


def test_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system has none, everybody may."""

    def none(*_: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with lock(tmp_path / NAME) as is_ours:
        assert is_ours


def test_what_happens_inside_is_told(tmp_path: Path) -> None:
    """An error of whoever holds the lock is theirs, whatever it is."""
    with pytest.raises(BlockingIOError, match="mine"), lock(tmp_path / NAME):
        raise BlockingIOError("mine")


def test_while_another_process_keeps_it_up(store: Store) -> None:
    """What that one has taken in is told, once it is all there; nothing is written beside it."""
    store.write(record("a", "1"))
    with opened(store.path.parent):
        pass
    with lock(store.path.with_name(NAME)) as is_ours, opened(store.path.parent) as insights:
        assert is_ours
        assert insights.rows("SELECT count(*) FROM traces") == [(1,)]


def test_it_is_for_its_owner_alone(store: Store) -> None:
    """What was said is in it."""
    store.write(record("a", "1"))
    with opened(store.path.parent):
        pass
    assert store.path.with_name(NAME).stat().st_mode & 0o077 == 0


def test_a_folder_of_somebody_else_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that others can read, or a link to elsewhere, would give away what was said."""
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"autotrace-{os.geteuid()}"
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a folder of yours alone"):
        place(tmp_path)
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(StoreError, match="set TMPDIR"):
        place(tmp_path)


def test_no_store(tmp_path: Path) -> None:
    """Is told, and nothing is made of it."""
    with pytest.raises(StoreError), opened(tmp_path):
        pass


def test_a_damaged_file_is_made_anew(store: Store) -> None:
    """It holds nothing that the store does not."""
    store.write(record("a", "1"))
    store.path.with_name(opening.NAME).write_bytes(b"no database at all" * 100)
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT count(*) FROM traces") == [(1,)]
