"""What `autotrace run` builds: file, arguments, environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from autotrace.serving.launch import BOOTSTRAP, launch, traced


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a program, a file that is not executable, and an executable one."""
    monkeypatch.chdir(tmp_path)
    for name, mode in (("app.py", 0o755), ("script", 0o644), ("tool", 0o755)):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    return tmp_path


@pytest.mark.parametrize(
    "command", [["app.py", "-x"], ["script", "--help"], ["-m", "app", "-m"], ["-mapp"], ["-c", "pass", "-c"]]
)
def test_python(command: list[str]) -> None:
    """Programs, modules and code go to this interpreter, with their own options untouched."""
    found = launch(command, {})
    assert (found.file, found.argv) == (sys.executable, [sys.executable, *command])


def test_command(folder: Path) -> None:
    """Anything else is looked up on PATH, or taken by its path, under the name that was given."""
    found = launch(["tool", "-x"], {"PATH": str(folder)})
    assert (found.file, found.argv) == ("tool", ["tool", "-x"])
    assert launch(["./tool"], {"PATH": ""}).argv == ["./tool"]


@pytest.mark.parametrize("word", ["tool", "missing", "missing.py", "./missing"])
def test_not_found(word: str, tmp_path: Path) -> None:
    """What is neither a program nor on PATH is named in the error."""
    with pytest.raises(FileNotFoundError, match=word):
        launch([word], {"PATH": str(tmp_path / "empty")})


def test_environment() -> None:
    """Ours goes before the user's path, once however often it is done; the rest stays."""
    before = {"PYTHONPATH": f"a{os.pathsep}b", "X": "1"}
    after = traced(before)
    assert after == {
        "PYTHONPATH": os.pathsep.join([str(BOOTSTRAP), "a", "b"]),
        "X": "1",
        "AUTOTRACE_AUTO": "1",
    }
    assert traced(after) == after
    assert traced({})["PYTHONPATH"] == str(BOOTSTRAP)
    assert before["PYTHONPATH"] == f"a{os.pathsep}b"


def test_coerced_locale() -> None:
    """LC_CTYPE goes where this interpreter set it by itself."""
    environment = {"LC_CTYPE": "C.UTF-8"}
    assert "LC_CTYPE" not in launch(["app.py"], environment, locale_coerced=True).environment
    assert launch(["app.py"], environment).environment["LC_CTYPE"] == "C.UTF-8"
