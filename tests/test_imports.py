"""Who may import whom: the flow goes one way. Read from the source, so that imports inside of functions count."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import autotrace

ROOT = Path(autotrace.__file__).parent
PLUGINS = Path(__file__).parent.parent / "plugins"

PAGE = ROOT.parents[1] / "docs" / "architecture.md"

#: Parts of `testing` that stand for other people's servers and libraries.
STRANGERS = ("testing/openai_", "testing/replay", "testing/loopback", "testing/framework")


def rules() -> dict[str, set[str]]:
    """What of ours a package (or a module at the top) may import, beside itself: the table of the page."""
    table = PAGE.read_text(encoding="utf-8").partition("## Who may import whom")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", table, re.MULTILINE)
    return {
        part: set(re.findall(r"`([\w.]+)`", allowed)) | ({""} if "public names" in allowed else set())
        for parts, allowed in rows
        for part in re.findall(r"`(\w+)`", parts)
    }


ALLOWED = rules()


def package_of(path: Path) -> list[str]:
    """The dotted name of the package that relative imports of a file start from."""
    return ["autotrace", *path.relative_to(ROOT).parent.parts]


def imported(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, without the leading `autotrace.`; names of a package count as modules."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = package_of(path)
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [start if node.module else f"{start}.{alias.name}" for alias in node.names]
            if start == "autotrace":
                public = set(autotrace.__all__) - {"autolog", "flush"}
                names = [f"autotrace.{'' if alias.name in public else alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == "autotrace":
                yield name.partition(".")[2]


FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_direction(path: Path) -> None:
    """A module imports of ours only what stands to its left in the flow."""
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = ALLOWED[part] | {part}
    for name in imported(path):
        prefixes = {name, *(".".join(name.split(".")[:end]) for end in range(1, name.count(".") + 2))}
        assert prefixes & allowed, f"{path.relative_to(ROOT)} imports autotrace.{name}"


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if str(path.relative_to(ROOT)).startswith(STRANGERS)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_strangers(path: Path) -> None:
    """What stands for other people's servers and libraries knows nothing of autotrace."""
    assert {name.partition(".")[0] for name in imported(path)} <= {"testing"}


def test_every_part_is_known() -> None:
    """The table names every package and module that there is, and no other."""
    parts = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES}
    assert parts == set(ALLOWED)


def test_only_activation_composes() -> None:
    """Nobody but the composition root imports both the host and the delivery."""
    both = {
        str(path.relative_to(ROOT))
        for path in FILES
        if {"host", "delivery"} <= {name.partition(".")[0] for name in imported(path)}
    }
    assert both == {"activation.py"}


@pytest.mark.parametrize("path", sorted(PLUGINS.glob("*/src/**/*.py")), ids=lambda path: "/".join(path.parts[-2:]))
def test_plugins_use_public_names(path: Path) -> None:
    """A plugin imports the public names of `autotrace`, and neither OpenTelemetry nor wrapt."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        modules = names if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
        for module in modules:
            assert module.partition(".")[0] not in ("opentelemetry", "wrapt", "pluggy")
            assert not module.startswith("autotrace."), f"{module} is not public"
            if module == "autotrace" and isinstance(node, ast.ImportFrom):
                assert set(names) <= set(autotrace.__all__)


def test_one_reader_of_the_environment() -> None:
    """Of what the host, the recording and the store do nothing depends on the environment but through `config`."""
    readers = {
        str(path.relative_to(ROOT))
        for path in FILES
        if any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "putenv")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert readers - {path for path in readers if path.startswith(("cli/", "serving/", "testing/", "pytest.py"))} <= {
        "config.py",
        "delivery/pipeline.py",  # whether OpenTelemetry's own variables ask for its SDK
    }
