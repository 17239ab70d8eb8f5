"""What `autotrace run` executes: the program as it would run by itself, with tracing switched on around it.

A folder with a `sitecustomize.py` of ours goes in front of PYTHONPATH, so that the interpreter, and every
interpreter that it starts, switches autolog on before the program's first line.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BOOTSTRAP = Path(__file__).with_name("bootstrap")


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute. `environment` is complete."""

    file: str
    argv: list[str]
    environment: dict[str, str]


def launch(command: Sequence[str], environment: Mapping[str, str], locale_coerced: bool = False) -> Launch:
    """Builds the launch of a Python program, a module (`-m`), code (`-c`) or any command.

    Args:
        command: What follows `autotrace run`; at least one word.
        environment: The environment to start from.
        locale_coerced: Whether this interpreter, not the user, set LC_CTYPE.

    Raises:
        FileNotFoundError: There is no such program, or no such command on PATH.
    """
    variables = traced(environment)
    if locale_coerced:
        variables.pop("LC_CTYPE", None)
    word = command[0]
    if word[:2] in ("-m", "-c") or _is_program(word):
        return Launch(sys.executable, [sys.executable, *command], variables)
    if shutil.which(word, path=variables.get("PATH")) is None:
        raise FileNotFoundError(
            f"{word}: no such file" if word.endswith(".py") or os.sep in word else f"{word}: no such command on PATH"
        )
    return Launch(word, list(command), variables)


def traced(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with what makes every Python in it trace."""
    folder = str(BOOTSTRAP)
    before = environment.get("PYTHONPATH", "")
    known = before.split(os.pathsep)
    path = before if known[0] == folder else os.pathsep.join([folder, before] if before else [folder])
    return {**environment, "PYTHONPATH": path, "AUTOTRACE_AUTO": "1"}


def coerced_locale() -> bool:
    """Whether this interpreter set LC_CTYPE for itself (PEP 538), as it does in the C locale.

    The program's own interpreter must find what we found: with LC_CTYPE set, it would not switch its UTF-8
    mode on.
    """
    try:
        given = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return "LC_CTYPE" in os.environ and not any(item.startswith(b"LC_CTYPE=") for item in given)


def _is_program(word: str) -> bool:
    """Whether `word` is a file that Python must run: named .py, or not executable by itself."""
    return Path(word).is_file() and (word.endswith(".py") or not os.access(word, os.X_OK))
