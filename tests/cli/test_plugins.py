"""`autotrace plugins`: what is installed, and what became of it."""

from __future__ import annotations

import json

import pytest

from autotrace import activation
from autotrace.host.status import PluginStatus

from .conftest import Command

KEYS = [
    "name",
    "distribution",
    "version",
    "framework_distribution",
    "framework_version",
    "supported",
    "state",
    "reason",
    "choice",
    "warnings",
]
SOME = [
    PluginStatus("openai", "autotrace-openai", "0.1.0", "openai", "3.54.0", ">=1.40,<4", "active"),
    PluginStatus("acme", "acme-plugin", "2", "acme", None, ">=1", "failed", "no [red]\x1b[2J", "", ["slow", "old"]),
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two plugins, whatever is installed."""
    monkeypatch.setattr(activation, "plugin_statuses", lambda: SOME)


@pytest.mark.usefixtures("installed")
def test_json(autotrace: Command) -> None:
    """Every plugin is an object with the same keys."""
    found = json.loads(autotrace("plugins", "--json").stdout)
    assert [list(plugin) for plugin in found] == [KEYS, KEYS]
    assert found[1]["framework_version"] is None
    assert found[1]["warnings"] == ["slow", "old"]


@pytest.mark.usefixtures("installed")
def test_table(autotrace: Command) -> None:
    """Every plugin has a line, with the reason and the warnings of what does not work."""
    result = autotrace("plugins")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines == [
        "FRAMEWORK INSTALLED SUPPORTED STATE PLUGIN REASON",
        "openai 3.54.0 >=1.40,<4 active autotrace-openai 0.1.0",
        "acme not installed >=1 failed acme-plugin 2 no [red]\\x1b[2J",
        "slow",
        "old",
    ]


def test_none_installed(autotrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a plugin the next step is told."""
    monkeypatch.setattr(activation, "plugin_statuses", list)
    assert "pip install" in autotrace("plugins").stdout
    assert json.loads(autotrace("plugins", "--json").stdout) == []


def test_real_plugins(autotrace: Command) -> None:
    """What is really installed here is listed without an error."""
    assert autotrace("plugins").exit_code == 0
    assert all(list(plugin) == KEYS for plugin in json.loads(autotrace("plugins", "--json").stdout))
