"""`autotrace install-hook`: what it writes, where, and that it takes it away again."""

from __future__ import annotations

import subprocess
import sys
import zipfile
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


def test_no_permission(tmp_path: Path) -> None:
    """Where the environment is somebody else's, that is told, with what to do."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    code = f"""
import os
from pathlib import Path
from autotrace.cli.install_hook import install_hook
from autotrace.serving import startup_file
file = startup_file.startup_file(Path({str(folder)!r}))
startup_file.startup_file = lambda: file
if os.geteuid() == 0:
    os.setuid(65534)
install_hook([])
"""
    for above in (tmp_path, *(above for above in tmp_path.parents if "pytest-of-" in str(above))):
        above.chmod(0o755)
    folder.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{startup_file(folder).path}: Permission denied: nothing is changed" in done.stderr
    assert "python -m venv" in done.stderr
    assert list(folder.iterdir()) == []


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


def test_no_distribution_brings_it(tmp_path: Path) -> None:
    """What is installed from an index holds no file that runs when an interpreter starts."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=SOURCE.parent,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "autotrace/serving/hook.py" in names
    assert [name for name in names if name.endswith((".pth", ".start"))] == []
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"autotrace"}
