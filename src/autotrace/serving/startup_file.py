"""The file in an environment's site-packages that makes its interpreters call our hook: written, looked at, removed.

Up to Python 3.14 it is a `.pth` file with a line of code. From 3.15 on it is a `.start` file with an entry point
(PEP 829): Python goes on executing lines in `.pth` files for a while, and then no longer.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["absent", "installed", "outdated", "foreign"]

_MARK = '# Written by "autotrace install-hook"; "autotrace install-hook --remove" takes it away.\n'
_COMMENT = _MARK + "# Where AUTOTRACE=1 is set, the interpreters of this environment trace.\n"
#: What a line of a `.pth` file executes where AUTOTRACE is set. Whatever happens, no exception leaves it; where
#: autotrace has been uninstalled nothing is said, and what is said is said once, though virtual environments read the
#: file twice. Not by way of `sys.stderr`: what that cannot get rid of would be the interpreter's exit status.
_CODE = """\
try:
    from autotrace.serving import hook
    hook.at_last()
except Exception as error:
    try:
        import os, sys
        if getattr(error, "name", "") != "autotrace" and not hasattr(sys, "_autotrace_is_off"):
            sys._autotrace_is_off = True
            said = "autotrace: tracing is off: %s\\n" % " ".join(repr(error).split())
            os.write(sys.stderr.fileno(), said.encode("utf-8", "replace"))
    except Exception:
        pass
"""
_PTH = f'import os; os.environ.get("AUTOTRACE") and exec({_CODE!r}, {{}})\n'
_START = "autotrace.serving.hook:main\n"


@dataclass(frozen=True)
class StartupFile:
    """The file of one environment.

    Attributes:
        path: Where it is, or would be.
        content: What is to be in it.
    """

    path: Path
    content: str

    @property
    def state(self) -> State:
        """Whether it is there, and ours: `outdated` is another release's, `foreign` is nobody's that we know.

        Raises:
            OSError: It cannot be read.
        """
        try:
            found = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "absent"
        if found == self.content:
            return "installed"
        return "outdated" if found.startswith(_MARK) else "foreign"

    def write(self) -> None:
        """Puts it there, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        descriptor, name = tempfile.mkstemp(prefix=".autotrace-", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self.content)
            # Everybody's interpreters read it: it is as readable as a file of site-packages usually is.
            Path(name).chmod(0o644)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Takes it away.

        Raises:
            OSError: It cannot be removed.
        """
        self.path.unlink()


def startup_file(folder: Path | None = None, version: tuple[int, ...] = sys.version_info[:2]) -> StartupFile:
    """The file of an environment.

    Args:
        folder: Its site-packages; those of this interpreter when None.
        version: Its Python's version.
    """
    folder = Path(sysconfig.get_path("purelib")) if folder is None else folder
    if version >= (3, 15):
        return StartupFile(folder / "autotrace.start", _COMMENT + _START)
    return StartupFile(folder / "autotrace.pth", _COMMENT + _PTH)
