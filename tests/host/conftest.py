"""What the tests of the host share: a program with plugins of any kind, and what it tells of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from ..conftest import Interpreter, Site

#: Installs nothing, calls, and prints the spans' names and the plugins' rows.
PROGRAM = """
import json, logging, dataclasses
logging.basicConfig(format="%(message)s")
import autotrace.auto
{before}
import acme
from autotrace import activation
import collecting
autotrace.autolog(tracer_provider=collecting.provider)
{calls}
rows = [dataclasses.asdict(status) for status in activation.active().host.statuses()]
ours = ("anthropic", "google_genai", "langchain", "llama_index", "openai", "opentelemetry")
print(json.dumps([collecting.names(), [row for row in rows if row["name"] not in ours]]))
"""


class Report:
    """What a program told: its spans' names, the plugins' rows by distribution, and what was logged."""

    def __init__(self, names: list[str], rows: list[dict[str, Any]], log: list[str]) -> None:
        self.names = names
        self.rows = {row["distribution"]: row for row in rows}
        self.shown = [row["distribution"] for row in rows]
        self.log = log

    def state(self, distribution: str) -> tuple[str, str]:
        """State and reason of a plugin."""
        row = self.rows[distribution]
        return row["state"], row["reason"]


@pytest.fixture
def report(python: Interpreter, site: Site) -> Callable[..., Report]:
    """Runs a program with the plugins of the site beside the fakes'."""
    python.path.append(site.folder)

    def run(calls: str = 'acme.Client().complete("hi")', before: str = "") -> Report:
        printed = python.run(PROGRAM.format(calls=textwrap.dedent(calls), before=textwrap.dedent(before)))
        assert len(printed.splitlines()) == 1, "something else than the program wrote on stdout"
        import json

        names, rows = json.loads(printed)
        return Report(names, rows, python.errors.splitlines())

    return run
