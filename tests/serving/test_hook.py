"""The hook: AUTOTRACE=1 switches tracing on, nothing else does, and nothing that goes wrong harms an interpreter."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autotrace import auto
from autotrace.serving import hook
from autotrace.serving.launch import traced
from autotrace.serving.startup_file import StartupFile, startup_file

from ..conftest import by_hand

SOURCE = Path(__file__).parents[2] / "src"
#: Whether tracing is on, what of ours is loaded, and what is left of us on the meta path.
LOOK = """
import json, sys
names = [type(finder).__module__ for finder in sys.meta_path]
ours = sorted(name for name in sys.modules if name.partition(".")[0] == "autotrace")
print(json.dumps(["autotrace.auto" in sys.modules, len(ours), "autotrace.serving.hook" in names]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with a hook, and autotrace's source on the path."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    startup_file(site_of(folder)).write()
    return folder


def site_of(environment: Path) -> Path:
    (site,) = environment.glob("lib/python*/site-packages")
    return site


@pytest.fixture
def site(environment: Path) -> Path:
    """Its site-packages, with nothing in it but the hook and the path to autotrace."""
    site = site_of(environment)
    for path in site.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != startup_file(site).path.name:
            path.unlink()
    ours = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "_path.pth").write_text("\n".join([str(SOURCE), *ours]) + "\n")
    return site


def python(site: Path, *arguments: str, code: str = LOOK, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a new interpreter of the environment."""
    inherited = {name: text for name, text in by_hand().items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(site.parents[2] / "bin" / "python"), *arguments, "-c", code],
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def is_on(site: Path, *arguments: str, **environ: str) -> bool:
    """Whether tracing is on; nothing may be said, and no finder of the hook's may be left."""
    done = python(site, *arguments, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found[2] is False
    return bool(found[0])


@pytest.mark.parametrize("value", ["1", "true", " Yes ", "ON"])
def test_on(site: Path, value: str) -> None:
    """A true AUTOTRACE switches tracing on."""
    assert is_on(site, AUTOTRACE=value)


@pytest.mark.parametrize("value", ["0", "false", "no", "off", " "])
def test_off(site: Path, value: str) -> None:
    """A false one does not."""
    assert not is_on(site, AUTOTRACE=value)


@pytest.mark.parametrize("value", ["2", "perhaps"])
def test_neither_on_nor_off(site: Path, value: str) -> None:
    """What is neither does not either, and is told."""
    done = python(site, AUTOTRACE=value)
    assert (done.returncode, json.loads(done.stdout)[0]) == (0, False)
    assert done.stderr == f"autotrace: tracing is off: AUTOTRACE: {value!r} is neither true nor false\n"


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="Python imports the module of the entry point itself")
@pytest.mark.parametrize("environ", [{}, {"AUTOTRACE": ""}, {"AUTOTRACE_HOME": "/tmp"}])
def test_unset(site: Path, environ: dict[str, str]) -> None:
    """Where it is not set, nothing of ours, and nothing for us, is imported when an interpreter starts."""
    code = "import sys; print(sorted(sys.modules), sys.meta_path)"
    with_hook = python(site, code=code, **environ)
    path = startup_file(site).path
    try:
        path.unlink()
        without = python(site, code=code, **environ)
    finally:
        startup_file(site).write()
    assert with_hook.stdout.partition("]")[0] == without.stdout.partition("]")[0] != ""
    assert "autotrace" not in with_hook.stdout


@pytest.mark.parametrize(("flag", "on"), [("-I", True), ("-E", True), ("-s", True), ("-S", False)])
def test_flags(site: Path, flag: str, on: bool) -> None:
    """The hook is the environment's: it counts where site-packages do."""
    assert is_on(site, flag, AUTOTRACE="1") is on


def test_run_and_switch(site: Path) -> None:
    """AUTOTRACE=0 has the last word on `autotrace run` too; with 1, both together are as one."""
    marked = traced({})
    assert is_on(site, **marked)
    assert is_on(site, **marked, AUTOTRACE="1")
    assert not is_on(site, **marked, AUTOTRACE="0")


def test_when_the_path_is_whole(site: Path, tmp_path: Path) -> None:
    """Tracing begins when all files of site-packages have been read, before the user's own sitecustomize."""
    (site / "later").mkdir()
    try:
        (site / "zz.pth").write_text(f"{site / 'later'}\nimport sys; sys.before = 'autotrace.auto' in sys.modules\n")
        # Before the one that a distribution of Linux brings.
        (tmp_path / "sitecustomize.py").write_text("import sys\nsys.then = 'autotrace.auto' in sys.modules\n")
        code = "import sys; print(sys.before, sys.then)"
        done = python(site, code=code, AUTOTRACE="1", PYTHONPATH=str(tmp_path))
        assert (done.stdout, done.stderr) == ("False True\n", "")
    finally:
        (site / "later").rmdir()


def test_project_plugins_wait_for_the_program(site: Path, tmp_path: Path) -> None:
    """A plugin in the program's own folder is loaded though something else was imported when Python started."""
    (site / "thirdparty.py").touch()
    (site / "zz.pth").write_text("import thirdparty\n")
    (site / "sitecustomize.py").write_text("import thirdparty\n")
    (tmp_path / "tracing.py").write_text(
        "from autotrace import hookimpl\n@hookimpl\ndef instrumentations(): return []\n"
    )
    program = tmp_path / "app.py"
    program.write_text("import click, sys; print('tracing' in sys.modules)\n")
    environ = {"AUTOTRACE_PLUGINS": "tracing", "AUTOTRACE_HOME": str(tmp_path / "home")}
    for how in ({"AUTOTRACE": "1"}, traced({})):
        done = subprocess.run(
            [str(site.parents[2] / "bin" / "python"), str(program)],
            env={**by_hand(), **environ, **how},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("True\n", "")


def test_uninstalled(site: Path) -> None:
    """Where autotrace has been uninstalled, its interpreters start in silence."""
    (site / "_path.pth").unlink()
    assert not is_on(site, AUTOTRACE="1")
    assert not is_on(site)


@pytest.mark.parametrize("content", ["raise RuntimeError('two\\nlines')", "import no_such_module", "(", "1/0"])
@pytest.mark.parametrize("module", ["__init__", "auto"])
def test_broken(site: Path, tmp_path: Path, module: str, content: str) -> None:
    """A failure of ours is one line on stderr, and the interpreter runs, whatever stderr is."""
    package = tmp_path / "autotrace"
    (package / "serving").mkdir(parents=True)
    for name in ("__init__", "auto", "setting_values", "serving/__init__"):
        (package / f"{name}.py").touch()
    (package / "setting_values.py").write_text("TRUE = {'1'}")
    (package / "serving" / "hook.py").write_text(Path(hook.__file__).read_text())
    (package / f"{module}.py").write_text(content)
    (site / "_path.pth").write_text(f"{tmp_path}\n")
    done = python(site, code="print('ran')", AUTOTRACE="1")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr.startswith("autotrace: tracing is off: ")
    assert done.stderr.count("\n") == 1
    assert python(site, code="print('ran')").stderr == ""
    closed = "exec \"$0\" -c 'print(1)' 2>&-"
    shell = subprocess.run(
        ["sh", "-c", closed, str(site.parents[2] / "bin" / "python")],
        env={**by_hand(), "AUTOTRACE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (shell.returncode, shell.stdout) == (0, "1\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_broken_with_a_full_stderr(site: Path, tmp_path: Path) -> None:
    """Not even a stderr that takes nothing ends an interpreter."""
    (tmp_path / "autotrace.py").write_text("1/0")
    (site / "_path.pth").write_text(f"{tmp_path}\n")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(site.parents[2] / "bin" / "python"), "-c", "print('ran')"],
            env={**by_hand(), "AUTOTRACE": "1"},
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (0, "ran\n")


def test_file_by_version(tmp_path: Path) -> None:
    """A line of code up to Python 3.14; from 3.15 on an entry point that can be resolved, after a comment."""
    assert startup_file(tmp_path, (3, 14)).path == tmp_path / "autotrace.pth"
    lines = startup_file(tmp_path, (3, 14)).content.splitlines()
    assert [line[:7] for line in lines if not line.startswith("#")] == ["import "]
    newer = startup_file(tmp_path, (3, 15))
    assert newer.path == tmp_path / "autotrace.start"
    (entry,) = [line for line in newer.content.splitlines() if not line.startswith("#")]
    assert pkgutil.resolve_name(entry) is hook.main
    assert newer.content.isascii()


def test_entry_point(site: Path) -> None:
    """What Python 3.15 calls switches tracing on where AUTOTRACE is true."""
    code = f"import pkgutil; pkgutil.resolve_name('autotrace.serving.hook:main')()\n{LOOK}"
    path = startup_file(site).path
    try:
        path.unlink()
        for value, on in (("1", True), ("0", False), ("", False)):
            done = python(site, code=code, AUTOTRACE=value)
            assert (json.loads(done.stdout)[0], done.stderr) == (on, "")
    finally:
        startup_file(site).write()


def test_states(tmp_path: Path) -> None:
    """Whether the file is there, and whose it is."""
    file = StartupFile(tmp_path / "autotrace.pth", startup_file(tmp_path).content)
    assert file.state == "absent"
    file.write()
    assert file.state == "installed"
    file.path.write_bytes(b"\xff\xfe")
    assert file.state == "foreign"
    assert auto.__name__ in sys.modules  # it is the import that the hook does
    assert os.listdir(tmp_path) == ["autotrace.pth"]  # noqa: PTH208
