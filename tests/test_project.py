"""The documents say what the code does, and the code keeps to its own map."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

import autotrace
import autotrace.testing
from autotrace.cli import main
from autotrace.config import SETTINGS, Config
from autotrace.host import hookspecs

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "autotrace"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("plugins/*/README.md"),
    ROOT / "benchmarks/README.md",
]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def python(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in `folder`, whose store lies there too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACE_", "OTEL_"))}
    environment["AUTOTRACE_HOME"] = str(folder / "home")
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a page's tables by the first cell's code."""
    found = re.findall(r"^\| `([^`|]+)` \|(.+)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in found}


@pytest.mark.parametrize("setting", SETTINGS)
def test_setting_is_documented(setting: str) -> None:
    """Every setting has a row with its variable and its default in docs/configuration.md."""
    variable, default, meaning = rows(page("docs/configuration.md").partition("## Settings of one framework")[0])[
        setting
    ]
    assert variable == f"`AUTOTRACE_{setting.upper()}`"
    value = getattr(Config(), setting)
    shown = {
        "disable": "nothing",
        "environment": "detected",
        "service": "detected",
        "release": "detected",
        **dict.fromkeys(
            ("session_headers", "user_headers", "request_id_headers"), "[the usual ones](requests.md#who-asked)"
        ),
        "journal_size": "`1GiB`",
        "journal_age": "`7d`",
    }.get(setting, "none" if value in (None, ()) else None)
    if setting == "home":
        shown = f"`{value}` in the working directory"
    elif shown is None:
        shown = f"`{value[0] if isinstance(value, tuple) else str(value).lower()}`"
    assert default == shown
    assert meaning


def test_headers_are_documented() -> None:
    """docs/requests.md names the headers that are read without a setting, in the order in which they count."""
    section = page("docs/requests.md").partition("## Who asked\n")[2].partition("\n## ")[0]
    for setting, words in rows(section).items():
        assert tuple(re.findall(r"`([^`]+)`", words[0])) == getattr(Config(), setting)
    assert set(rows(section)) == {"session_headers", "user_headers", "request_id_headers"}


def test_no_setting_is_documented_that_does_not_exist() -> None:
    """Every variable of autotrace's that docs/configuration.md has a row for is a setting."""
    variables = re.findall(r"^\| `\w+` \| `AUTOTRACE_(\w+)`", page("docs/configuration.md"), re.MULTILINE)
    assert {name.lower() for name in variables} == set(SETTINGS)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_settings_of_plugin_are_documented(plugin: Path) -> None:
    """Every setting of a plugin, and every value that it may have, is in the plugin's README."""
    module = importlib.import_module(plugin.name.replace("-", "_"))
    documented = rows((plugin / "README.md").read_text(encoding="utf-8"))
    for instrumentation in module.instrumentations():
        for setting, values in instrumentation.settings.items():
            if instrumentation.delegates:  # as far as they are installed
                assert set(values) <= set(re.findall(r"`([^`]+)`", documented[setting][0]))
            else:
                assert documented[setting][0] == ", ".join(f"`{value}`" for value in values)


def outcomes() -> set[str]:
    """How spans end that neither succeed nor fail, by all that the core and the plugins say."""
    found: set[str] = set()
    folders = [SOURCE / part for part in ("recording", "host", "serving", "frameworks")]
    for folder in (*folders, *(plugin / "src" for plugin in PLUGINS)):
        for path in (*folder.rglob("*.py"), SOURCE / "pytest.py"):
            code = path.read_text(encoding="utf-8")
            found.update(re.findall(r'(?:\boutcome(?:: str)? ?= ?|\.(?:end|end_all|abandon)\()"(\w+)"', code))
            for table in re.findall(r"^_OUTCOMES = (\{.*\})$", code, re.MULTILINE):
                found.update(ast.literal_eval(table).values())
    return found


def test_statuses_are_documented() -> None:
    """Every status that a span can have, and no other, has its meaning in docs/cli.md."""
    known = outcomes()
    assert known >= {"closed", "exited", "paused", "switched_off"}
    section = page("docs/cli.md").partition("## Statuses\n")[2].partition("\n## ")[0]
    assert set(rows(section)) == {"ok", "error", "running", "interrupted", *known}


def commands(group: click.Group, path: str = "autotrace") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize(("name", "command"), [pytest.param(*found, id=found[0]) for found in commands(main)])
def test_command_is_documented(name: str, command: click.Command) -> None:
    """Every command has a section in docs/cli.md, and every option of it is named on that page."""
    text = page("docs/cli.md")
    assert re.search(rf"^## {name}\b", text, re.MULTILINE)
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if f"`{option}" not in text] == []


@pytest.mark.parametrize("name", autotrace.__all__)
def test_public_name_is_documented(name: str) -> None:
    """Every public name has its paragraph in docs/api.md."""
    assert re.search(rf"\*\*`autotrace\.{name}\b", page("docs/api.md"))


def reference() -> Any:
    """The program that writes docs/reference.md."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_is_what_the_code_says() -> None:
    """docs/reference.md is what docs/reference.py writes."""
    assert page("docs/reference.md") == reference().reference(), "run: python docs/reference.py"


def test_reference_is_whole() -> None:
    """The reference has every hook, every name of the authors' API, and every field of each, with its meaning."""
    text = page("docs/reference.md")
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, "autotrace_spec")]
    assert set(hooks) >= {"instrumentations", "redact"}
    assert [name for name in hooks if f"**`{name}(" not in text] == []
    homes = {"autotrace.host.instrumentation", "autotrace.recording.mapping"}
    homes |= {"autotrace.recording.messages", "autotrace.recording.runs", "autotrace.serving.work"}
    names = {name for name in autotrace.__all__ if getattr(getattr(autotrace, name), "__module__", "") in homes}
    assert names == set(reference().NAMES)
    for name in names:
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        fields = inspect.get_annotations(getattr(autotrace, name))
        assert [field for field in fields if f"| `{field}` |" not in section] == [], name


@pytest.mark.parametrize("name", sorted(set(autotrace.__all__) - {"__version__", "hookimpl"}))
def test_public_name_has_an_example(name: str) -> None:
    """The docstring of every public name shows it at work."""
    assert ">>> " in (getattr(autotrace, name).__doc__ or "")


@pytest.mark.parametrize("name", autotrace.testing.__all__)
def test_name_of_testing_is_documented(name: str) -> None:
    """Every public name for tests has its paragraph in docs/testing.md."""
    assert re.search(rf"\*\*`(autotrace\.testing\.)?{name}\b", page("docs/testing.md"))


def test_fixtures_are_documented() -> None:
    """Every fixture that pytest finds by itself, but the contract's own, has its paragraph in docs/testing.md."""
    source = (SOURCE / "testing" / "pytest_plugin.py").read_text(encoding="utf-8")
    fixtures = set(re.findall(r"@pytest\.fixture.*\ndef (\w+)", source)) - {"_framework_before"}
    assert fixtures >= {"spans", "fake_framework"}
    assert {name for name in fixtures if not re.search(rf"\*\*`{name}`", page("docs/testing.md"))} == set()


@pytest.mark.parametrize("module", [autotrace, autotrace.testing], ids=lambda module: module.__name__)
def test_public_names_are_sorted_and_load(module: ModuleType) -> None:
    """The list of public names is in order, is what `dir` shows, and holds nothing that is not there."""
    assert sorted(module.__all__) == list(module.__all__) == dir(module)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(module, "nonsense")  # noqa: B009 (mypy knows better)


@pytest.mark.parametrize("name", ["docs/api.md", "docs/testing.md"])
def test_examples_of_page_run(tmp_path: Path, name: str) -> None:
    """What a page of the reference shows is what happens."""
    code = "import doctest, sys; print(doctest.testfile(sys.argv[1], module_relative=False))"
    done = python(code, tmp_path, str(ROOT / name))
    assert re.fullmatch(r"TestResults\(failed=0, attempted=[1-9]\d+\)\n", done.stdout), done.stdout + done.stderr


def test_examples_of_docstrings_run(tmp_path: Path) -> None:
    """What a docstring shows is what happens."""
    files = [file for file in SOURCE.rglob("*.py") if ">>> " in file.read_text(encoding="utf-8")]
    modules = [".".join(file.relative_to(SOURCE.parent).with_suffix("").parts) for file in files]
    assert "autotrace.spans" in modules
    code = (
        "import doctest, importlib, sys\n"
        "tested = {name: doctest.testmod(importlib.import_module(name)) for name in sys.argv[1:]}\n"
        "print({name: result for name, result in tested.items() if result.failed or not result.attempted})"
    )
    done = python(code, tmp_path, *modules)
    assert done.stdout == "{}\n", done.stdout + done.stderr


@pytest.mark.parametrize("source", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(source: Path) -> None:
    """A relative link in a document names a file that is there."""
    links = re.findall(r"\]\(([^)#:\s]+)\)", source.read_text(encoding="utf-8"))
    assert [link for link in links if not (source.parent / link).exists()] == []


def test_dependencies_are_justified() -> None:
    """Every dependency of the core has its reason in docs/architecture.md."""
    declared = re.search(r"^dependencies = \[\n(.*?)^\]", page("pyproject.toml"), re.MULTILINE | re.DOTALL)
    assert declared is not None
    names = re.findall(r'^\s+"([a-z0-9-]+)', declared[1], re.MULTILINE)
    text = page("docs/architecture.md")
    assert "pluggy" in names
    assert [name for name in names if not re.search(rf"^\| {name} \| \S", text, re.MULTILINE)] == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_plugin_carries_the_license(plugin: Path) -> None:
    """A plugin's distribution carries the same license as the core's."""
    assert (plugin / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
