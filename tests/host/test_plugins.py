"""Bad plugins harm nobody but themselves, and `statuses()` tells what became of each."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Interpreter, Site

#: The distributions of this repository's own plugins, of which any may be installed.
OURS = sorted(path.parent.name for path in Path(__file__).parents[2].glob("plugins/*/pyproject.toml"))

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

BROKEN = {
    "fails to import": ("import nothing_of_this_name", "ModuleNotFoundError", "nothing_of_this_name"),
    "raises when imported": ("raise RuntimeError('no')", "RuntimeError", "no"),
    "is no Python": ("def (", "SyntaxError", "invalid syntax"),
    "leaves": ("import sys; sys.exit(3)", "it left with SystemExit", "when it was loaded"),
    "raises in the hook": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentations():\n    raise KeyError('lost')",
        "KeyError",
        "lost",
    ),
    "returns rubbish": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentations():\n    return 5",
        "instrumentations()",
        "must return a list of Instrumentation, not int",
    ),
    "returns a list of rubbish": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentations():\n    return ['acme']",
        "instrumentations()",
        "must return a list of Instrumentation, not list of str",
    ),
    "returns what cannot be read": (
        "from autotrace import *\n@hookimpl\ndef instrumentations():\n    return [Instrumentation('x', patches=5)]",
        "patches of Instrumentation 'x'",
        "must be a tuple, not int",
    ),
    "misspells a hook": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentation():\n    return []",
        "there is no hook 'instrumentation'",
        "there are instrumentations, destinations, redact",
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
        events=(
            Event("acme.client", "gone", "x", nothing),
            Event("acme.client", "Client.maybe", "x", nothing, optional=True),
        ),
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
    assert len(found.names) == 16  # those too whose request mapper answers with rubbish
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
            "choice": "",
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
            "choice": "",
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
            "choice": "",
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
        reason = "autotrace-acme traces acme: it has the framework's name. To choose this one: "
        reason += f'plugin = "{name}" in [tool.autotrace.acme], or AUTOTRACE_ACME_PLUGIN={name}'
        assert found.state(name) == ("disabled", reason)
    assert found.log == []


def test_right_to_a_part_of_a_package(report: Any, site: Site) -> None:
    """A plugin that a part of a package wakes goes by the part's name as well."""
    name = "autotrace-acme-extra"
    for other in ("aaa-acme", name):
        site.plugin(other, GOOD.format(name="other"), wakes="acme.extra")
    found = report("import acme.extra\nacme.Client().search('hi')")
    state, reason = found.state("aaa-acme")
    assert state == "disabled"
    assert reason.startswith(f"{name} traces acme.extra: it has the framework's name. ")


def test_two_strangers_for_one_framework(report: Any, python: Interpreter, site: Site) -> None:
    """Where none has the name by right, the first by name wins, whatever the order on the path."""
    for name in ("bbb-shop", "aaa-shop"):
        site.plugin(name, GOOD.format(name=name[:3]), wakes="acme.extra")
    found = report("import acme.extra\nautotrace.autolog('acme', disable=True)\nacme.Client().search('hi')")
    assert found.names == ["aaa"]
    assert found.state("aaa-shop") == ("active", "")
    assert found.rows["aaa-shop"]["choice"] == "chosen before bbb-shop: it is the first by name"
    reason = "aaa-shop traces acme.extra: it is the first by name. To choose this one: "
    reason += 'plugin = "bbb-shop" in [tool.autotrace."acme.extra"], or AUTOTRACE_ACME_EXTRA_PLUGIN=bbb-shop'
    assert found.state("bbb-shop") == ("disabled", reason)


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
    rows = python.json(f"""
        import json, sys
        from autotrace.activation import plugin_statuses
        print(json.dumps([[row.name, row.state] for row in plugin_statuses() if row.distribution not in {OURS}]))
    """)
    assert rows == [["acme", "active"], ["acme.client", "failed"], ["far", "waiting"], ["grumpy", "waiting"]]


def test_absent_from_a_shared_namespace(python: Interpreter, site: Site) -> None:
    """That a framework is missing from its namespace package is no failure; that it misses another module is one."""
    (site.folder / "space").mkdir()
    (site.folder / "space" / "lacking.py").write_text("import nowhere")
    for name in ("absent", "lacking"):
        site.plugin(f"autotrace-space-{name}", "", wakes=f"space.{name}")
    python.path.append(site.folder)
    code = "from autotrace.activation import plugin_statuses\nprint(len(plugin_statuses()))"
    python.run(code)
    assert "import of space.lacking failed" in python.errors
    assert "space.absent" not in python.errors
