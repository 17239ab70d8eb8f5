"""Puts patches on with wrapt and takes them off again, to the letter.

A patch that is taken off is inert at once, wherever a reference to it is still held. The class's `__dict__` gets
back the very object that it held, unless another tool has wrapped the function after us: its wrapper stays where
it is, and ours beneath it calls straight through.
"""

from __future__ import annotations

import copy
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FunctionType, MethodType, ModuleType
from typing import Any

import wrapt

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]

_MISSING: Any = object()


class MissingTarget(LookupError):
    """The framework has no such function (in this version)."""


class _BoundWrapper(wrapt.BoundFunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """What a wrapped method is on an instance or a class; copied and pickled like the method."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        method = self.__wrapped__
        if isinstance(method, MethodType):
            return getattr, (method.__self__, method.__name__)
        return self._self_parent.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        method = self.__wrapped__
        return (
            getattr(copy.deepcopy(method.__self__, memo), method.__name__) if isinstance(method, MethodType) else self
        )


class _Wrapper(wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """wrapt's wrapper; copied and pickled, as functions are, by name (wrapt's own refuses)."""

    __bound_function_wrapper__ = _BoundWrapper

    def __init__(self, wrapped: Any, wrapper: Wrapper, name: str) -> None:
        super().__init__(wrapped, wrapper)
        self._self_name = name

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pkgutil.resolve_name, (self._self_name,)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class AppliedPatch:
    """One function of a framework, wrapped.

    Args:
        module: The module's name; it must have been imported.
        target: `function` or `Class.method`.
        wrapper: Called in place of the function, as wrapt calls wrappers.
        owner: The class itself, where its name alone would not lead to it (one made inside a function).

    Raises:
        MissingTarget: The module has no such function.
    """

    def __init__(self, module: str, target: str, wrapper: Wrapper, owner: type | None = None) -> None:
        self.module = module
        self.label = f"{module}.{target}"
        self._target = target
        self._owner: Any
        self._owner, self._name = (owner, target.rpartition(".")[2]) if owner else resolve(module, target)
        self._is_named = owner is None
        self._wrapper = wrapper
        self._proxy: Any = None
        self.put_on()

    def put_on(self) -> None:
        """Wraps the function, unless our wrapper is still there (perhaps beneath another tool's)."""
        if self._proxy is not None and self.is_in_place():
            return
        self._held = vars(self._owner).get(self._name, _MISSING)
        self.original = inspect.getattr_static(self._owner, self._name)
        if self.is_of_module and type(self.original) is _Wrapper:
            # Imported by name from a module where it is wrapped already.
            self._held = self.original = self.original.__wrapped__
        self._proxy = _Wrapper(self.original, self._wrapper, f"{self.module}:{self._target}")
        setattr(self._owner, self._name, self._proxy)

    def take_off(self) -> None:
        """Restores what was there, unless another tool has wrapped ours."""
        if self._proxy is None or not self._is_proxy(vars(self._owner).get(self._name)):
            return
        if self._held is _MISSING:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._held)
        self._proxy = None

    @property
    def is_of_module(self) -> bool:
        """Whether the module itself holds the function."""
        return isinstance(self._owner, ModuleType)

    def is_current(self) -> bool:
        """Whether what goes by this name is what was wrapped. Not so when the module has been executed again."""
        if not self._is_named:
            return True
        try:
            owner, _ = resolve(self.module, self._target)
        except MissingTarget:
            return True
        return owner is self._owner and (not self.is_of_module or self.is_in_place())

    def others(self) -> list[str]:
        """Modules of other tools' wrappers around the same function, outermost first; one that replaced it is one."""
        found, current = [], vars(self._owner).get(self._name)
        # What lies beneath ours and is no wrapper of wrapt's may be the framework's own decorator.
        is_above = self._proxy is not None
        while current is not None:
            # functools.wraps copies it into plain functions.
            wrapper = None if type(current) is FunctionType else getattr(current, "_self_wrapper", None)
            if type(current) in (_Wrapper, _BoundWrapper):
                is_above = False
            elif wrapper is not None:
                found.append(str(getattr(wrapper, "__module__", type(wrapper).__module__)))
            elif is_above:
                # Not `__module__`: functools.wraps gives it that of the function it wraps.
                names = getattr(getattr(current, "__func__", current), "__globals__", {})
                found.append(str(names.get("__name__", type(current).__module__)))
            current = (
                vars(current).get("__wrapped__")
                if wrapper is None and hasattr(current, "__dict__")
                else getattr(current, "__wrapped__", None)
            )
        return found

    def current(self) -> Any:
        """What goes by the name now: the wrapped function, or the one that was there before."""
        return getattr(self._owner, self._name)

    def is_reached(self) -> bool:
        """Whether calls come to our wrapper, as far as can be seen: it is there, or what is there refers to it."""
        if self.is_in_place():
            return True
        current = vars(self._owner).get(self._name)
        while current is not None:
            current = getattr(current, "__func__", current)  # a static or class method
            if any(self._is_within(one) for one in _referred_to(current)):
                return True
            current = getattr(current, "__wrapped__", None)
        return False

    def is_in_place(self) -> bool:
        """Whether our wrapper is there, perhaps beneath another tool's."""
        return self._is_within(vars(self._owner).get(self._name))

    def _is_within(self, function: Any) -> bool:
        """Whether a function is our wrapper, or says that it wraps it."""
        while function is not None and self._proxy is not None:
            if self._is_proxy(function):
                return True
            function = getattr(function, "__wrapped__", None)
        return False

    def _is_proxy(self, function: Any) -> bool:
        """Whether this is our wrapper; or what that is on the class, where another tool has taken it from there."""
        is_bound = type(function) is _BoundWrapper and getattr(function, "_self_parent", None) is self._proxy
        return function is self._proxy or is_bound


def _referred_to(function: Any) -> Iterator[Any]:
    """What a plain function refers to: in its closure, its defaults, and the names of its module that it uses."""
    if not isinstance(function, FunctionType):
        return
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # empty
            yield cell.cell_contents
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from (function.__globals__.get(name) for name in function.__code__.co_names)


def resolve(module: str, target: str) -> tuple[Any, str]:
    """The object that holds the function, and the function's name in it.

    Raises:
        MissingTarget: The module has no such function.
    """
    owner: Any = sys.modules[module]
    *path, name = target.split(".")
    try:
        for part in path:
            owner = getattr(owner, part)
        inspect.getattr_static(owner, name)
    except AttributeError:
        raise MissingTarget(f"{module} has no {target}") from None
    return owner, name


def aliases(holder: Any, name: str, function: Any) -> list[tuple[str, str]]:
    """Where else in its own package a module's function goes by a name: modules that have imported it by name.

    Args:
        holder: The module; for what is no module's own there are none.
        name: Its name there.
        function: The function itself.
    """
    if not isinstance(holder, ModuleType):
        return []
    package = holder.__name__.partition(".")[0]
    return [
        (known, alias)
        for known, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and f"{known}.".startswith(package + ".")
        # Not `vars`: that would execute a module that is imported lazily.
        for alias, value in list(object.__getattribute__(module, "__dict__").items())
        if value is function and (module, alias) != (holder, name)
    ]
