"""What surrounds the program is broken: the disk, the settings, the store. The program goes on as if without us."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from autotrace.testing.openai_server import OpenAIServer

from .conftest import Program

ASK_TWICE = "print(ask('one').object, ask('two').object)"
ANSWERED = "chat.completion chat.completion\n"


def test_home_that_cannot_be_made(program: Program) -> None:
    """L46: a home that cannot be written gives one warning; the program and its calls are untouched."""
    blocker = program.folder / "file"
    blocker.write_text("in the way")
    status, output, errors = program.run(ASK_TWICE, AUTOTRACE_HOME=str(blocker / "home"))
    assert (status, output) == (0, ANSWERED)
    assert errors.count("cannot be written") == 1
    assert "Traceback" not in errors


def test_full_disk(program: Program) -> None:
    """A disk that takes nothing more (here: files of 512 bytes at most) gives one warning; the program goes on."""
    status, output, errors = program.run(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
        for number in range(20):
            ask("x" * 1000)
        print("went on")
        """
    )
    assert (status, output) == (0, "went on\n")
    assert errors.count("cannot be written") == 1
    assert "Traceback" not in errors


def test_corrupt_store_is_set_aside(program: Program) -> None:
    """A corrupt store is kept under another name, said once, and a new one begun."""
    program.home.mkdir(mode=0o700)
    store = program.home / "traces.db"
    store.write_bytes(b"this is no database" * 1000)
    status, output, errors = program.run(ASK_TWICE)
    assert (status, output) == (0, ANSWERED)
    assert errors.count("traces.db.corrupt-") == 1
    (aside,) = program.home.glob("traces.db.corrupt-*")
    assert aside.read_bytes() == b"this is no database" * 1000
    assert [trace["request"] for trace in program.traces()] == ["two", "one"]


def test_store_of_a_newer_version(program: Program) -> None:
    """A store of a newer version is left alone and said so; the program goes on, and its spans stay in the journal."""
    program.home.mkdir(mode=0o700)
    store = program.home / "traces.db"
    with contextlib.closing(sqlite3.connect(store)) as database, database:
        database.execute("PRAGMA user_version = 9999")
        database.execute("CREATE TABLE future (x)")
    before = store.read_bytes()
    status, output, errors = program.run(ASK_TWICE)
    assert (status, output) == (0, ANSWERED)
    assert "newer" in errors
    assert "Traceback" not in errors
    assert store.read_bytes() == before
    assert list((program.home / "journal").glob("*.journal"))


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("AUTOTRACE_CAPTURE_CONTENT", "sometimes", "AUTOTRACE_CAPTURE_CONTENT (environment)"),
        ("AUTOTRACE_HOMME", "/tmp", "AUTOTRACE_HOMME (environment)"),
        ("AUTOTRACE_OPENAI_STREAM_USAGE", "maybe", "openai.stream_usage (environment)"),
        ("AUTOTRACE_OPENAI_COLOUR", "red", "openai.colour (environment)"),
        ("AUTOTRACE_OPNAI_DISABLE", "true", "AUTOTRACE_OPNAI_DISABLE (environment)"),
        ("AUTOTRACE_DESTINATION", "moon", "AUTOTRACE_DESTINATION (environment)"),
    ],
)
def test_settings_that_cannot_be_used(program: Program, name: str, value: str, named: str) -> None:
    """A bad setting is named, with where it was found, once; tracing goes on without it."""
    status, output, errors = program.run(ASK_TWICE, **{name: value})
    assert (status, output) == (0, ANSWERED)
    assert errors.count(named) == 1
    assert all(line.startswith("autotrace: ") for line in errors.splitlines())
    assert len(program.traces()) == 2


def test_broken_pyproject(program: Program, tmp_path: Path) -> None:
    """A pyproject.toml that is no TOML is named; tracing goes on with the defaults."""
    (tmp_path / "pyproject.toml").write_text("[tool.autotrace\ncapture_content = 1")
    status, output, errors = program.run(ASK_TWICE)
    assert (status, output) == (0, ANSWERED)
    assert str(tmp_path / "pyproject.toml") in errors
    assert len(program.traces()) == 2


def test_home_is_the_owners_alone(program: Program, server: OpenAIServer) -> None:
    """What lies in the home is readable by its owner alone and ignored by git, whatever the umask."""
    status, _, errors = program.run("os.umask(0); ask('secret')")
    assert (status, errors) == (0, "")
    assert program.home.stat().st_mode & 0o777 == 0o700
    assert (program.home / ".gitignore").read_text().split() == ["*"]
    for path in program.home.rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert path.stat().st_mode & 0o777 == wanted, path
