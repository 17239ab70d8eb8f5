"""Several plugins for one framework: the settings choose, else a rule; one traces it, and the rest say so."""

from __future__ import annotations

import shutil
import zipfile
from typing import Any

import pytest

from ..conftest import FAKES, Interpreter, Site
from .test_plugins import GOOD

SEARCH = "acme.Client().search('hi')"


@pytest.fixture
def rivals(site: Site) -> None:
    """Two more plugins for acme."""
    for name in ("aaa-acme", "zzz-acme"):
        site.plugin(name, GOOD.format(name=name[:3]), wakes="acme")


@pytest.mark.usefixtures("rivals")
@pytest.mark.parametrize("way", ["environment", "file", "call", "other spelling"])
def test_the_settings_choose(report: Any, python: Interpreter, way: str) -> None:
    """The plugin that a setting names traces the framework, and both sides say why and how to change it."""
    before, key = "", "AUTOTRACE_ACME_PLUGIN (environment)"
    if way == "environment":
        python.environment["AUTOTRACE_ACME_PLUGIN"] = "zzz-acme"
    elif way == "other spelling":
        python.environment["AUTOTRACE_ACME_PLUGIN"] = "ZZZ_Acme"
    elif way == "file":
        path = python.folder / "pyproject.toml"
        path.write_text('[tool.autotrace.acme]\nplugin = "zzz-acme"\n')
        key = f"tool.autotrace.acme.plugin ({path})"
    else:
        before, key = "autotrace.autolog('acme', plugin='zzz-acme')", "acme.plugin (autolog())"
    found = report(SEARCH, before)
    assert found.names == ["zzz"]
    assert found.state("zzz-acme") == ("active", "")
    assert found.rows["zzz-acme"]["choice"] == f"chosen before autotrace-acme, aaa-acme: {key} names it"
    state, reason = found.state("autotrace-acme")
    assert state == "disabled"
    assert reason.startswith(f"zzz-acme traces acme: {key} names it. To choose this one: ")
    assert 'plugin = "autotrace-acme" in [tool.autotrace.acme], or AUTOTRACE_ACME_PLUGIN=autotrace-acme' in reason
    assert found.log == []


@pytest.mark.usefixtures("rivals")
def test_the_choice_changes_at_once(report: Any) -> None:
    """A call chooses another plugin at any time: the one before takes its patches off, one span a call throughout."""
    found = report("""
        client = acme.Client()
        original = vars(acme.Client)["search"].__wrapped__
        for name in ("autotrace-acme", "aaa-acme", "zzz-acme", "autotrace-acme"):
            autotrace.autolog("acme", plugin=name)
            client.search("hi")
        assert vars(acme.Client)["search"].__wrapped__ is original
        autotrace.autolog("acme", disable=True)
        client.search("hi")
        assert vars(acme.Client)["search"] is original
        autotrace.autolog("acme", disable=False)
        client.search("hi")
    """)
    assert found.names == ["retrieval", "aaa", "zzz", "retrieval", "retrieval"]


@pytest.mark.usefixtures("rivals")
def test_a_choice_that_is_not_there(report: Any, python: Interpreter) -> None:
    """A name that is not installed is told once, with what there is, and the default rule applies."""
    python.environment["AUTOTRACE_ACME_PLUGIN"] = "acme-gone"
    found = report(f"{SEARCH}\nautotrace.autolog()\nautotrace.autolog()")
    assert found.names == ["retrieval"]
    there = "autotrace-acme, aaa-acme, zzz-acme"
    problem = f"no plugin 'acme-gone' for acme is there, only {there}"
    assert found.log == [f"AUTOTRACE_ACME_PLUGIN (environment): {problem}"]
    assert found.rows["autotrace-acme"]["choice"] == "chosen before aaa-acme, zzz-acme: it has the framework's name"


@pytest.mark.parametrize(
    ("source", "instruments"), [("raise OSError('no')", None), (GOOD.format(name="bad"), "acme>=2")]
)
def test_a_chosen_plugin_that_cannot_be_used(
    report: Any, python: Interpreter, site: Site, source: str, instruments: str | None
) -> None:
    """Where the chosen plugin is broken or does not support what is installed, the next one traces the framework."""
    site.plugin("aaa-acme", source, wakes="acme", instruments=instruments)
    python.environment["AUTOTRACE_ACME_PLUGIN"] = "aaa-acme"
    found = report(SEARCH)
    assert found.names == ["retrieval"]
    assert found.state("aaa-acme")[0] == ("failed" if instruments is None else "unsupported")
    assert found.rows["autotrace-acme"]["choice"] == "chosen before aaa-acme: aaa-acme cannot be used"


def test_before_the_framework_is_imported(python: Interpreter, site: Site) -> None:
    """Who will trace a framework is known before it is imported."""
    for name in ("aaa-far", "zzz-far"):
        site.plugin(name, "", wakes="far_away")
    python.path.append(site.folder)
    rows = python.json("""
        import json
        import autotrace.auto, click
        from autotrace import activation
        rows = [row for row in activation.active().host.statuses() if row.name == "far_away"]
        print(json.dumps([[row.distribution, row.state, bool(row.choice)] for row in rows]))
    """)
    assert rows == [["aaa-far", "waiting", True], ["zzz-far", "disabled", False]]


def test_two_versions(report: Any, python: Interpreter, site: Site) -> None:
    """Of two versions of a plugin on the path the first counts, as for Python's imports; the other one is told."""
    shutil.copytree(FAKES / "autotrace_acme-0.1.0.dist-info", site.folder / "autotrace_acme-0.0.9.dist-info")
    metadata = site.folder / "autotrace_acme-0.0.9.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("0.1.0", "0.0.9"))
    entry_points = site.folder / "autotrace_acme-0.0.9.dist-info" / "entry_points.txt"
    entry_points.write_text("[autotrace]\nacme.client = autotrace_acme\nacme = autotrace_acme\n")
    found = report()
    assert found.names == ["chat acme-1"]
    assert found.shown == ["autotrace-acme"]
    assert found.rows["autotrace-acme"]["version"] == "0.1.0"
    assert found.rows["autotrace-acme"]["warnings"] == [
        f"another version is hidden by this one: 0.0.9 in {metadata.parent}"
    ]


LOCAL = GOOD.format(name="acme").replace('operation="acme"', 'operation="mine"')


@pytest.fixture
def project(python: Interpreter, site: Site) -> Site:
    """A project beside the program, which names a plugin of its own."""
    (python.folder / "pyproject.toml").write_text('[tool.autotrace]\nplugins = ["myapp.tracing"]\n')
    folder = Site(python.folder)
    folder.module("myapp/", "")
    return folder


def test_a_local_plugin(report: Any, project: Site) -> None:
    """A module that the settings name is a plugin without packaging, and goes before the installed ones."""
    project.module("myapp/tracing", LOCAL)
    found = report(SEARCH)
    assert found.names == ["mine"]
    assert found.state("myapp.tracing") == ("active", "")
    assert found.rows["myapp.tracing"]["choice"] == "chosen before autotrace-acme: it is the project's own"
    state, reason = found.state("autotrace-acme")
    assert state == "disabled"
    assert reason.startswith("myapp.tracing traces acme: it is the project's own. To choose this one: ")
    assert found.log == []


def test_a_local_plugin_gives_way_to_a_choice(report: Any, project: Site) -> None:
    """The setting `plugin` counts more than being the project's own."""
    project.module("myapp/tracing", LOCAL)
    found = report(f"{SEARCH}\nautotrace.autolog('acme', plugin='autotrace-acme')\n{SEARCH}")
    assert found.names == ["mine", "retrieval"]
    assert found.state("myapp.tracing")[0] == "disabled"


def test_a_local_plugin_named_in_a_call(report: Any, project: Site) -> None:
    """A call that names a plugin of the project's own takes effect at once, though the framework is there."""
    project.module("own", LOCAL)
    found = report(f"{SEARCH}\nautotrace.autolog(plugins=['own'])\n{SEARCH}", "autotrace.autolog(plugins=[])")
    assert found.names == ["retrieval", "mine"]


@pytest.mark.parametrize("first", ["import acme", "import myapp", "import click, acme", "import myapp.tracing"])
def test_a_local_plugin_that_imports_its_framework(report: Any, project: Site, first: str) -> None:
    """It may import the framework, and lie in the package that is imported first: each module is executed once."""
    project.module("acme_seen", "times = []")
    init = (FAKES / "acme" / "__init__.py").read_text()
    shutil.copytree(FAKES / "acme", project.folder / "acme")
    (project.folder / "acme" / "__init__.py").write_text(f"{init}\nimport acme_seen\nacme_seen.times.append(1)\n")
    project.module("myapp/tracing", f"import acme, acme.client, acme.extra\nfrom acme import Client\n{LOCAL}")
    project.module("myapp/", "import acme\nclient = acme.Client()\n")
    found = report(f"import acme_seen\nassert acme_seen.times == [1]\n{SEARCH}", first)
    assert found.names == ["mine"]
    assert found.log == []


def test_activation_imports_no_local_plugin(python: Interpreter, project: Site) -> None:
    """Nothing of a plugin of the project's own is imported before something else is (law L31)."""
    project.module("myapp/tracing", LOCAL)
    code = """
        import json, sys
        import autotrace.auto, email, csv
        before = "myapp" in sys.modules
        import acme
        print(json.dumps([before, "myapp.tracing" in sys.modules]))
    """
    assert python.json(code) == [False, True]


def test_a_local_plugin_while_another_thread_imports(report: Any, project: Site) -> None:
    """What another thread imports while plugins of the project's own are loaded is patched too; nothing waits."""
    project.module(
        "myapp/tracing",
        "import threading\nthreading.entered.set()\nassert threading.go_on.wait(20)\n"
        + LOCAL.replace('"acme.client", "Client.search"', '"acme.extra", "summarise"'),
    )
    before = """
        import threading, importlib
        threading.entered, threading.go_on = threading.Event(), threading.Event()
        thread = threading.Thread(target=importlib.import_module, args=("click",))
        thread.start()
        assert threading.entered.wait(20)
        import acme.extra
        threading.go_on.set()
        thread.join()
    """
    found = report("acme.extra.summarise('hi')", before)
    assert "mine" in found.names


def test_a_local_plugin_of_a_program_with_spans_of_its_own(python: Interpreter, project: Site) -> None:
    """Where the first module from outside the standard library is one that autotrace itself needs, nothing breaks."""
    project.module("myapp/tracing", LOCAL)
    code = """
        import json, sys
        import autotrace.auto, autotrace
        with autotrace.span("a", input=1):
            pass
        import acme
        print(json.dumps(["myapp.tracing" in sys.modules, hasattr(vars(acme.Client)["search"], "__wrapped__")]))
    """
    assert python.json(code) == [True, True]
    assert python.errors == ""


def test_a_local_plugin_and_a_namespace_package(report: Any, project: Site) -> None:
    """A framework in a namespace package, which itself is never executed, is over before the plugin is loaded."""
    project.module("space/part/", "import space.part.other\nfrom acme import Client\nDONE = True")
    project.module("space/part/other", "import click")
    project.module("myapp/tracing", f"from space.part import DONE\n{LOCAL}")
    found = report(SEARCH, "import space.part")
    assert found.names == ["mine"]
    assert found.log == []


@pytest.mark.parametrize("names", ["gone", "myapp.gone", "gone.tracing"])
def test_a_local_plugin_that_is_missing(report: Any, python: Interpreter, project: Site, names: str) -> None:
    """A module that is not there is told once, with the setting and its source; the rest works."""
    python.environment["AUTOTRACE_PLUGINS"] = names
    found = report(f"{SEARCH}\nautotrace.autolog()\nautotrace.autolog()")
    assert found.names == ["retrieval"]
    state, reason = found.state(names)
    assert state == "failed"
    assert reason.startswith(
        f"AUTOTRACE_PLUGINS (environment): there is no module '{names}'; modules are looked for in "
    )
    assert found.log == [reason]


@pytest.mark.parametrize(
    "source",
    [
        "import nothing_of_this_name",
        "raise SystemExit(3)",
        "class Odd(BaseException): pass\nraise Odd",
        "def (",
        "from acme.client import gone",
        "import autotrace\n@autotrace.hookimpl\ndef instrumentation(): pass",
    ],
)
def test_a_broken_local_plugin(report: Any, project: Site, source: str) -> None:
    """It is set aside with a reason, told once; the program's imports and the installed plugin work."""
    project.module("myapp/tracing", source)
    found = report(SEARCH)
    assert found.names == ["retrieval"]
    state, reason = found.state("myapp.tracing")
    assert state == "failed"
    assert reason
    assert len(found.log) == 1


def test_local_plugins_that_are_no_names(report: Any, python: Interpreter) -> None:
    """A setting that names no module is told as any bad setting."""
    python.environment["AUTOTRACE_PLUGINS"] = "../evil.py"
    found = report(SEARCH)
    assert found.names == ["retrieval"]
    assert found.log == [
        "AUTOTRACE_PLUGINS (environment): '../evil.py' is not the name of a module, such as 'myapp.tracing'"
    ]


def test_a_local_plugin_that_is_switched_off(report: Any, python: Interpreter, project: Site) -> None:
    """What is switched off is not loaded, and the framework's name switches the project's own plugin off too."""
    project.module("myapp/tracing", LOCAL)
    python.environment["AUTOTRACE_DISABLE"] = "acme"
    found = report(f"{SEARCH}\nautotrace.autolog('acme', disable=False)\n{SEARCH}")
    assert found.names == ["mine"]
    python.environment["AUTOTRACE_DISABLE"] = "all"
    found = report(f"{SEARCH}\nimport sys\nassert 'myapp.tracing' not in sys.modules")
    assert found.names == []


def test_a_local_plugin_for_two_frameworks(report: Any, project: Site) -> None:
    """A module may offer several frameworks; each is chosen by itself."""
    two = LOCAL.replace(
        'return [Instrumentation("acme", patches=(patch,))]',
        'other = Patch("acme.client", "Client.complete", operation="sum", request=request)\n'
        '    return [Instrumentation("acme", patches=(patch,)), Instrumentation("extra", patches=(other,))]',
    )
    assert two != LOCAL
    project.module("myapp/tracing", two)
    calls = f"autotrace.autolog('acme', plugin='autotrace-acme')\n{SEARCH}\nacme.Client().complete('x')"
    found = report(calls)
    assert found.names[0] == "retrieval"
    assert sorted(found.names[1:]) == ["chat acme-1", "sum"]
    assert found.shown.count("myapp.tracing") == 2


def test_a_plugin_in_an_archive(report: Any, python: Interpreter, site: Site) -> None:
    """Where the path holds more than folders, plugins are found there too."""
    archive = python.folder / "plugins.zip"
    site.plugin("zzz-acme", GOOD.format(name="zip"), wakes="acme")
    with zipfile.ZipFile(archive, "w") as file:
        for path in [*site.folder.rglob("*")]:
            file.write(path, path.relative_to(site.folder))
            if path.is_file():
                path.unlink()
    python.path.append(archive)
    python.environment["AUTOTRACE_ACME_PLUGIN"] = "zzz-acme"
    found = report(SEARCH)
    assert found.names == ["zip"]
    assert found.state("zzz-acme") == ("active", "")
