"""Switches autotrace on in an interpreter that was started below `autotrace run`, then steps aside.

Python imports a module of this name by itself, from the first folder of its path that has one. Ours hides
the user's, if there is one: that runs afterwards, as if this file were not there. The folder leaves
`sys.path`; it stays in the environment, for the interpreters that this one starts.

Any Python may come across this file (another virtual environment, an old interpreter): it uses plain syntax
and nothing but the standard library.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _step_aside():
    # type: () -> None
    folder = os.path.realpath(os.path.dirname(__file__))  # noqa: PTH120 (pathlib costs milliseconds)

    def is_ours(entry):
        # type: (object) -> bool
        return isinstance(entry, str) and entry != "" and os.path.realpath(entry) == folder

    sys.path[:] = [entry for entry in sys.path if not is_ours(entry)]
    for entry in [entry for entry in sys.path_importer_cache if is_ours(entry)]:
        del sys.path_importer_cache[entry]


def _switch_on():
    # type: () -> None
    is_off = os.environ.get("AUTOTRACE", "").strip().lower() in ("0", "false", "no", "off")
    if is_off or os.environ.get("AUTOTRACE_AUTO") != "1":
        return
    try:
        import autotrace.auto  # noqa: F401 (importing it is all there is to do)
    except ImportError as error:
        if error.name not in ("autotrace", "autotrace.auto"):
            _complain(error)
        # Otherwise: an environment without autotrace, which is nobody's mistake.
    except Exception as error:  # noqa: BLE001 (the program must run)
        _complain(error)


def _complain(error):
    # type: (Exception) -> None
    try:
        text = "autotrace: tracing is off: {}: {}".format(type(error).__name__, error)  # noqa: UP032
        # Not by way of `sys.stderr`: what that cannot get rid of would be the interpreter's exit status.
        os.write(sys.stderr.fileno(), (" ".join(text.split()) + "\n").encode("utf-8", "replace"))
    except Exception:  # noqa: BLE001, S110 (no stderr, or one that takes nothing)
        pass


def _run_own():
    # type: () -> None
    """Runs the sitecustomize that ours hides. What it raises is for the interpreter to handle, as always."""
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        # As if there were none: the interpreter passes over exactly this error.
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_step_aside()
_switch_on()
_run_own()
