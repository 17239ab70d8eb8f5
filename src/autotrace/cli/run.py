"""`autotrace run`: starts a program with tracing on, and is gone: the program takes this process over."""

from __future__ import annotations

import os
import signal
import sys

import click

from autotrace.serving.launch import coerced_locale, launch

NOT_FOUND, NOT_EXECUTABLE = 127, 126


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    }
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...]) -> None:
    """Run a program with tracing on, without changing it.

    COMMAND is a Python program (app.py), a module (-m package.module), code (-c "..."), or any command that
    leads to Python (gunicorn, uvicorn, pytest). What follows it belongs to it. Processes that it starts are
    traced too.
    """
    if command[0].startswith("-") and command[0][:2] not in ("-m", "-c"):
        raise click.UsageError(f"no such option: {command[0]}")
    if command[0] in ("-m", "-c") and len(command) == 1:
        raise click.UsageError(f"{command[0]} needs a value")
    try:
        found = launch(command, os.environ, coerced_locale())
    except FileNotFoundError as error:
        click.echo(f"autotrace run: {error}", err=True)
        raise SystemExit(NOT_FOUND) from None
    sys.stdout.flush()
    sys.stderr.flush()
    restore_signals()
    try:
        os.execvpe(found.file, found.argv, found.environment)  # noqa: S606 (no shell is what is wanted)
    except OSError as error:
        click.echo(f"autotrace run: {found.file}: {error.strerror}", err=True)
        raise SystemExit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE) from None


def restore_signals() -> None:
    """Undoes what Python does to signals when it starts: a program that it executes would inherit that."""
    for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
