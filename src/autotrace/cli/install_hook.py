"""`autotrace install-hook`: lets AUTOTRACE=1 switch tracing on in this environment."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import click

from .terminal import Failure, visible

if TYPE_CHECKING:
    from autotrace.serving.startup_file import StartupFile

_FOREIGN = '{path} is there, and not what "autotrace install-hook" writes: look at it, and take it away yourself'


@click.command(name="install-hook")
@click.option("--remove", is_flag=True, help="Take the file away again.")
def install_hook(remove: bool) -> None:
    """Let AUTOTRACE=1 switch tracing on in this environment.

    Writes one file into the environment that this command belongs to, and prints it. Where AUTOTRACE is not set, the
    interpreters of the environment start as before.
    """
    from autotrace.serving.startup_file import startup_file

    file = startup_file()
    try:
        if file.state == "foreign":
            raise Failure(_FOREIGN.format(path=file.path))
        _remove(file) if remove else _install(file)
    except OSError as error:
        raise Failure(f"{file.path}: {error.strerror}: nothing is changed; {_advice(error)}") from error


def _install(file: StartupFile) -> None:
    was = file.state
    if was != "installed":
        file.write()
    said = {"absent": "Written", "outdated": "Renewed", "installed": "There already"}[was]
    click.echo(visible(f"{said}: {file.path}\n\n{_indented(file.content)}\n"))
    click.echo('AUTOTRACE=1 now switches tracing on in this environment; "autotrace install-hook --remove" undoes it.')


def _remove(file: StartupFile) -> None:
    if file.state == "absent":
        click.echo(visible(f"There is none: {file.path}"))
        return
    file.remove()
    click.echo(visible(f"Removed: {file.path}"))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _advice(error: OSError) -> str:
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return "use an environment that you may write to (python -m venv), or let its owner run this command"
    return "see that the folder is there and can be written"
