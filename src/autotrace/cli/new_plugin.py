"""`autotrace new-plugin`: writes a whole plugin, whose tests pass before a line of it has been changed."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from importlib import resources
from pathlib import Path
from string import Template

import click

from autotrace._version import __version__

from .terminal import Failure

#: What is written, by the template that it is made from.
_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "plugin.py.txt": "src/autotrace_$module/__init__.py",
    "conftest.py.txt": "tests/conftest.py",
    "test_plugin.py.txt": "tests/test_$module.py",
}


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where it is written; autotrace-NAME in the working directory unless said.",
)
def new_plugin(name: str, folder: Path | None) -> None:
    """Write a plugin for the framework NAME.

    It is a whole distribution: pyproject.toml, module, tests, README. NAME is what the framework is installed and
    imported as, such as acme or acme-llm. The tests pass at once, against a fake framework; the README says what to
    change, step by step.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*", name, re.IGNORECASE):
        raise click.UsageError(f"{name!r} is no name of a distribution, such as acme or acme-llm")
    words = {"name": re.sub(r"[-_.]+", "-", name).lower(), "version": __version__}
    words["module"] = words["name"].replace("-", "_")
    if keyword.iskeyword(words["module"]):
        raise click.UsageError(f"{name!r} cannot be imported: it is a word of Python's own")
    if words["module"] in sys.stdlib_module_names or words["module"] in ("autotrace", "pytest"):
        raise click.UsageError(f"{name!r} is no framework: tests could not put a fake one in its place")
    target = folder if folder is not None else Path(f"autotrace-{words['name']}")
    _write(target, words)
    click.echo(f"Written: {target}")
    click.echo(f"  cd {shlex.quote(str(target))} && pip install -e . pytest && pytest")
    click.echo("Then README.md there says how to make it yours.")


def _write(target: Path, words: dict[str, str]) -> None:
    try:
        if target.exists() and any(target.iterdir()):
            raise Failure(f"{target} is there already and not empty; choose another with --folder")
        templates = resources.files(__package__) / "plugin_template"
        for source, path in _FILES.items():
            text = Template((templates / source).read_text(encoding="utf-8")).substitute(words)
            place = target / Template(path).substitute(words)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        (target / "src" / f"autotrace_{words['module']}" / "py.typed").touch()
    except OSError as error:
        raise Failure(f"{target} cannot be written: {error.strerror}") from error
