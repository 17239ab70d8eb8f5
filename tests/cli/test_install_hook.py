"""`autotrace install-hook`: what it writes, where, and that it takes it away again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autotrace.serving.startup_file import startup_file

Run = Callable[..., "subprocess.CompletedProcess[str]"]

#: The packages that autotrace is imported from.
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with autotrace, and what the command line needs, on its path."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    site = site_of(folder)
    ours = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "_path.pth").write_text("\n".join([str(SOURCE), *ours]) + "\n")
    return folder


def site_of(environment: Path) -> Path:
    """Its site-packages."""
    (site,) = environment.glob("lib/python*/site-packages")
    return site


@pytest.fixture
def environment(empty_environment: Path) -> Path:
    """That environment, without a hook."""
    for path in site_of(empty_environment).glob("autotrace*"):
        path.unlink()
    return empty_environment


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """Runs the command in that environment."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        python = environment / "bin" / "python"
        return subprocess.run(
            [python, "-m", "autotrace", "install-hook", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_installs_and_removes(environment: Path, run: Run) -> None:
    """It says what it writes and where; again it changes nothing; --remove takes away what it wrote, and no more."""
    file = startup_file(site_of(environment))
    before = sorted(site_of(environment).iterdir())
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Written: {file.path}\n" in done.stdout
    assert all(f"    {line}\n" in done.stdout for line in file.path.read_text().splitlines())
    assert file.path.read_text() == file.content
    assert file.path.stat().st_mode & 0o777 == 0o644
    assert sorted(site_of(environment).iterdir()) == sorted([*before, file.path])
    changed = file.path.stat().st_mtime_ns
    assert "There already: " in run().stdout
    assert file.path.stat().st_mtime_ns == changed
    removed = run("--remove")
    assert (removed.returncode, removed.stdout) == (0, f"Removed: {file.path}\n")
    assert sorted(site_of(environment).iterdir()) == before
    again = run("--remove")
    assert (again.returncode, again.stdout) == (0, f"There is none: {file.path}\n")


def test_another_release(environment: Path, run: Run) -> None:
    """What another release wrote is renewed, and removed."""
    file = startup_file(site_of(environment))
    file.path.write_text(file.content.splitlines(keepends=True)[0] + "import os\n")
    assert f"Renewed: {file.path}\n" in run().stdout
    assert file.path.read_text() == file.content
    file.path.write_text(file.content.splitlines(keepends=True)[0])
    assert run("--remove").returncode == 0
    assert not file.path.exists()


@pytest.mark.parametrize("arguments", [[], ["--remove"]])
def test_somebody_elses(environment: Path, run: Run, arguments: list[str]) -> None:
    """A file of that name with other content stays as it is, and is told of."""
    file = startup_file(site_of(environment))
    file.path.write_text("import os\n")
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(file.path) in done.stderr
    assert "Traceback" not in done.stderr
    assert file.path.read_text() == "import os\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(environment: Path, run: Run) -> None:
    """Where the environment is somebody else's, that is told, with what to do."""
    site = site_of(environment)
    site.chmod(0o555)
    try:
        done = run()
    finally:
        site.chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Permission denied" in done.stderr
    assert "python -m venv" in done.stderr


def test_what_cannot_be_written(environment: Path, run: Run) -> None:
    """A folder in the file's place is told of, and nothing is left behind."""
    path = startup_file(site_of(environment)).path
    path.mkdir()
    try:
        done = run()
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{path}: Is a directory: nothing is changed" in done.stderr
        assert list(site_of(environment).glob(".autotrace-*")) == []
    finally:
        path.rmdir()
