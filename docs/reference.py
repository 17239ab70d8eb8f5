"""Writes docs/reference.md, the reference of what authors of plugins use, from the code's own docstrings.

    python docs/reference.py

A test fails while the page is not what this would write.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import autotrace
from autotrace.host import hookspecs

PAGE = Path(__file__).with_name("reference.md")

HEAD = """\
# Reference for authors of plugins

Written by `docs/reference.py` from the code's docstrings. [Your first plugin](first-plugin.md) is the way in, [the
Python API](api.md) shows the names at work, [testing](testing.md) is about tests.

These names are a promise: none is taken away or changes its meaning within a major version of autotrace; fields are
added at the end, with a default. A hook may be implemented with fewer arguments than it has.

"""

#: In the order in which an author meets them.
NAMES = (
    *("Instrumentation", "Patch", "Call", "RequestValues", "ResponseValues", "Message", "Part", "ToolCall", "Usage"),
    *("Document", "StreamClass", "Event", "Amendment", "Delegate"),
    *("RunStart", "RunEnd", "Run", "Ended", "Boundary", "RunContext"),
    *("Application", "Task", "TaskEnd", "Work", "HttpRequest", "HttpResponse", "Sender"),
)
MODULES = ("read", "stainless")


def reference() -> str:
    """The whole page."""
    hooks, sections = "".join(map(_hook, _hooks())), "".join(map(_section, NAMES))
    return HEAD + "## Hooks\n\n" + hooks + sections + "".join(map(_module, MODULES))


def _hooks() -> list[Any]:
    marked = [function for function in vars(hookspecs).values() if hasattr(function, "autotrace_spec")]
    return [function for function in marked if inspect.isfunction(function)]


def _hook(function: Any) -> str:
    shown = str(inspect.signature(function)).replace("'", "")
    return f"**`{function.__name__}{shown}`**\n\n{inspect.getdoc(function)}\n\n"


def _section(name: str) -> str:
    kind = getattr(autotrace, name)
    text = inspect.getdoc(kind) or ""
    parts = re.split(r"^(Example|Attributes|Raises):\n", text, flags=re.MULTILINE)
    body, found = parts[0].strip(), dict(zip(parts[1::2], parts[2::2], strict=True))
    section = f"## {name}\n\n{body}\n\n"
    if "Example" in found:
        section += _code(found["Example"])
    if "Attributes" in found:
        section += _table(kind, found["Attributes"])
    return section + _methods(kind)


def _module(name: str) -> str:
    """A module: what it is for, and each of its functions."""
    module = getattr(autotrace, name)
    text = (inspect.getdoc(module) or "").partition("\nExample:")[0].strip()
    own = [value for key, value in vars(module).items() if _is_own(module, key, value)]
    return f"## {name}\n\n{text}\n\n" + "".join(map(_function, own))


def _is_own(module: Any, name: str, value: Any) -> bool:
    return not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__


def _function(function: Any) -> str:
    parts = re.split(r"^(Example|Args|Returns|Raises):\n", inspect.getdoc(function) or "", flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    shown = str(inspect.signature(function)).replace("'", "")
    section = f"**`{function.__module__}.{function.__name__}{shown}`**\n\n{parts[0].strip()}\n\n"
    if "Args" in found:
        entries = re.findall(r"^    (\w+): (.+(?:\n      +.+)*)", found["Args"], re.MULTILINE)
        section += "".join(f"- `{name}`: {' '.join(meaning.split())}\n" for name, meaning in entries) + "\n"
    return section + (_code(found["Example"]) if "Example" in found else "")


def _code(text: str) -> str:
    lines = inspect.cleandoc("\n" + text).splitlines()
    return "".join(f"    {line}".rstrip() + "\n" for line in lines) + "\n"


def _table(kind: Any, text: str) -> str:
    """A row a field: name, type, default, meaning."""
    entries = re.findall(r"^    (\w+): (.+(?:\n      +.+)*)", text, re.MULTILINE)
    rows = [f"| `{name}` | {_type(kind, name)} | {' '.join(meaning.split())} |" for name, meaning in entries]
    return "\n".join(["| field | type, default | meaning |", "|---|---|---|", *rows]) + "\n\n"


def _type(kind: Any, name: str) -> str:
    annotation = next((vars(one)["__annotations__"][name] for one in kind.__mro__ if name in _annotations(one)), "")
    text = str(getattr(annotation, "__forward_arg__", annotation)).replace("|", "\\|")
    default = _default(kind, name)
    return f"`{text}`" + (f", `{default}`" if default else "")


def _annotations(kind: type) -> dict[str, Any]:
    found: dict[str, Any] = vars(kind).get("__annotations__", {})
    return found


def _default(kind: Any, name: str) -> str:
    try:
        parameter = inspect.signature(kind).parameters[name]
    except (KeyError, ValueError, TypeError):
        return ""
    if parameter.default is parameter.empty:
        return ""
    if inspect.isfunction(parameter.default):
        return parameter.default.__name__
    return "{}" if "factory" in repr(parameter.default) else repr(parameter.default)


def _methods(kind: Any) -> str:
    """A line a public method or property."""
    found = []
    for name, member in vars(kind).items():
        if isinstance(member, property) and not name.startswith("_"):
            found.append(f"- `{kind.__name__}.{name}`: {_summary(member)}\n")
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if name.startswith("_") or not inspect.isfunction(function) or not inspect.getdoc(function):
            continue
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
        shown = ", ".join(
            str(p).split(":")[0] if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters
        )
        found.append(f"- `{kind.__name__}.{name}({shown})`: {_summary(function)}\n")
    return "".join(found) + ("\n" if found else "")


def _summary(member: Any) -> str:
    return (inspect.getdoc(member) or "").partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
