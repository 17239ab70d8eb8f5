"""docs/first-plugin.md, done word by word in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "first-plugin.md"

#: A block of code; the last file that is named in the text before it is the one that it stands in.
BLOCK = re.compile(r"(?P<text>.*?)^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(code: str) -> list[tuple[str, str]]:
    """Each command of a console block, and what it prints."""
    found = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE)
    assert found
    return found


def run(command: str, folder: Path) -> str:
    """What a command prints in `folder`, in an environment without settings."""
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("AUTOTRACE_", "PYTEST_", "OTEL_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
    environment = {**inherited, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "160"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def matches(wanted: str, got: str) -> bool:
    """Whether what was printed is what the page says; `...` stands for anything, white space for white space."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in wanted.split("...")]
    return re.fullmatch(r"\s*" + r".*".join(parts) + r"\s*", got, re.DOTALL) is not None


def put(path: Path, code: str) -> None:
    """Writes a file; what begins with a function that is there replaces it and what follows."""
    if path.exists():
        old = path.read_text(encoding="utf-8")
        code = old[: old.index("@hookimpl\n")] + code
    path.write_text(code, encoding="utf-8")


def test_the_page_word_by_word(tmp_path: Path) -> None:
    """Who does what the page says gets what the page says."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    printed = []
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        kind, code = block["kind"], block["code"]
        if kind in ("python", "toml"):
            put(tmp_path / re.findall(r"`([\w-]+\.(?:py|toml))`", block["text"])[-1], code)
        for command, wanted in commands(code) if kind == "console" else ():
            got = run(command, tmp_path)
            assert matches(wanted, got), f"$ {command}\n{got}"
            printed.append(command)
    assert printed.count("autotrace run app.py") == 2
    assert "pytest -q" in printed
