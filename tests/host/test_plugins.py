"""Bad plugins harm nobody but themselves, and `statuses()` tells what became of each."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from ..conftest import Interpreter, Site

#: A plugin that works.
GOOD = """
from autotrace import Instrumentation, Patch, hookimpl

def request(call):
    return {{"input_value": call.argument("prompt")}}

@hookimpl
def instrumentations():
    patch = Patch("acme.client", "Client.search", operation="{name}", request=request)
    return [Instrumentation("{name}", patches=(patch,))]
"""

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
ours = ("openai", "langchain", "llama_index", "opentelemetry")
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
def report(python: Interpreter, site: Site) -> Any:
    """Runs a program with the plugins of the site beside the fakes'."""
    python.path.append(site.folder)

    def run(calls: str = 'acme.Client().complete("hi")', before: str = "") -> Report:
        names, rows = python.json(PROGRAM.format(calls=textwrap.dedent(calls), before=textwrap.dedent(before)))
        return Report(names, rows, python.errors.splitlines())

    return run


BROKEN = {
    "fails to import": ("import nothing_of_this_name", "ModuleNotFoundError", "nothing_of_this_name"),
    "raises when imported": ("raise RuntimeError('no')", "RuntimeError", "no"),
    "is no Python": ("def (", "SyntaxError", "invalid syntax"),
    "leaves": ("import sys; sys.exit(3)", "PluginError", "SystemExit"),
    "raises in the hook": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentations():\n    raise KeyError('lost')",
        "KeyError",
        "lost",
    ),
    "returns rubbish": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentations():\n    return 5",
        "PluginError",
        "must return a list of Instrumentation, not int",
    ),
    "returns a list of rubbish": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentations():\n    return ['acme']",
        "PluginError",
        "must return a list of Instrumentation",
    ),
    "returns what cannot be read": (
        "from autotrace import *\n@hookimpl\ndef instrumentations():\n    return [Instrumentation('x', patches=5)]",
        "TypeError",
        "int",
    ),
    "misspells a hook": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentation():\n    return []",
        "PluginValidationError",
        "unknown hook 'instrumentation'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin(report: Any, site: Site, case: str) -> None:
    """It is set aside with a reason, told once; the framework's import and the other plugin work (law L32)."""
    source, kind, message = BROKEN[case]
    # Two frameworks wake it, so that it is met on the way to the good one's.
    site.plugin("aaa-broken", source, wakes="acme.client")
    found = report()
    assert found.names == ["chat acme-1"]
    state, reason = found.state("aaa-broken")
    assert state == "failed"
    assert reason.startswith(kind)
    assert message in reason
    assert len([line for line in found.log if "aaa-broken" in line]) == 1
    assert found.state("autotrace-acme") == ("active", "")


def test_a_plugin_that_offers_nothing(report: Any, site: Site) -> None:
    """A plugin without hooks, or with none to offer, is no fault."""
    site.plugin("aaa-empty", "", wakes="acme.client")
    site.plugin(
        "aab-none", "import autotrace\n@autotrace.hookimpl\ndef instrumentations(): return []", wakes="acme.extra"
    )
    found = report("import acme.extra; acme.Client().complete('hi')")
    assert found.names == ["chat acme-1"]
    assert [found.state(name)[0] for name in ("aaa-empty", "aab-none")] == ["active", "active"]
    assert found.log == []


def test_fifty_broken_plugins(report: Any, site: Site) -> None:
    """Fifty broken plugins hide no good one."""
    sources = [source for source, _, _ in BROKEN.values()]
    for number in range(50):
        site.plugin(
            f"broken-{number:02}", sources[number % len(sources)], wakes=["acme.client", f"acme{number}"][number % 2]
        )
    found = report()
    assert found.names == ["chat acme-1"]
    assert len(found.rows) == 51


def test_missing_targets(report: Any, site: Site) -> None:
    """A target that is missing is told as a warning of the plugin's, an optional one is not; the others work (L33)."""
    site.plugin("aaa-holes", HOLES, wakes="acme.client")
    found = report("acme.Client().search('hi'); acme.Client().retry(1)")
    assert found.names == ["search", "retrieval"]  # the later of two patches lies around the earlier
    assert found.state("aaa-holes") == ("active", "")
    assert found.rows["aaa-holes"]["warnings"] == [
        "acme.client has no class NoStream",
        "acme.client has no gone",
        "acme.client has no Client.gone",
        "acme.client has no Client.nor_this",
    ]


HOLES = """
from autotrace import Instrumentation, Patch, Event, StreamClass, hookimpl
nothing = lambda call: {"model": None}

@hookimpl
def instrumentations():
    return [Instrumentation(
        "holes",
        patches=(
            Patch("acme.client", "Client.gone", request=nothing),
            Patch("acme.client", "Client.maybe", request=nothing, optional=True),
            Patch("acme.client", "Client.nor_this", request=nothing),
            Patch("acme.client", "Client.search", operation="search", request=nothing),
        ),
        streams=(StreamClass("acme.client", "NoStream"),),
        events=(Event("acme.client", "gone", "x", nothing),),
    )]
"""


MAPPERS = """
import acme
from autotrace import Amendment, Event, Instrumentation, Patch, StreamClass, Usage, hookimpl

def fail(*args):
    raise ValueError("the user's secret")

def request(call):
    return {"model": "m"}

@hookimpl
def instrumentations():
    def patch(name, **more):
        return Patch("acme.client", name, operation="chat", **{"request": request, **more})
    return [Instrumentation("bad", events=(Event("acme.client", "Client.retry", "retry", fail),),
        streams=(StreamClass("acme.client", "Stream"),),
        patches=(
        patch("Client.complete", request=fail),
        patch("Client.complete_async", response=fail),
        patch("Client.words", fold=fail, response=fail),
        patch("Client.stream", digest=fail, fold=lambda pieces: pieces, response=lambda pieces: 5),
        patch("Client.measure", amend=fail),
        patch("Client.quick", body=fail),
        patch("Client.search", request=lambda call: 5),
        patch("complete", request=lambda call: {"model": object(), "input": 5, "parameters": [], "server": None,
                                               "attributes": 7, "tools": {1: object()}}),
    ))]
"""


def test_mappers_that_raise(report: Any, python: Interpreter, site: Site) -> None:
    """Whatever a mapper raises or returns, the call is what it was, has its span, and the log holds no user's text."""
    python.path = [python.path[0] / "nowhere", site.folder]
    import shutil

    from ..conftest import FAKES

    shutil.copytree(FAKES / "acme", site.folder / "acme")
    shutil.copy(FAKES / "collecting.py", site.folder)
    site.plugin("autotrace-bad", MAPPERS, wakes="acme.client")
    found = report("""
        import acme.client, asyncio
        client = acme.Client()
        for _ in range(2):
            assert client.complete("hi", work=lambda: client.retry(1)).text == "HI"
            assert asyncio.run(client.complete_async("hi")).text == "HI"
            assert list(client.words("a b c")) == ["a", "b", "c"]
            assert list(client.stream("a b c")) == ["a", "b", "c"]
            assert acme.Client.measure("hi").text == "2"
            assert acme.Client.quick("hi").text == "Client hi"
            assert client.search("hi") == ["hi"]
            assert acme.client.complete("hi").text == "HI"
    """)
    assert len(found.names) == 14  # all but the two whose request mapper answers with rubbish
    assert "secret" not in json.dumps(found.log)
    assert len(found.log) == len(set(found.log)) >= 7
    assert all("the traced program is not affected" in line for line in found.log)


@pytest.mark.parametrize(
    ("wanted", "state"), [("acme>=1,<2", "active"), ("acme<1.4", "unsupported"), ("acme>=2", "unsupported")]
)
def test_versions(report: Any, site: Site, wanted: str, state: str) -> None:
    """A framework out of the range that the plugin's metadata names is not traced, with one clear warning (law L33)."""
    site.plugin("zzz-search", GOOD.format(name="search"), wakes="acme.client", instruments=wanted)
    found = report("acme.Client().search('hi')\nautotrace.autolog()\nautotrace.autolog()")
    specifier = wanted[4:] if wanted != "acme>=1,<2" else "<2,>=1"
    row = found.rows["zzz-search"]
    assert (row["framework_distribution"], row["framework_version"], row["supported"]) == ("acme", "1.4.0", specifier)
    assert row["state"] == state
    if state == "active":
        assert found.names == ["search", "retrieval"]
        assert found.log == []
    else:
        assert found.names == ["retrieval"]
        assert row["reason"] == f"acme 1.4.0 is installed; zzz-search 1.0 supports {specifier}"
        assert found.log == [row["reason"] + ": its calls are not traced"]


def test_rows(report: Any, site: Site) -> None:
    """Each plugin has a row: what it is for, what is installed, what became of it and why."""
    site.plugin("autotrace-far", GOOD.format(name="far"), wakes="far_away", instruments="far-away>=3")
    site.plugin("autotrace-near", GOOD.format(name="near"), wakes="json.tool", instruments="acme>=1")
    found = report("autotrace.autolog('acme', disable=True)")
    assert found.rows == {
        "autotrace-acme": {
            "name": "acme",
            "distribution": "autotrace-acme",
            "version": "0.1.0",
            "framework_distribution": "acme",
            "framework_version": "1.4.0",
            "supported": "<2,>=1.2",
            "state": "disabled",
            "reason": "switched off by the settings",
            "warnings": [],
        },
        "autotrace-far": {
            "name": "far",
            "distribution": "autotrace-far",
            "version": "1.0",
            "framework_distribution": "far-away",
            "framework_version": None,
            "supported": ">=3",
            "state": "waiting",
            "reason": "far-away is not installed",
            "warnings": [],
        },
        "autotrace-near": {
            "name": "near",
            "distribution": "autotrace-near",
            "version": "1.0",
            "framework_distribution": "acme",
            "framework_version": "1.4.0",
            "supported": ">=1",
            "state": "waiting",
            "reason": "json.tool has not been imported",
            "warnings": [],
        },
    }


def test_two_plugins_for_one_framework(report: Any, site: Site) -> None:
    """The distribution called autotrace-<name> wins, the other is disabled and says so; one span a call (law L28)."""
    for name in ("aaa-acme", "zzz-acme"):
        site.plugin(name, GOOD.format(name="other"), wakes="acme")
    found = report("acme.Client().search('hi')")
    assert found.names == ["retrieval"]
    assert found.state("autotrace-acme") == ("active", "")
    for name in ("aaa-acme", "zzz-acme"):
        assert found.state(name) == ("disabled", "autotrace-acme traces acme already; uninstall one of the two")
    assert found.log == []


def test_two_strangers_for_one_framework(report: Any, python: Interpreter, site: Site) -> None:
    """Where none has the name by right, the first by name wins, whatever the order on the path."""
    for name in ("bbb-shop", "aaa-shop"):
        site.plugin(name, GOOD.format(name=name[:3]), wakes="acme.extra")
    found = report("import acme.extra\nautotrace.autolog('acme', disable=True)\nacme.Client().search('hi')")
    assert found.names == ["aaa"]
    assert found.state("aaa-shop") == ("active", "")
    assert found.state("bbb-shop") == ("disabled", "aaa-shop traces acme.extra already; uninstall one of the two")


def test_seen_twice(report: Any, python: Interpreter, site: Site) -> None:
    """A plugin whose metadata is found in two folders of the path is one plugin."""
    import shutil

    from ..conftest import FAKES

    shutil.copytree(FAKES / "autotrace_acme-0.1.0.dist-info", site.folder / "autotrace_acme-0.1.0.dist-info")
    found = report()
    assert found.names == ["chat acme-1"]
    assert list(found.rows) == ["autotrace-acme"]


def test_one_module_for_two_frameworks(report: Any, site: Site) -> None:
    """A plugin that two modules wake is loaded once, gives one span a call, and is shown once."""
    site.module("two", GOOD.format(name="two"))
    site.distribution("autotrace-two", "1.0", entry_points="acme.client = two\nacme.extra = two")
    found = report("import acme.extra; acme.Client().search('hi')")
    assert found.names == ["two", "retrieval"]
    assert found.log == []
    assert found.shown.count("autotrace-two") == 1


def test_two_modules_of_one_distribution(report: Any, site: Site) -> None:
    """A distribution may hold plugins for two frameworks."""
    site.module("one", GOOD.format(name="one"))
    site.module("two", GOOD.format(name="two"))
    site.distribution("autotrace-two", "1.0", entry_points="acme.client = one\nacme.extra = two")
    found = report("import acme.extra; acme.Client().search('hi')")
    assert sorted(found.names) == ["one", "retrieval", "two"]


def test_redactors_of_plugins(report: Any, site: Site) -> None:
    """A plugin's redactor is asked for every framework's content; one that raises costs the text, not the span."""
    redactor = """
        import autotrace
        @autotrace.hookimpl
        def redact(text):
            if "bomb" in text:
                raise ValueError(text)
            return None if "gone" in text else text.replace("secret", "***")
        """
    site.plugin("aaa-redact", textwrap.dedent(redactor), wakes="acme.client")
    calls = """
        for text in ("my secret", "all gone", "a bomb"):
            acme.Client().search(text)
        for span in collecting.finished:
            span.name = span.attributes["input.value"]
    """
    found = report(calls)
    assert found.names == ["my ***", "<redacted>", "<dropped: redaction failed>"]
    assert len(found.log) == 1
    assert "bomb" not in found.log[0]


def test_wake_installed(python: Interpreter, site: Site) -> None:
    """`plugin_statuses` imports and patches what is installed, so that every plugin shows what it can do."""
    site.plugin("aaa-broken", "raise OSError", wakes="acme.client")
    site.plugin("autotrace-far", "", wakes="far_away.part")
    site.module("grumpy", "raise SystemExit(1)")
    site.plugin("autotrace-grumpy", "", wakes="grumpy")
    python.path.append(site.folder)
    rows = python.json("""
        import json, sys
        from autotrace.activation import plugin_statuses
        ours = ("openai", "langchain", "llama_index", "opentelemetry")
        print(json.dumps([[row.name, row.state] for row in plugin_statuses() if row.name not in ours]))
    """)
    assert rows == [["acme", "active"], ["acme.client", "failed"], ["far", "waiting"], ["grumpy", "waiting"]]
