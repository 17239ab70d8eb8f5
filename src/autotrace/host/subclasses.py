"""A method that every subclass writes anew, such as an abstract one: each version is patched, now and when it comes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..recording.guard import guard

_MISSING: Any = object()
#: Called by Python for every new subclass.
_HOOK = "__init_subclass__"


class Descendants:
    """A class and its subclasses, as far as each has a method of one name itself.

    Args:
        base: The class.
        name: The method's name.
        found: Called once for each class that has the method.
    """

    def __init__(self, base: type, name: str, found: Callable[[type], None]) -> None:
        self._base = base
        self._name = name
        self._found = found
        # By identity, as a class may be equal to others; held, as it is patched.
        self._known: dict[int, type] = {}
        self._own: Any = _MISSING
        self._hook: Any = None
        self.watch()

    def watch(self) -> None:
        """Finds the classes that there are, and looks out for more."""
        if self._hook is None:
            self._look_out()
        self._find(self._base)

    def ignore(self) -> None:
        """Looks out no more."""
        if self._hook is not None and vars(self._base).get(_HOOK) is self._hook:
            if self._own is _MISSING:
                delattr(self._base, _HOOK)
            else:
                setattr(self._base, _HOOK, self._own)
        self._hook = None

    def _look_out(self) -> None:
        base: Any = self._base
        self._own = own = vars(base).get(_HOOK, _MISSING)

        def created(cls: Any, /, **kwargs: Any) -> None:
            if own is _MISSING:
                super(base, cls).__init_subclass__(**kwargs)
            else:
                own.__get__(None, cls)(**kwargs)
            if self._hook is not None:
                with guard(f"subclass of {base.__qualname__}"):
                    self._consider(cls)

        self._hook = classmethod(created)
        setattr(base, _HOOK, self._hook)

    def _find(self, kind: type) -> None:
        self._consider(kind)
        below: list[type] = type.__subclasses__(kind)
        for one in below:
            self._find(one)

    def _consider(self, kind: type) -> None:
        if id(kind) in self._known:
            return
        method = vars(kind).get(self._name)
        if method is None or getattr(method, "__isabstractmethod__", False):
            return
        function = getattr(method, "__func__", method)
        if inspect.isroutine(function) or hasattr(function, "__wrapped__"):
            self._known[id(kind)] = kind
            self._found(kind)
