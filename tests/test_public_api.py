"""The public names: sorted, lazy, documented, and their examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import autotrace

from .conftest import Interpreter

NAMES = [name for name in autotrace.__all__ if not name.startswith("__")]


def test_sorted_and_complete() -> None:
    """`__all__` is sorted, `dir` says the same, and what it names is what there is."""
    assert list(autotrace.__all__) == sorted(autotrace.__all__)
    assert len(set(autotrace.__all__)) == len(autotrace.__all__)
    assert dir(autotrace) == autotrace.__all__
    with pytest.raises(AttributeError, match="module 'autotrace' has no attribute 'nothing'"):
        autotrace.nothing  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_documented(name: str) -> None:
    """Every public name resolves, to the same object each time, and says what it is in a sentence."""
    value = getattr(autotrace, name)
    assert getattr(autotrace, name) is value
    if name in ("RequestValues", "ResponseValues", "hookimpl"):
        assert value is not None
        return
    text = inspect.getdoc(value) or ""
    assert re.match(r"\w.*[.:?]", text), text


def test_public_methods_are_documented() -> None:
    """So does every public method of a public class."""
    for name in NAMES:
        value = getattr(autotrace, name)
        if isinstance(value, type):
            for method, found in inspect.getmembers(value, inspect.isroutine):
                if not method.startswith("_") and str(getattr(found, "__module__", "")).startswith("autotrace"):
                    assert inspect.getdoc(found), f"{name}.{method}"


def test_typed_like_the_runtime() -> None:
    """What type checkers are told of is what `__getattr__` gives: the two lists in the package agree."""
    tree = ast.parse(Path(autotrace.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    told = {
        alias.name: statement.module
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert set(told) == set(NAMES)
    for name, module in told.items():
        home = importlib.import_module(f"autotrace.{module}" if module else "autotrace")
        assert getattr(home, name) is getattr(autotrace, name)
    assert {name for name, module in told.items() if module is None} == {"read", "stainless"}
    assert autotrace.stainless is importlib.import_module("autotrace.stainless")


def test_importing_is_light(python: Interpreter) -> None:
    """`import autotrace` imports nothing but itself and its version; a name brings what it needs when it is used."""
    found = python.json("""
        import sys
        before = set(sys.modules)
        import autotrace
        first = sorted(set(sys.modules) - before)
        autotrace.errors_are_light = autotrace.ConfigError
        second = sorted(set(sys.modules) - before - set(first))
        autotrace.trace, autotrace.span, autotrace.context, autotrace.suppress
        third = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
        import json
        print(json.dumps([first, second, third]))
    """)
    first, second, third = found
    ours = [name for name in first if name.partition(".")[0] not in sys.stdlib_module_names]
    assert ours == ["autotrace", "autotrace._version"]
    assert "autotrace.errors" in second
    assert not {"opentelemetry", "wrapt", "pluggy", "orjson", "openai", "asyncio"} & set(third)


def is_foreign(value: Any, name: str) -> bool:
    """Whether a name in a public module is one that the module has imported."""
    if not inspect.ismodule(value) or "." not in name:
        return False
    return getattr(getattr(value, name.split(".")[1]), "__module__", "") != value.__name__


def documented() -> dict[str, Any]:
    """Every docstring of a public name that holds an example."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {}
    for name in NAMES:
        value = getattr(autotrace, name)
        module = inspect.getmodule(value)
        for test in finder.find(value, name, module=False, globs=dict(vars(module) if module else {})):
            if test.examples and not is_foreign(value, test.name):
                found[test.name] = test
    return found


EXAMPLES = documented()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str, clean: None) -> None:
    """Every example in a docstring does what it says."""
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(EXAMPLES[name], clear_globs=False)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_what_is_shown_has_an_example() -> None:
    """Every function that a program calls shows how."""
    for name in (
        "autolog",
        "context",
        "current_trace_id",
        "flush",
        "span",
        "suppress",
        "trace",
        "update_trace",
        "Span.set",
    ):
        assert name in EXAMPLES
