"""`autotrace new-plugin` writes a distribution that can be installed and whose tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from autotrace.cli import main


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program in `folder`."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AUTOTRACE_", "PYTEST_"))}
    return subprocess.run(
        arguments, capture_output=True, text=True, timeout=300, cwd=folder, env={**inherited, **environment}
    )


def new(*arguments: str, folder: Path) -> None:
    """Writes a plugin."""
    done = run(sys.executable, "-m", "autotrace", "new-plugin", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "module"), [("acme", "acme"), ("Parrot-LLM", "parrot_llm")])
def test_its_tests_pass_at_once(tmp_path: Path, name: str, module: str) -> None:
    """What it writes is installed by pip, its contract passes whole, and `autotrace plugins` knows it."""
    new(name, folder=tmp_path)
    folder, site = tmp_path / f"autotrace-{name.lower()}", tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = run(*pip, "--target", str(site), str(folder), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    path = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        folder=folder,
        **path,
    )
    # The fake framework streams words: texts take no weak reference.
    assert re.search(r"^\d\d passed, 2 skipped in ", done.stdout, re.MULTILINE), done.stdout
    done = run(sys.executable, "-m", "autotrace", "plugins", folder=folder, **path)
    assert re.search(rf"^{module} +not installed +.*autotrace-{name.lower()} 0\.1\.0", done.stdout, re.MULTILINE)


def test_what_it_writes_is_typed(tmp_path: Path) -> None:
    """What it writes passes mypy, strictly, and ruff's formatter."""
    pytest.importorskip("mypy", reason="mypy is installed by `make lint`")
    new("acme", folder=tmp_path)
    module = tmp_path / "autotrace-acme" / "src" / "autotrace_acme" / "__init__.py"
    strict = ["--strict", "--disable-error-code=import-not-found", "--cache-dir", str(tmp_path / "cache")]
    done = run(sys.executable, "-m", "mypy", *strict, str(module), folder=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "name", ["", "1acme", "ac me", "../acme", "class", "acme/llm", "a" * 3 + "-", "json", "pytest"]
)
def test_a_name_that_is_none(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be a distribution's and a module's is refused, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["new-plugin", name])
    assert done.exit_code == 2, done.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something(tmp_path: Path) -> None:
    """What is there is never written over."""
    (tmp_path / "README.md").write_text("mine")
    done = CliRunner().invoke(main, ["new-plugin", "acme", "--folder", str(tmp_path)])
    assert done.exit_code == 1
    assert "is there already and not empty" in done.output
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that cannot be made is an error with its reason."""
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["new-plugin", "acme", "--folder", str(tmp_path / "file" / "plugin")])
    assert done.exit_code == 1
    assert "cannot be written" in done.output
