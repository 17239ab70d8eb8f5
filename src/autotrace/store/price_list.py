"""The price list of genai-prices, without what it has for fetching a newer one.

The delivering thread of a traced program asks for prices too, and must not import an HTTP client there: openai 2 looks
at `httpx2` in `sys.modules` without waiting for its import to be over, and a call of the program's would fail.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_NAME, _FETCHING = "genai_prices", "genai_prices.update_prices"
_ABSENT = object()


def price_list() -> Any:
    """The module `genai_prices`, as the program has it, or loaded without its HTTP client.

    What is left out is there for whoever asks for it later.

    Raises:
        ImportError: It cannot be imported.
    """
    # No lock of ours: a child that is forked while another thread imports would find it taken for good.
    if _NAME not in sys.modules and _FETCHING not in sys.modules:
        return _loaded()
    return importlib.import_module(_NAME)


def _loaded() -> ModuleType:
    names: list[str] = []

    def absent(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        names.append(name)
        return _ABSENT

    stand_in: Any = ModuleType(_FETCHING)
    stand_in.__getattr__ = absent
    sys.modules[_FETCHING] = stand_in
    try:
        package = importlib.import_module(_NAME)
    finally:
        if sys.modules.get(_FETCHING) is stand_in:
            del sys.modules[_FETCHING]
    _load_later(package, [name for name in names if vars(package).get(name) is _ABSENT])
    return package


def _load_later(package: Any, names: list[str]) -> None:
    """Names of the package that are not there are those of the module that was left out, once they are asked for."""

    def found(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_FETCHING), name)
        setattr(package, name, value)
        return value

    for name in names:
        delattr(package, name)
    if names:
        package.__getattr__ = found
