"""What the file of `autotrace install-hook` calls when an interpreter of its environment starts.

Nothing may go wrong here, and where AUTOTRACE is not set nothing may take time: it is imported by each of them from
Python 3.15 on.
"""

import os
import sys


def main() -> None:
    """Switches tracing on, where AUTOTRACE is true; for a `.start` file, which is read when the path is whole."""
    if not os.environ.get("AUTOTRACE"):
        return
    try:
        from ..setting_values import flag

        try:
            is_on = flag(os.environ["AUTOTRACE"])
        except ValueError as error:
            complain(f"AUTOTRACE: {error}")
            return
        if is_on:
            from .. import auto  # noqa: F401 (importing it is all there is to do)
    except Exception as error:  # noqa: BLE001 (the program must run)
        complain(f"{type(error).__name__}: {error}")


def at_last() -> None:
    """Calls `main` when the path is whole; for a `.pth` file, which may not be the last one that is read.

    In a virtual environment Python reads them all twice.
    """
    if not any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiting())


class _Waiting:
    """A finder that finds nothing, and waits for the import of `sitecustomize`: with it Python ends its own start."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        """Calls `main`, once, and answers what the other finders find."""
        if self not in sys.meta_path or (name != "sitecustomize" and _is_starting()):
            return None
        # The list is being walked: the finder that takes this one's place would be passed over.
        sys.meta_path.remove(self)
        main()
        for finder in list(sys.meta_path):
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                return spec
        return None


def _is_starting() -> bool:
    return bool(getattr(getattr(sys.modules.get("site"), "__spec__", None), "_initializing", False))


def complain(reason: str) -> None:
    """Says on stderr, in one line, why nothing is traced."""
    try:
        said = " ".join(f"autotrace: tracing is off: {reason}".split()) + "\n"
        # Not by way of `sys.stderr`: what that cannot get rid of would be the interpreter's exit status.
        os.write(sys.stderr.fileno(), said.encode("utf-8", "replace"))
    except Exception:  # noqa: BLE001, S110 (no stderr, or one that takes nothing)
        pass
