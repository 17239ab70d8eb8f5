"""The command line: `autotrace run`, `autotrace traces`, `autotrace plugins`, and more.

Each command lives in a module of its own, imported when it is called: `autotrace --version` and
`autotrace run` load next to nothing.
"""

from __future__ import annotations

from importlib import import_module

import click

from autotrace._version import __version__

#: Commands by name, in the order of the help text: module and variable.
COMMANDS = {
    "run": ("autotrace.cli.run", "run"),
    "ui": ("autotrace.cli.ui", "ui"),
    "traces": ("autotrace.cli.traces", "traces"),
    "stats": ("autotrace.cli.stats", "stats"),
    "failures": ("autotrace.cli.failures", "failures"),
    "sessions": ("autotrace.cli.sessions", "sessions"),
    "check": ("autotrace.cli.check", "check"),
    "feedback": ("autotrace.cli.feedback", "feedback"),
    "prune": ("autotrace.cli.prune", "prune"),
    "export": ("autotrace.cli.export", "export"),
    "import": ("autotrace.cli.importing", "import_"),
    "ship": ("autotrace.cli.ship", "ship"),
    "plugins": ("autotrace.cli.plugins", "plugins"),
    "drain": ("autotrace.cli.drain", "drain"),
    "doctor": ("autotrace.cli.doctor", "doctor"),
    "install-hook": ("autotrace.cli.install_hook", "install_hook"),
    "new-plugin": ("autotrace.cli.new_plugin", "new_plugin"),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without importing anything."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, variable = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), variable)
        return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="autotrace", message="%(prog)s %(version)s")
def main() -> None:
    """See what a program asks language models, and what they answer."""
