"""The example of a framework and its plugin, installed from their own distributions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed both."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*pip, "--target", str(folder), str(EXAMPLE / "acme"), str(EXAMPLE / "autotrace-acme")], check=True, timeout=300
    )
    return folder


def run(*arguments: str, site: Path, folder: Path) -> str:
    """What a program prints; it must end well."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AUTOTRACE_", "PYTEST_"))}
    environment = {**inherited, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=300, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_other_step(site: Path, tmp_path: Path) -> None:
    """A program of a framework that autotrace has never heard of is traced as soon as its plugin is installed."""
    code = "import acme; print(acme.Client().complete('hello there').text)"
    assert run("autotrace", "run", "-c", code, site=site, folder=tmp_path) == "HELLO THERE\n"
    assert re.search(r"chat acme-1 +ok .* 2/2 .*hello there", run("autotrace", "traces", site=site, folder=tmp_path))
    assert re.search(r"^acme +1\.0\.0 +<2,>=1 +active", run("autotrace", "plugins", site=site, folder=tmp_path), re.M)


def test_its_own_tests(site: Path, tmp_path: Path) -> None:
    """The plugin's own test, the contract, passes against what is installed."""
    tests = str(EXAMPLE / "autotrace-acme" / "tests")
    printed = run(
        "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), tests, site=site, folder=tmp_path
    )
    assert re.search(r"^\d\d passed in ", printed, re.MULTILINE), printed
