"""The command line as a whole: fast, and complete."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from autotrace import __version__
from autotrace.cli import COMMANDS, main

from .conftest import Command


def test_version(autotrace: Command) -> None:
    """The version is that of the distribution."""
    assert autotrace("--version").stdout == f"autotrace {__version__}\n"


@pytest.mark.parametrize("argument", ["--version", "run --help"])
def test_loads_next_to_nothing(argument: str) -> None:
    """Neither the version nor `run` pays for what other commands need."""
    program = f"""
import sys
from autotrace.cli import main
try:
    main({argument.split()!r}, prog_name="autotrace")
except SystemExit as error:
    assert not error.code
heavy = {{"rich", "orjson", "sqlite3", "opentelemetry", "genai_prices", "wrapt", "pluggy", "openai"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True)


def test_every_command_has_help(autotrace: Command) -> None:
    """The help names each command with what it does."""
    shown = autotrace("--help").stdout
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert f"  {name} " in shown
        assert command.get_short_help_str(60) in " ".join(shown.split())


def test_unknown_command(autotrace: Command) -> None:
    """A command that does not exist is a usage error."""
    result = autotrace("trace")
    assert result.exit_code == 2
    assert "trace" in result.stderr


def test_as_a_module() -> None:
    """`python -m autotrace` is the same command line."""
    result = subprocess.run(
        [sys.executable, "-m", "autotrace", "--version"], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == f"autotrace {__version__}\n"
