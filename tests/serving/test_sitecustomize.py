"""The module that switches tracing on in an interpreter: it acts, steps aside, and breaks nothing."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from autotrace.serving.launch import BOOTSTRAP, traced

#: Whether tracing is on, and what the interpreter knows of a sitecustomize.
LOOK = """
import json, sys
found = sys.modules.get("sitecustomize")
print(json.dumps([
    "autotrace.auto" in sys.modules,
    getattr(found, "__file__", None),
    [entry for entry in sys.path if "bootstrap" in entry],
    [entry for entry in sys.path_importer_cache if "bootstrap" in entry],
]))
"""


def python(code: str, environment: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a new interpreter."""
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
    )


def with_path(*folders: Path) -> dict[str, str]:
    """The environment with folders on the path, in front of what is there."""
    path = os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def test_switches_on_and_steps_aside() -> None:
    """Tracing is on before the first line, and the folder has left the path."""
    result = python(LOOK, traced(os.environ))
    before = python(LOOK, os.environ)
    assert (json.loads(result.stdout)[0], json.loads(before.stdout)[0]) == (True, False)
    assert json.loads(result.stdout)[1:] == json.loads(before.stdout)[1:]
    assert (result.stderr, result.returncode) == ("", 0)


@pytest.mark.parametrize("value", ["", "0", None])
def test_off(value: str | None) -> None:
    """Without the mark nothing is imported."""
    environment = traced(os.environ)
    environment.pop("AUTOTRACE_AUTO")
    if value is not None:
        environment["AUTOTRACE_AUTO"] = value
    assert json.loads(python(LOOK, environment).stdout)[0] is False


def test_import_sitecustomize_fails_as_without_us() -> None:
    """Where the user has none, there is none (Debian's own Python ships one: then it is that one)."""
    code = (
        "import sys\ntry:\n import sitecustomize; print(sitecustomize.__file__)\n"
        "except ImportError as error: print(error.name, error)"
    )
    assert python(code, traced(os.environ)).stdout == python(code, os.environ).stdout != ""


def test_own_sitecustomize_runs(tmp_path: Path) -> None:
    """The user's own runs as the module of that name, and can be imported later."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nmine = (__name__, __spec__.name, __file__, __package__)\n")
    code = "import sitecustomize as s, json, sys; print(json.dumps(s.mine), s is sys.modules['sitecustomize'])"
    before, after = python(code, with_path(tmp_path)), python(code, traced(with_path(tmp_path)))
    assert before.stdout == after.stdout
    assert str(tmp_path) in after.stdout
    assert json.loads(python(LOOK, traced(with_path(tmp_path))).stdout)[:2] == [
        True,
        str(tmp_path / "sitecustomize.py"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "raise RuntimeError('theirs')",
        "raise ImportError('theirs')",
        "import no_such_module",
        "raise ImportError(name='sitecustomize')",
        "def broken(:",
        "import sys; print('out'); sys.exit(3)",
        "import sys; del sys.modules['sitecustomize']",
        "import sys; sys.modules['sitecustomize'] = sys",
        "import os; os._exit(4)",
    ],
)
def test_own_sitecustomize_that_fails(tmp_path: Path, content: str) -> None:
    """Whatever the user's own does, the interpreter says and does what it would without us."""
    (tmp_path / "sitecustomize.py").write_text(content)
    code = "import sys; print('ran', sys.modules.get('sitecustomize') is sys, 'sitecustomize' in sys.modules)"
    before, after = python(code, with_path(tmp_path)), python(code, traced(with_path(tmp_path)))
    assert (after.returncode, after.stdout) == (before.returncode, before.stdout)
    assert after.stderr.splitlines()[-1:] == before.stderr.splitlines()[-1:]


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_isolated(option: str) -> None:
    """An interpreter that is told to ignore its surroundings is left alone."""
    result = python("import sys; print('autotrace.auto' in sys.modules)", traced(os.environ), option)
    assert (result.stdout, result.stderr) == ("False\n", "")


def test_environment_without_autotrace(tmp_path: Path) -> None:
    """Another virtual environment, without autotrace, runs in silence."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True, timeout=120)
    environment = {**traced({}), "PATH": os.environ["PATH"]}
    result = subprocess.run(
        [str(tmp_path / "bin" / "python"), "-c", LOOK],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr, json.loads(result.stdout)[0]) == (0, "", False)


def test_environment_with_an_autotrace_of_its_own(tmp_path: Path) -> None:
    """Another virtual environment that has autotrace uses its own, never that of the command."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True, timeout=120)
    (site,) = tmp_path.glob("lib/python*/site-packages")
    (site / "autotrace").mkdir()
    (site / "autotrace" / "__init__.py").touch()
    (site / "autotrace" / "auto.py").write_text("where = __file__\n")
    result = subprocess.run(
        [str(tmp_path / "bin" / "python"), "-c", "import sys; print(sys.modules['autotrace.auto'].where)"],
        env={**traced({}), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.stdout, result.stderr) == (f"{site / 'autotrace' / 'auto.py'}\n", "")


def test_two_of_us(tmp_path: Path) -> None:
    """Two environments' commands, one started by the other, end in the user's own sitecustomize, not in a circle."""
    others = [tmp_path / "one", tmp_path / "two"]
    for other in others:
        shutil.copytree(BOOTSTRAP, other, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.mine = getattr(sys, 'mine', 0) + 1\n")
    environment = traced(with_path(*others, BOOTSTRAP, tmp_path))
    code = "import json, sys; print(json.dumps([sys.mine, 'autotrace.auto' in sys.modules, sys.path]))"
    result = python(code, environment)
    mine, is_on, path = json.loads(result.stdout)
    assert (mine, is_on, result.stderr) == (1, True, "")
    assert [entry for entry in path if entry in map(str, [*others, BOOTSTRAP])] == []


@pytest.mark.parametrize("content", ["raise RuntimeError('two\\nlines')", "import no_such_module", "(", "1/0"])
def test_autotrace_that_fails(tmp_path: Path, content: str) -> None:
    """A failure of ours is one line on stderr, and the program runs."""
    (tmp_path / "autotrace").mkdir()
    (tmp_path / "autotrace" / "__init__.py").touch()
    (tmp_path / "autotrace" / "auto.py").write_text(content)
    result = python("print('ran')", traced(with_path(tmp_path)))
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert result.stderr.startswith("autotrace: tracing is off: ")
    assert result.stderr.count("\n") == 1


def test_subprocess() -> None:
    """Interpreters that the program starts are traced too."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LOOK!r}])"
    assert json.loads(python(code, traced(os.environ)).stdout)[0] is True


def test_multiprocessing_spawn(tmp_path: Path) -> None:
    """Processes that multiprocessing spawns are traced too."""
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "def look(): return 'autotrace.auto' in sys.modules, [p for p in sys.path if 'bootstrap' in p]\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.apply(look))\n"
    )
    result = subprocess.run(
        [sys.executable, str(program)], env=traced(os.environ), capture_output=True, text=True, timeout=60
    )
    assert (result.stdout, result.stderr) == ("(True, [])\n", "")


def test_syntax_of_old_interpreters() -> None:
    """Any Python 3 may meet the file."""
    ast.parse((BOOTSTRAP / "sitecustomize.py").read_text(), feature_version=(3, 4))
