"""The meta-path finder that wakes plugins: it watches imports, and tells when a module has been executed.

It finds nothing by itself and changes neither the loader's class nor the module: the loader that the other
finders chose tells, once, that it is done. Lazy loaders stay lazy, for then nothing is executed yet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from threading import get_ident
from types import ModuleType
from typing import Any


class Finder:
    """Watches imports.

    Args:
        is_watched: Whether an import of this name matters. Called for every import: must be quick.
        imported: Called when a watched module has been executed. Must not raise.
    """

    def __init__(self, is_watched: Callable[[str], bool], imported: Callable[[str], None]) -> None:
        self._is_watched = is_watched
        self._imported = imported

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find, its loader made to tell when it is done; None for what is not watched."""
        if not self._is_watched(name):
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or isinstance(finder, Finder) or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                self._watch(spec.loader)
                return spec
        return None

    def watch_lazy(self, name: str) -> bool:
        """Watches a module that is there, but lazily (importlib.util.LazyLoader); whether it is."""
        module = sys.modules.get(name)
        if not _is_lazy(module):
            return False
        self._watch(object.__getattribute__(module, "__spec__").loader)
        return True

    def _watch(self, loader: Any) -> None:
        if isinstance(loader, type) or not hasattr(loader, "exec_module"):
            return  # built in or frozen: the class itself is the loader
        loader = getattr(loader, "loader", loader)  # importlib.util.LazyLoader
        known = getattr(loader, "__dict__", {}).get("exec_module")
        if isinstance(known, _TellingExecution):
            known.imported = self._imported
            return
        try:
            loader.exec_module = _TellingExecution(loader, self._imported)
        except AttributeError:  # a loader that takes no attributes: the module is found as ever, unwatched
            return


#: Watched modules that are being executed, and by which thread. Python's own mark is missing on those of a lazy loader.
_executing: dict[str, int] = {}


class _TellingExecution:
    """In place of a loader's `exec_module`: tells when the module has been executed."""

    def __init__(self, loader: Any, imported: Callable[[str], None]) -> None:
        self.imported = imported
        self._loader = loader
        self._execute = loader.exec_module

    def __call__(self, module: ModuleType) -> None:
        # A loader that finds modules too (zipimporter) is shared by many; any other leaves as it was.
        if not hasattr(self._loader, "find_spec"):
            vars(self._loader).pop("exec_module", None)
        name = module.__name__
        _executing[name] = get_ident()
        try:
            self._execute(module)
        finally:
            _executing.pop(name, None)
        self.imported(name)


def is_amid_imports() -> bool:
    """Whether this thread is executing a watched module, or one of ours is half imported."""
    if get_ident() in list(_executing.values()):
        return True
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("autotrace.")]
    return any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in ours)


def is_starting() -> bool:
    """Whether Python is still starting: the program's folder is not on the path yet."""
    return bool(getattr(getattr(sys.modules.get("site"), "__spec__", None), "_initializing", False))


def is_imported(name: str) -> bool:
    """Whether a module has been executed: it is there, not lazy, and not half imported."""
    module = sys.modules.get(name)
    if module is None or name in _executing or _is_lazy(module):
        return False
    return not getattr(getattr(module, "__spec__", None), "_initializing", False)


def is_any_executing(names: frozenset[str]) -> bool:
    """Whether a module of one of these top-level packages is being executed."""
    if any(name.partition(".")[0] in names for name in list(_executing)):
        return True
    return any(
        getattr(getattr(module, "__spec__", None), "_initializing", False)
        for name, module in list(sys.modules.items())
        # The import that switches everything on is under way when it does.
        if name.partition(".")[0] in names and name != "autotrace.auto" and not _is_lazy(module)
    )


def _is_lazy(module: object) -> bool:
    lazy = getattr(sys.modules.get("importlib.util"), "_LazyModule", None)
    return lazy is not None and type(module) is lazy


def install(finder: Finder) -> None:
    """Puts `finder` first on the meta path; does nothing when one is there."""
    if not any(isinstance(known, Finder) for known in sys.meta_path):
        sys.meta_path.insert(0, finder)


def uninstall() -> None:
    """Takes our finder off the meta path."""
    sys.meta_path[:] = [known for known in sys.meta_path if not isinstance(known, Finder)]


def third_party_modules() -> bool:
    """Whether a module that is neither the standard library's nor ours has been imported yet."""
    return any(is_third_party(name) for name in list(sys.modules))


def is_third_party(name: str) -> bool:
    """Whether a top-level module is neither the standard library's, nor ours, nor part of starting Python."""
    return (
        "." not in name
        and name not in sys.stdlib_module_names
        and name not in _STARTING
        and not name.startswith(("__editable__", "_virtualenv", "_distutils_hack", "_sysconfigdata"))
    )


#: `org` and `java` are what the standard library (copy, pickle, platform) looks for to know Jython, `_wmi` to know
#: Windows.
_STARTING = frozenset(
    {
        "__main__",
        "__mp_main__",
        "autotrace",
        "sitecustomize",
        "usercustomize",
        "distutils-precedence",
        "org",
        "java",
        "_wmi",
    }
)
