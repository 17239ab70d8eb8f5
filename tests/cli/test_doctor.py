"""`autotrace doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from autotrace import activation
from autotrace.cli.delivery_findings import RECENT_NS, DestinationState, delivery_findings, destination_states
from autotrace.cli.plugin_findings import plugin_findings
from autotrace.cli.terminal import UNSAFE
from autotrace.delivery.health import DestinationHealth, FailureCount, ProcessHealth
from autotrace.delivery.platform import CI_MARKS, TEST_MARKS
from autotrace.delivery.queue import Queue
from autotrace.errors import ConfigError
from autotrace.host.status import HookPoint, PluginStatus
from autotrace.serving import startup_file as startup
from autotrace.serving.startup_file import startup_file

from .conftest import Command, Fill

HOSTILE = "\x1b[2J\x1b]0;title\x07\u202e [red]x[/red] \x9b31m"
NOW = 1_800_000_000 * 10**9


def status(state: Any = "active", reason: str = "", **more: Any) -> PluginStatus:
    """A plugin's row."""
    version = more.pop("framework_version", "1.4")
    return PluginStatus("acme", "acme-plugin", "2", "acme", version, "<2,>=1", state, reason, **more)


def process(**more: Any) -> ProcessHealth:
    """How a process fares: well."""
    values: dict[str, Any] = {
        "process": "1-5-0",
        "pid": 5,
        "host": "elsewhere",
        "program": "app.py",
        "autotrace": "1",
        "python": "3",
        "started": NOW,
        "written": NOW,
        "ended": True,
        "dropped": 0,
        "damaged": 0,
        "destinations": (),
        "failures": (),
        "offsets": {},
    }
    return ProcessHealth(**{**values, **more})


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what is installed; nothing by default."""

    def install(statuses: Any = (), points: Any = (), problems: Any = ()) -> None:
        monkeypatch.setattr(activation, "plugin_statuses", lambda: list(statuses))
        monkeypatch.setattr(activation, "hook_points", lambda: list(points))
        monkeypatch.setattr(activation, "plugin_problems", lambda: list(problems))
        monkeypatch.setattr(activation, "plugin_names", lambda: {one.name for one in statuses})

    install()
    return install


@pytest.fixture
def left(home: Path) -> Callable[..., Path]:
    """Leaves a health file as a process does: `left(dropped=5)`."""

    def leave(content: bytes | None = None, **more: Any) -> Path:
        folder = home / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        found = {
            "format": 1,
            "process": "1-5-0",
            "pid": 2**22 + 1,
            "host": os.uname().nodename,
            "program": "app.py",
            "autotrace": "0.1.0",
            "python": "3.12",
            "started": time.time_ns(),
            "written": time.time_ns(),
            "ended": True,
            "dropped": 0,
            "damaged": 0,
            "destinations": [],
            "failures": [],
            "offsets": {},
            **more,
        }
        path = folder / f"{len(list(folder.iterdir()))}-5-0.health"
        path.write_bytes(orjson.dumps(found) if content is None else content)
        return path

    return leave


def examined(autotrace: Command, status: int) -> dict[str, Any]:
    """What `--json` prints; the exit status must be that one."""
    result = autotrace("doctor", "--json")
    assert result.exit_code == status, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["ok"] == (status == 0)
    return found


def problems(found: dict[str, Any]) -> list[str]:
    """What of the findings is a problem."""
    return [one["problem"] for one in found["findings"] if one["level"] == "problem"]


@pytest.mark.usefixtures("plugins")
def test_all_is_well(autotrace: Command, home: Path) -> None:
    """Where nothing is wrong the status is 0, and nothing is made; all keys are there."""
    found = examined(autotrace, 0)
    assert list(found) == [
        *(
            "ok",
            "versions",
            "home",
            "store",
            "program",
            "hook",
            "settings",
            "plugins",
            "destinations",
            "processes",
            "findings",
        )
    ]
    assert list(found["versions"]) == ["autotrace", "python", "opentelemetry-api", "opentelemetry-sdk", "wrapt"]
    assert all(found["versions"].values())
    assert {**found["home"], "free_bytes": 0} == {"path": str(home), "exists": False, "writable": True, "free_bytes": 0}
    assert found["home"]["free_bytes"] > 0
    assert found["store"] == {"path": str(home / "traces.db"), "exists": False, "schema": None, "problem": None}
    assert [one["name"] for one in found["destinations"]] == ["store"]
    assert (found["plugins"], found["processes"], found["findings"]) == ([], [], [])
    assert not home.exists()
    result = autotrace("doctor")
    assert result.exit_code == 0
    assert "Everything is as it should be." in result.stdout


@pytest.mark.usefixtures("plugins")
def test_settings_and_their_sources(
    autotrace: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting has its value and where that comes from; what cannot be used is a problem."""
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[tool.autotrace]\nservice = "shop"\ncontent_limit = 0\n[tool.autotrace.autotrace]\ndisable = true\n'
    )
    monkeypatch.setenv("AUTOTRACE_RELEASE", "7")
    monkeypatch.setenv("AUTOTRACE_AUTOTRACE_CAPTURE_CONTENT", "off")
    found = examined(autotrace, 1)
    rows = {row["name"]: (row["value"], row["source"]) for row in found["settings"]}
    assert rows["service"] == ("shop", str(file))
    assert rows["release"] == ("7", "AUTOTRACE_RELEASE")
    assert rows["home"] == (str(home), "AUTOTRACE_HOME")
    assert rows["environment"] == (None, "default")
    assert rows["content_limit"] == (1000, "default")
    assert rows["autotrace.disable"] == (True, str(file))
    assert rows["AUTOTRACE_AUTOTRACE_CAPTURE_CONTENT"] == ("off", "AUTOTRACE_AUTOTRACE_CAPTURE_CONTENT")
    [finding] = found["findings"]
    assert finding["about"] == f"setting tool.autotrace.content_limit ({file})"
    assert finding["problem"] == "0 is less than 1"


@pytest.mark.usefixtures("plugins")
def test_environment_and_who_says_so(autotrace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a program that is started here would be described is told, and by what."""
    for name in {*TEST_MARKS, *CI_MARKS} & os.environ.keys():
        monkeypatch.delenv(name)
    nobody = dict.fromkeys(("service", "service_source", "release", "release_source"))
    assert examined(autotrace, 0)["program"] == {
        "platform": "shell",
        "environment": "development",
        "environment_source": "nothing tells of a server or a cloud",
        **nobody,
    }
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n[tool.autotrace]\nrelease = "7"\n')
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert examined(autotrace, 0)["program"] == {
        "platform": "kubernetes",
        "environment": "production",
        "environment_source": "KUBERNETES_SERVICE_HOST is set",
        "service": "shop",
        "service_source": "[project] name in pyproject.toml",
        "release": "7",
        "release_source": f"the setting release ({tmp_path / 'pyproject.toml'})",
    }
    monkeypatch.setenv("AUTOTRACE_ENVIRONMENT", "stag\x1b[31ming")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "till")
    lines = autotrace("doctor").stdout.splitlines()
    assert "environment stag\\x1b[31ming: AUTOTRACE_ENVIRONMENT" in lines
    assert "service till: OTEL_SERVICE_NAME" in lines


@pytest.mark.usefixtures("plugins")
def test_hook(autotrace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether AUTOTRACE=1 would switch tracing on here is told; a file that is not ours is a note."""
    file = startup_file(tmp_path)
    monkeypatch.setattr(startup, "startup_file", lambda: file)

    def hook() -> tuple[str, list[str]]:
        found = examined(autotrace, 0)
        assert found["hook"]["path"] == str(file.path)
        return found["hook"]["state"], [one["problem"] for one in found["findings"]]

    assert hook() == ("absent", [])
    assert f"hook {file.path}: not installed" in autotrace("doctor").stdout
    monkeypatch.setenv("AUTOTRACE", "1")
    ((_, (problem,)), said) = hook(), autotrace("doctor").stdout
    assert problem.startswith("it is set, and by itself it switches nothing on")
    assert "autotrace install-hook" in said
    monkeypatch.delenv("AUTOTRACE")
    file.write()
    assert hook() == ("installed", [])
    assert "installed, AUTOTRACE=1 switches tracing on" in autotrace("doctor").stdout
    file.path.write_text(file.content + "import sys\n")
    assert hook() == ("outdated", ["another release of autotrace wrote it"])
    file.path.write_text("import sys\n")
    assert hook() == ("foreign", ["it is not what autotrace writes"])
    file.path.unlink()
    file.path.mkdir()
    assert hook() == ("unreadable", ["it cannot be read"])


@pytest.mark.usefixtures("plugins")
def test_settings_of_nobody(autotrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework's setting that no plugin claims is a problem."""
    monkeypatch.setenv("AUTOTRACE_OPNAI_CAPTURE_CONTENT", "off")
    [finding] = examined(autotrace, 1)["findings"]
    assert finding["about"] == "setting AUTOTRACE_OPNAI_CAPTURE_CONTENT (environment)"
    assert finding["problem"].startswith("no such setting")


@pytest.mark.parametrize(
    ("name", "value"), [("AUTOTRACE_DISABLE", "all"), ("OTEL_SDK_DISABLED", "true"), ("AUTOTRACE", "0")]
)
@pytest.mark.usefixtures("plugins")
def test_switched_off(autotrace: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """That nothing is traced because it was switched off is said, and is no fault."""
    monkeypatch.setenv(name, value)
    [finding] = examined(autotrace, 0)["findings"]
    assert (finding["level"], finding["problem"].endswith("nothing is traced")) == ("note", True)


@pytest.mark.parametrize("state", ["active", "waiting", "disabled"])
def test_plugins_that_are_well(autotrace: Command, plugins: Callable[..., None], state: Any) -> None:
    """A framework that is traced, not installed or switched off is no fault; nor is a hook point that may be absent."""
    states: Any = ("found", "absent", "waiting", "off")
    points = [HookPoint("acme", "acme-plugin", f"acme.{one}", one) for one in states]
    plugins([status(state, framework_version=None)], points)
    found = examined(autotrace, 0)
    assert found["findings"] == []
    [plugin] = found["plugins"]
    assert (plugin["distribution"], plugin["state"], plugin["supported"]) == ("acme-plugin", state, "<2,>=1")
    assert [point["state"] for point in plugin["hook_points"]] == list(states)
    assert list(plugin["hook_points"][0]) == ["target", "state", "wrapped_by"]


@pytest.mark.parametrize(
    ("given", "points", "problem", "action"),
    [
        (status("failed", "KeyError at x.py:1: 'a'"), (), "KeyError at x.py:1: 'a'", "uninstall acme-plugin"),
        (status("unsupported", "acme 3 is installed"), (), "acme 3 is installed", 'pip install "acme<2,>=1"'),
        (status("waiting"), (), "acme 1.4 cannot be imported", "import acme"),
        (
            status(),
            [HookPoint("acme", "acme-plugin", "acme.Client.gone", "missing")],
            "acme.Client.gone is missing",
            "Upgrade or mend acme-plugin",
        ),
    ],
)
def test_plugins_that_are_not(
    autotrace: Command, plugins: Callable[..., None], given: PluginStatus, points: Any, problem: str, action: str
) -> None:
    """A plugin that failed, does not fit, or misses a function is a problem, with what to do about it."""
    plugins([given], points)
    [finding] = examined(autotrace, 1)["findings"]
    assert (finding["level"], finding["about"]) == ("problem", "plugin acme-plugin")
    assert problem in finding["problem"]
    assert action in finding["what_to_do"]
    result = autotrace("doctor")
    assert result.exit_code == 1
    assert problem in result.stdout
    assert action in result.stdout
    assert "Everything" not in result.stdout


def test_a_choice_that_is_not_there(autotrace: Command, plugins: Callable[..., None]) -> None:
    """A setting that names a plugin which is not there is a problem."""
    plugins([status()], (), [ConfigError("AUTOTRACE_ACME_PLUGIN", "environment", "no plugin 'x' is there")])
    [finding] = examined(autotrace, 1)["findings"]
    assert finding["about"] == "setting AUTOTRACE_ACME_PLUGIN (environment)"
    assert "default rule" in finding["what_to_do"]


def test_a_plugin_of_the_projects_own(autotrace: Command, plugins: Callable[..., None]) -> None:
    """What to do about a module of the project's own is not to uninstall it."""
    plugins([PluginStatus("myapp.tracing", "myapp.tracing", "", "", None, "", "failed", "KeyError")])
    [finding] = examined(autotrace, 1)["findings"]
    assert finding["what_to_do"] == "Mend the module, or take it out of the setting `plugins`."


def test_other_tools() -> None:
    """Another tool that wraps the same function is named, as a note."""
    point = HookPoint("acme", "acme-plugin", "acme.Client.call", "found", ("ddtrace.acme", "other"))
    [finding] = plugin_findings([status()], [point])
    assert (finding.level, finding.problem) == ("note", "acme.Client.call is also wrapped by ddtrace.acme, other")


@pytest.mark.usefixtures("plugins")
def test_a_process_that_had_trouble(autotrace: Command, left: Callable[..., Path]) -> None:
    """What failed in a traced process, what was lost and what a destination said are problems of that process."""
    left(
        dropped=3,
        damaged=2,
        failures=[{"where": "acme: mapper", "count": 1234, "last": "KeyError at a.py:3"}],
        destinations=[
            {"name": "store", "delivered": 7, "failures": 4, "last_delivery": NOW, "last_error": "StoreError: full"}
        ],
    )
    found = examined(autotrace, 1)
    assert sorted(problems(found)) == [
        "2 lines of the journal were damaged and skipped",
        "3 records were lost: neither the disk nor the memory set aside took them",
        "acme: mapper failed 1,234 times, last: KeyError at a.py:3",
    ]
    # Nothing waits for it any more: somebody has delivered what the process left.
    assert "destination store had refused 4 times: StoreError: full" in [one["problem"] for one in found["findings"]]
    [one] = found["processes"]
    assert (one["state"], one["dropped"], one["failures"][0]["count"]) == ("ended", 3, 1234)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one["written"])
    [destination] = found["destinations"]
    assert (destination["delivered"], destination["failures"], destination["last_error"]) == (7, 4, "StoreError: full")
    assert destination["last_delivery"] == "2027-01-15T08:00:00.000000Z"


def test_a_destination_that_refuses() -> None:
    """Its refusals, its losses and what it refused for good are problems, as long as something waits for it."""
    bad = DestinationHealth("otlp", 7, 4, NOW, "RetryLater: busy", 3, 2)
    state = DestinationState("otlp", 10, 1, 7, 4, NOW, "RetryLater: busy", 3, 2)
    found = [
        one for one in delivery_findings([process(destinations=(bad,))], [state], {}, NOW) if one.level == "problem"
    ]
    assert [one.problem for one in found] == [
        "destination otlp has lost 3 records: the journal had reached its bounds",
        "destination otlp has refused 2 records for good",
        "destination otlp has refused 4 times in a row: RetryLater: busy",
    ]


def test_what_is_long_ago_is_a_note() -> None:
    """What a process told more than a day ago makes no problem."""
    failed = process(failures=(FailureCount("x", 1, "y"),), written=NOW - RECENT_NS)
    [finding] = delivery_findings([failed], [], {}, NOW)
    assert finding.level == "note"


def test_destinations_of_several_processes() -> None:
    """Deliveries add up; the newest delivery and the newest process's error count."""
    newer = process(destinations=(DestinationHealth("store", 5, 0, 10, None),))
    older = process(destinations=(DestinationHealth("store", 2, 3, 5, "old"), DestinationHealth("gone", 1, 0, 1, None)))
    [state] = destination_states([Queue("store", 100, 2)], [newer, older])
    assert (state.delivered, state.failures, state.last_delivery, state.last_error) == (7, 3, 10, "old")
    assert (state.queued_bytes, state.queued_records) == (100, 2)


def test_what_ended_processes_left() -> None:
    """Records that wait while nobody runs are a note that says who delivers them."""
    [state] = destination_states([Queue("store", 100, 2)], [])
    [finding] = delivery_findings([], [state], {}, NOW)
    assert (finding.level, finding.problem) == ("note", "2 records of ended processes wait in the journal")


@pytest.mark.parametrize("content", [b"", b"\x00" * 10, b"{}", b"x" * 10**6])
@pytest.mark.usefixtures("plugins")
def test_corrupt_health_files(autotrace: Command, left: Callable[..., Path], content: bytes) -> None:
    """A file that cannot be read is a note; the others are shown."""
    path = left(content)
    left()
    found = examined(autotrace, 0)
    assert len(found["processes"]) == 1
    [finding] = found["findings"]
    assert (finding["about"], finding["what_to_do"]) == (f"file {path}", "Delete it.")


def test_hostile_text(autotrace: Command, left: Callable[..., Path], plugins: Callable[..., None]) -> None:
    """Whatever plugins, files and errors hold is only ever text."""
    left(
        program=HOSTILE,
        failures=[{"where": HOSTILE, "count": 1, "last": HOSTILE}],
        destinations=[
            {"name": "store", "delivered": 0, "failures": 1, "last_delivery": 2**62, "last_error": HOSTILE * 9}
        ],
    )
    plugins(
        [status("failed", HOSTILE, choice=HOSTILE)], [HookPoint("acme", "acme-plugin", HOSTILE, "missing", (HOSTILE,))]
    )
    for arguments in (("doctor",), ("doctor", "--json")):
        result = autotrace(*arguments)
        assert result.exit_code == 1
        assert not UNSAFE.search(result.stdout)
    assert "[red]x[/red]" in autotrace("doctor").stdout


@pytest.mark.usefixtures("plugins")
def test_the_store(autotrace: Command, home: Path, write: Fill) -> None:
    """A store has its schema's number."""
    write()
    assert examined(autotrace, 0)["store"]["schema"] >= 1


@pytest.mark.parametrize(("what", "action"), [("newer", "Upgrade autotrace-ai"), ("damaged", "Move the file away")])
@pytest.mark.usefixtures("plugins")
def test_a_store_that_cannot_be_used(autotrace: Command, home: Path, write: Fill, what: str, action: str) -> None:
    """A store of a newer autotrace, or a damaged one, is a problem; it is left as it is."""
    path = home / "traces.db"
    if what == "newer":
        write()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        home.mkdir(exist_ok=True)
        path.write_bytes(b"no database at all" * 100)
    [finding] = examined(autotrace, 1)["findings"]
    assert finding["about"] == f"store {path}"
    assert finding["what_to_do"].startswith(action)


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("below", ["", "x", "x/y"])
def test_a_home_that_cannot_be(autotrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    """A file in the place of the home, or of a folder that it is to be in, is a problem."""
    home.write_text("a file")
    monkeypatch.setenv("AUTOTRACE_HOME", str(home / below))
    found = examined(autotrace, 1)
    assert found["home"]["writable"] is False
    assert any("cannot be written" in problem for problem in problems(found))


@pytest.mark.usefixtures("plugins")
def test_a_full_disk(autotrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little free space is a problem."""
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 5))  # type: ignore[attr-defined]
    assert problems(examined(autotrace, 1)) == ["only 0 MiB are free"]


def test_a_real_program(tmp_path: Path) -> None:
    """What a real program did is told by a doctor in another process, whose own stdout holds JSON alone."""
    (tmp_path / "noisy.py").write_text("print('noise')\nimport autotrace\n")
    (tmp_path / "pyproject.toml").write_text('[tool.autotrace]\nplugins = ["noisy"]\n')
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("AUTOTRACE_", "OTEL_"))}
    environment["AUTOTRACE_HOME"] = str(tmp_path / "home")
    code = "import autotrace.auto, autotrace\nwith autotrace.span('a', input=1):\n    pass\n"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-m", "autotrace", "doctor", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    [one] = found["processes"]
    assert (one["state"], one["failures"], one["destinations"][0]["name"]) == ("ended", [], "store")
    assert one["destinations"][0]["delivered"] >= 1
    assert found["destinations"][0]["queued_records"] == 0
    assert "noisy" in {plugin["distribution"] for plugin in found["plugins"]}
    assert done.returncode == (0 if found["ok"] else 1)


@pytest.mark.usefixtures("plugins")
def test_a_destination_that_has_taken_records_since(autotrace: Command, left: Callable[..., Path]) -> None:
    """What a destination refused is no problem any more once another process has delivered to it."""
    refused = {"name": "store", "delivered": 0, "failures": 4, "last_delivery": None, "last_error": "StoreError: full"}
    left(destinations=[refused])
    later = {"name": "store", "delivered": 7, "failures": 0, "last_delivery": NOW + 60 * 10**9, "last_error": None}
    left(destinations=[later])
    found = examined(autotrace, 0)
    assert problems(found) == []
    assert "destination store had refused 4 times: StoreError: full" in [one["problem"] for one in found["findings"]]


@pytest.mark.usefixtures("plugins")
def test_secrets_among_settings(autotrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of a setting whose name says that nobody may see it is not shown."""
    monkeypatch.setenv("AUTOTRACE_ACME_API_KEY", "sk-secret")
    found = examined(autotrace, 1)
    assert "sk-secret" not in json.dumps(found)
    assert "***" in [row["value"] for row in found["settings"]]
