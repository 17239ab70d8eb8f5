"""`autotrace prune`: what it deletes, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotrace.store import search

from .conftest import Command, Fill


def told(autotrace: Command, *options: str) -> dict[str, Any]:
    """What `--json` prints."""
    found: dict[str, Any] = json.loads(autotrace("prune", "--json", *options).stdout)
    return found


def count(autotrace: Command) -> int:
    return len(json.loads(autotrace("traces", "--json").stdout))


def test_by_age(autotrace: Command, write: Fill) -> None:
    """--older-than deletes what is older; --dry-run only tells."""
    write("a")
    dry = told(autotrace, "--older-than", "7d", "--dry-run")
    assert (dry["traces"], dry["spans"], dry["dry_run"], count(autotrace)) == (1, 1, True, 1)
    assert told(autotrace, "--older-than", "9999d")["traces"] == 0
    done = autotrace("prune", "--older-than", "7d")
    assert done.stdout.startswith("Deleted 1 traces (1 spans, 0 pieces of feedback); the store takes ")
    assert count(autotrace) == 0


def test_by_size(autotrace: Command, write: Fill, home: Path) -> None:
    """--max-size deletes the oldest until the store is small enough."""
    for number in range(40):
        write(f"{number:032x}", start=number, attributes={"input.value": "word " * 5000})
    assert told(autotrace, "--max-size", "600kB", "--dry-run")["traces"] in range(5, 30)
    done = told(autotrace, "--max-size", "600kB")
    assert done["bytes_left"] == (home / "traces.db").stat().st_size <= 600_000
    assert count(autotrace) in range(5, 35)


def test_settings_count(autotrace: Command, write: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options the settings say what stays; without those nothing goes."""
    write("a")
    assert told(autotrace)["traces"] == 0
    monkeypatch.setenv("AUTOTRACE_STORE_AGE", "1d")
    assert told(autotrace)["traces"] == 1


def test_impossible_size(autotrace: Command, write: Fill) -> None:
    """A size that cannot be reached is status 1."""
    write("a")
    result = autotrace("prune", "--max-size", "1kB")
    assert result.exit_code == 1
    assert "still takes" in result.stderr


def test_wrong_usage(autotrace: Command) -> None:
    """What is no age and no size is wrong usage."""
    assert autotrace("prune", "--older-than", "soon").exit_code == 2
    assert autotrace("prune", "--max-size", "big").exit_code == 2


def test_no_store(autotrace: Command, home: Path) -> None:
    """Without a store there is nothing to do, and none is made."""
    assert told(autotrace, "--older-than", "1d")["traces"] == 0
    assert not home.exists()


def test_damaged_store(autotrace: Command, home: Path) -> None:
    """A damaged store is told and left as it is."""
    home.mkdir()
    (home / "traces.db").write_bytes(b"nonsense" * 100)
    result = autotrace("prune", "--older-than", "1d")
    assert result.exit_code == 1
    assert [path.name for path in home.iterdir()] == ["traces.db"]


def test_vacuum(autotrace: Command, write: Fill, home: Path) -> None:
    """--vacuum writes the file anew."""
    for number in range(10):
        write(f"{number:032x}", attributes={"input.value": "word " * 5000})
    assert autotrace("prune", "--older-than", "1d", "--vacuum").exit_code == 0
    assert (home / "traces.db").stat().st_size < 200_000


def test_index_is_filled(autotrace: Command, write: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not in the index yet is put there."""
    with monkeypatch.context() as patch:
        patch.setattr(search, "has_fts5", lambda connection: False)
        write("a", attributes={"input.value": "findable"})
    result = autotrace("traces", "--search", "findable")
    assert "No trace fits" in result.stdout
    assert "autotrace prune" in result.stderr
    assert "Indexed 1 spans." in autotrace("prune").stdout
    assert "findable" in autotrace("traces", "--search", "findable").stdout
