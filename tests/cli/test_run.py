"""`autotrace run`: the program runs as it would without us, and is traced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = [sys.executable, "-m", "autotrace", "run"]

#: All that a program can easily see of how it was started.
PROGRAM = """\
import json, os, signal, sys
names = {"PYTHONPATH", "AUTOTRACE_AUTO"}
json.dump({
    "argv": sys.argv,
    "orig_argv": getattr(sys, "orig_argv", [])[1:],
    "path": sys.path,
    "flags": list(sys.flags),
    "warnoptions": sys.warnoptions,
    "main": [__name__, __file__, getattr(__spec__, "name", None), __package__],
    "interpreter": [sys.executable, sys.prefix, sys.stdout.encoding, sys.getfilesystemencoding()],
    "environment": {name: value for name, value in os.environ.items() if name not in names},
    "signals": {name: str(signal.getsignal(name)) for name in signal.valid_signals()},
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "directory": os.getcwd(),
    "input": sys.stdin.read(),
    "sitecustomize": "sitecustomize" in sys.modules,
}, sys.stdout)
sys.exit(7)
"""


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **{"input": "", **options})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a program in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "script").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize("c_locale", [False, True])
@pytest.mark.parametrize(
    "command",
    [
        ["app.py", "a b", "--json", "--help", "--", "-x", "--version", ""],
        ["./script", "--limit=3"],
        ["-m", "package", "-m", "--help"],
        ["-c", "__file__ = None; " + PROGRAM, "-c", "--help"],
    ],
)
def test_program_sees_no_difference(command: list[str], c_locale: bool) -> None:
    """Arguments, path, flags, environment, signals, stdin and exit status are those of a plain start."""
    environment = {name: value for name, value in os.environ.items() if name[:3] not in ("LC_", "LAN")}
    environment["LC_ALL" if not c_locale else "UNUSED"] = "C.UTF-8"
    before = run(sys.executable, *command, input="in", env=environment)
    after = run(*RUN, *command, input="in", env=environment)
    assert json.loads(after.stdout) == json.loads(before.stdout)
    assert (after.returncode, after.stderr) == (before.returncode, before.stderr) == (7, "")


def test_program_is_traced() -> None:
    """Tracing is on before the program's first line."""
    assert run(*RUN, "-c", "import sys; print('autotrace.auto' in sys.modules)").stdout == "True\n"


def test_console_script(folder: Path) -> None:
    """A command on PATH that leads to Python is traced, with its own options."""
    script = folder / "bin" / "serve"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nimport sys; print('autotrace.auto' in sys.modules, sys.argv[1:])\n")
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    assert run(*RUN, "serve", "--json", "-m", env=environment).stdout == "True ['--json', '-m']\n"


def test_shell_command() -> None:
    """What is no Python runs as it is, and Python below it is traced."""
    code = "import sys; print('autotrace.auto' in sys.modules)"
    assert run(*RUN, "sh", "-c", f'"{sys.executable}" -c "{code}"; exit 5').returncode == 5
    assert run(*RUN, "sh", "-c", f'"{sys.executable}" -c "{code}"').stdout == "True\n"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_signals_of_other_programs() -> None:
    """A program that is no Python inherits no signal that Python ignores: `yes | head` ends."""
    look = [shutil.which("grep") or "grep", "SigIgn", "/proc/self/status"]
    assert run(*RUN, *look).stdout == run(*look).stdout != ""


def test_killed_by_a_signal() -> None:
    """The process is the program's: a signal that ends it shows as such."""
    result = run(*RUN, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert result.returncode == -signal.SIGTERM


def test_same_process() -> None:
    """No process stands between the caller and the program."""
    with subprocess.Popen([*RUN, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid


@pytest.mark.parametrize("command", ["no-such-command", "missing.py", "./missing"])
def test_not_found(command: str) -> None:
    """What is not there is a clear error and status 127, as in a shell."""
    result = run(*RUN, command, "-x")
    assert (result.returncode, result.stdout) == (127, "")
    assert command in result.stderr
    assert "Traceback" not in result.stderr


def test_not_executable(folder: Path) -> None:
    """What cannot be executed is a clear error and status 126, as in a shell."""
    (folder / "empty").write_bytes(b"\0\0\0\0")
    (folder / "empty").chmod(0o755)
    result = run(*RUN, "./empty")
    assert (result.returncode, result.stdout) == (126, "")
    assert "./empty" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [[], ["-m"], ["-c"], ["--unknown", "app.py"], ["-u", "app.py"]])
def test_usage(command: list[str]) -> None:
    """Nothing to run, or an option that is neither ours nor understood, is a usage error."""
    result = run(*RUN, *command)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


def test_help() -> None:
    """--help before the program is ours."""
    assert "Run a program with tracing on" in run(*RUN, "--help").stdout


def test_nested() -> None:
    """`autotrace run` below `autotrace run` changes nothing more."""
    code = "import os; print(os.environ['PYTHONPATH'])"
    assert run(*RUN, *RUN, "-c", code).stdout == run(*RUN, "-c", code).stdout != ""
