"""What a framework's modules and classes hold, before tracing and after."""

from __future__ import annotations

import sys
from typing import Any

#: Modules and classes by their identity, and what each holds.
Held = dict[int, tuple[Any, dict[str, Any]]]


def _owners(framework: str) -> list[Any]:
    """The framework's modules, and the classes that they define."""
    modules = [
        module for name, module in list(sys.modules.items()) if name == framework or name.startswith(framework + ".")
    ]
    classes = {
        id(value): value
        for module in modules
        for value in list(vars(module).values())
        if _is_class(value) and str(value.__module__).startswith(framework)
    }
    return [*modules, *classes.values()]


def _is_class(value: Any) -> bool:
    """Whether it is a class. What stands for a module that is not installed raises when `isinstance` asks it."""
    return issubclass(type(value), type)


def held(framework: str) -> Held:
    """What the modules and classes of a framework hold now."""
    return {id(owner): (owner, dict(vars(owner))) for owner in _owners(framework)}


def changes(before: Held, after: Held) -> list[str]:
    """Functions that are not what they were. Modules fill up by themselves, classes do not."""
    found = []
    for key, (owner, held) in before.items():
        now = after[key][1]
        names = {*held, *now} if isinstance(owner, type) else set(held)
        found += [_label(owner, name) for name in names if _is_another(held.get(name), now.get(name))]
    return sorted(found)


def wrapped(before: Held) -> list[str]:
    """Functions that one of our wrappers stands for."""
    return [_label(owner, name) for owner, values in before.values() for name, one in values.items() if _is_ours(one)]


def _label(owner: Any, name: str) -> str:
    return f"{getattr(owner, '__qualname__', getattr(owner, '__name__', owner))}.{name}"


def _is_another(before: Any, now: Any) -> bool:
    """Whether a function has taken another one's place. Libraries keep other values of their own on classes."""
    if before is now or _is_class(now):
        return False
    return any(callable(one) or isinstance(one, staticmethod | classmethod | property) for one in (before, now))


def _is_ours(value: Any) -> bool:
    return str(type(value).__module__).startswith("autotrace.")


def restore(before: Held) -> None:
    """Puts back by force what a plugin that patches by itself has not."""
    for owner, known in before.values():
        now = dict(vars(owner))
        for name in {*known, *now} if isinstance(owner, type) else set(known):
            if _is_another(known.get(name), now.get(name)):
                if name in known:
                    setattr(owner, name, known[name])
                else:
                    delattr(owner, name)
