"""Instrumentors of other projects: loaded when their framework is, switched like patches, harmless when they fail.

And the plugins that any module wakes: off, and free of charge, until they are switched on by name.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Interpreter, Site

#: An instrumentor by OpenTelemetry's rules, without OpenTelemetry's base class.
INSTRUMENTOR = """
import acme.client
log = []

class Instrumentor:
    is_instrumented_by_opentelemetry = False
    _instance = None

    def __new__(cls):
        cls._instance = cls._instance or object.__new__(cls)
        return cls._instance

    def instrument(self, *, tracer_provider):
        log.append("on")
        tracer = tracer_provider.get_tracer("vendor.acme", "3.0")
        self.original = original = acme.client.Client.search

        def search(self, *args, **kwargs):
            with tracer.start_as_current_span("search", attributes={"query": args[0]}):
                return original(self, *args, **kwargs)

        acme.client.Client.search = search
        self.is_instrumented_by_opentelemetry = True

    def uninstrument(self):
        log.append("off")
        acme.client.Client.search = self.original
        self.is_instrumented_by_opentelemetry = False
"""

#: A plugin that any module wakes.
PLUGIN = """
from autotrace import Delegate, Instrumentation, hookimpl

def load(module):
    def found():
        import importlib
        return importlib.import_module(module).Instrumentor()
    return found

def translate(name, attributes):
    return {{"operation": "retrieval", "input_value": attributes.get("query")}}, {{}}, {{}}

def delegate(module="vendor", wakes="acme", **more):
    return Delegate(wakes, **{{"load": load(module), "translate": translate, "distribution": module, **more}})

@hookimpl
def instrumentations():
    return [{offered}]
"""
ONE = 'Instrumentation("shop", delegates=(delegate(),))'

PROGRAM = """
import json, logging, dataclasses, sys
logging.basicConfig(format="%(message)s")
import autotrace.auto
from autotrace import activation
{before}
import collecting
autotrace.autolog(tracer_provider=collecting.provider)
{calls}
rows = [dataclasses.asdict(status) for status in activation.active().host.statuses()]
wanted = {{row["name"]: [row["state"], row["reason"]] for row in rows if row["distribution"] not in OURS}}
log = sys.modules["vendor"].log if "vendor" in sys.modules else None
print(json.dumps([collecting.names(), wanted, log, "autotrace_any" in sys.modules]))
""".replace("OURS", str(["autotrace-acme", *(path.name for path in Path(__file__).parents[2].glob("plugins/*"))]))

ON = 'autotrace.autolog("any", disable=False)'
SEARCH = "import acme\nassert acme.Client().search('hi') == ['hi']"


class Report:
    """What a program told."""

    def __init__(self, told: list[Any], log: list[str]) -> None:
        self.names, self.rows, self.instrumentor, self.is_loaded = told
        self.log = log


@pytest.fixture
def report(python: Interpreter, site: Site) -> Any:
    """Runs a program beside a plugin that any module wakes; the fakes' own plugin is switched off."""
    python.path.append(site.folder)
    python.environment["AUTOTRACE_ACME_DISABLE"] = "true"
    site.module("vendor", INSTRUMENTOR)

    def run(calls: str = SEARCH, before: str = ON, offered: str = ONE) -> Report:
        site.plugin("autotrace-any", PLUGIN.format(offered=offered), wakes="*")
        told = python.json(PROGRAM.format(calls=textwrap.dedent(calls), before=textwrap.dedent(before)))
        return Report(told, python.errors.splitlines())

    return run


@pytest.mark.parametrize(
    ("before", "environment"),
    [
        ("", {}),
        ("", {"AUTOTRACE_DISABLE": ""}),
        ("autotrace.autolog()", {}),
        ("autotrace.autolog(disable=False)", {}),
        ("autotrace.autolog('acme', disable=False)", {}),
        (ON + "\nautotrace.autolog('any', disable=True)", {}),
        (ON, {"OTEL_SDK_DISABLED": "true"}),
    ],
)
def test_off(report: Any, python: Interpreter, before: str, environment: dict[str, str]) -> None:
    """Unless its name is switched on, a plugin that any module wakes is not even imported; its row says how to."""
    python.environment.update(environment)
    found = report(before=before, calls="import acme, wrapt")
    assert (found.is_loaded, found.instrumentor) == (False, None)
    assert found.rows == {"any": ["disabled", 'off unless it is named: autotrace.autolog("any", disable=False)']}


@pytest.mark.parametrize("source", ["call", "environment", "file"])
def test_on(report: Any, python: Interpreter, source: str) -> None:
    """Switched on by name, from wherever settings come, it wakes with the first module and traces its framework."""
    if source == "environment":
        python.environment["AUTOTRACE_ANY_DISABLE"] = "false"
    elif source == "file":
        (python.folder / "pyproject.toml").write_text("[tool.autotrace.any]\ndisable = false\n")
    found = report(before=ON if source == "call" else "")
    assert found.names == ["retrieval"]
    assert found.instrumentor == ["on"]
    assert found.rows == {"shop": ["active", ""]}
    assert found.log == []


@pytest.mark.parametrize("first", ["opentelemetry.sdk.trace", "wrapt", "pluggy", "packaging.version", "orjson", "acme"])
def test_whatever_comes_first(report: Any, python: Interpreter, first: str) -> None:
    """It may be a module that the host needs itself which is imported first."""
    found = report(before=f"{ON}\nimport {first}")
    assert found.names == ["retrieval"]
    assert found.log == []


@pytest.mark.parametrize("source", ["environment", "call"])
def test_settings_that_come_later(report: Any, source: str) -> None:
    """What a program sets between its first import and that of the framework (by a .env file, say) counts."""
    on = 'os.environ["AUTOTRACE_ANY_DISABLE"] = "false"' if source == "environment" else ON
    found = report(
        f"""
        {SEARCH}
        autotrace.flush()
        assert "hi" not in repr([span.attributes for span in collecting.finished])
        """.replace("\nassert acme", "\n        assert acme"),
        before=f'import os, wrapt\n{on}\nimport orjson\nos.environ["AUTOTRACE_CAPTURE_CONTENT"] = "off"',
    )
    assert found.names == ["retrieval"]
    assert found.log == []


def test_it_stays_on(report: Any) -> None:
    """What switches everything on leaves on what was switched on by name."""
    assert report(before=f"{ON}\nautotrace.autolog(disable=False)").names == ["retrieval"]


def test_imported_before(report: Any) -> None:
    """A framework that was imported before the plugin is switched on is traced from then on."""
    found = report(before="", calls=f"{SEARCH}\n{ON}\n{SEARCH}")
    assert found.names == ["retrieval"]


def test_waiting(report: Any) -> None:
    """Without its framework it waits, and nothing of it is imported."""
    found = report(calls="import wrapt")
    assert (found.is_loaded, found.instrumentor) == (True, None)
    assert found.rows == {"shop": ["waiting", "acme has not been imported"]}


def test_toggles(report: Any) -> None:
    """The framework's toggle and the plugin's restore the framework's function at once, and put it on again."""
    found = report(
        """
        import acme
        traced = acme.client.Client.search
        for name in ("shop", "any"):
            autotrace.autolog(name, disable=True)
            assert acme.client.Client.search is not traced
            acme.Client().search("no")
            traced(acme.Client(), "no")
            autotrace.autolog(name, disable=False)
            acme.Client().search("yes")
        with autotrace.suppress("shop"):
            acme.Client().search("no")
        """
    )
    assert found.names == ["retrieval", "retrieval"]
    assert found.instrumentor == ["on", "off", "on", "off", "on"]
    assert found.log == []


@pytest.mark.parametrize("disabled", ["shop", "all"])
def test_off_from_the_start(report: Any, python: Interpreter, disabled: str) -> None:
    """A framework that the settings switch off is never instrumented, whatever else is on."""
    python.environment["AUTOTRACE_DISABLE"] = disabled
    python.environment["AUTOTRACE_ANY_DISABLE"] = "false"
    found = report(before="")
    assert found.names == []
    assert found.instrumentor is None
    assert found.rows["shop"][0] == "disabled"


def test_a_setting_of_its_framework(report: Any, python: Interpreter) -> None:
    """A variable of a framework that only the plugin can name is no unknown one."""
    python.environment["AUTOTRACE_SHOP_CAPTURE_CONTENT"] = "off"
    assert report().log == []


def test_switched_on_by_the_program(report: Any) -> None:
    """An instrumentor that the program has switched on itself is left to it."""
    found = report(
        f"{ON}\n{SEARCH}\nautotrace.autolog('shop', disable=True)\n{SEARCH}",
        before="import vendor, opentelemetry.trace as api\nvendor.Instrumentor().instrument(tracer_provider=api)",
    )
    assert found.names == []
    assert found.instrumentor == ["on"]


BROKEN = {
    "is gone": ("", "ModuleNotFoundError"),
    "leaves": ("raise SystemExit(3)", "SystemExit"),
    "raises when imported": ("raise KeyError('lost')", "KeyError"),
    "has no class": ("x = 1", "AttributeError"),
    "raises when it is made": ("def Instrumentor(): raise OSError('no')", "OSError"),
    "raises when it is switched on": (
        "class Instrumentor:\n    def instrument(self, *, tracer_provider): raise OSError('no')",
        "OSError",
    ),
    "declines": (
        "class Instrumentor:\n    is_instrumented_by_opentelemetry = False\n    def instrument(self, **_): pass",
        "RuntimeError",
    ),
    "knows no provider": ("class Instrumentor:\n    def instrument(self): pass", "TypeError"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_instrumentor(report: Any, site: Site, case: str) -> None:
    """It is set aside alone, with a reason and one line in the log; the import and the other one work (law L32)."""
    source, kind = BROKEN[case]
    if source:
        site.module("broken", source)
    found = report(
        f"{SEARCH}\nautotrace.autolog()",
        offered=f'Instrumentation("bad", delegates=(delegate("broken"),)), {ONE}',
    )
    assert found.names == ["retrieval"]
    assert found.rows["shop"] == ["active", ""]
    state, reason = found.rows["bad"]
    assert state == "failed"
    assert reason.startswith(f"broken: {kind}")
    assert len(found.log) == 1


def test_it_cannot_be_switched_off(report: Any, site: Site) -> None:
    """One that raises when it is switched off makes no spans all the same."""
    site.module("stuck", INSTRUMENTOR.replace('log.append("off")', "raise OSError('stuck')"))
    found = report(
        f"{SEARCH}\nautotrace.autolog('bad', disable=True)\n{SEARCH}",
        offered='Instrumentation("bad", delegates=(delegate("stuck"),))',
    )
    assert found.names == ["retrieval"]
    assert len(found.log) == 1


def test_a_choice(report: Any, python: Interpreter, site: Site) -> None:
    """Of several instrumentors the first is used, or the one that the setting names: then the other is not imported."""
    site.module("other", INSTRUMENTOR)
    offered = """Instrumentation("shop", delegates=(delegate("other", vendor="a"), delegate(vendor="b")),
                                 settings={"instrumentor": ("a", "b")})"""
    python.environment["AUTOTRACE_SHOP_INSTRUMENTOR"] = "b"
    found = report(f"{SEARCH}\nassert 'other' not in sys.modules", offered=offered)
    assert found.names == ["retrieval"]
    assert found.instrumentor == ["on"]


def test_a_change_of_choice(report: Any, site: Site) -> None:
    """The setting can be changed while it runs: one instrumentor is switched off, the other on."""
    site.module("other", INSTRUMENTOR)
    offered = """Instrumentation("shop", delegates=(delegate("other", vendor="a"), delegate(vendor="b")),
                                 settings={"instrumentor": ("a", "b")})"""
    found = report(
        """
        import acme, sys
        acme.Client().search("hi")
        autotrace.autolog("shop", instrumentor="b")
        acme.Client().search("hi")
        assert sys.modules["other"].log == ["on", "off"]
        """,
        offered=offered,
    )
    assert found.names == ["retrieval", "retrieval"]
    assert found.instrumentor == ["on"]


def test_an_optional_framework(report: Any) -> None:
    """A framework that is off unless it is named is off when everything is switched on."""
    offered = 'Instrumentation("shop", delegates=(delegate(),), is_optional=True)'
    found = report(f"{SEARCH}\nautotrace.autolog()", offered=offered)
    assert (found.names, found.instrumentor) == ([], None)
    assert found.rows == {"shop": ["disabled", 'off unless it is named: autotrace.autolog("shop", disable=False)']}


def test_an_optional_framework_by_name(report: Any) -> None:
    """And on when it is named."""
    offered = 'Instrumentation("shop", delegates=(delegate(),), is_optional=True)'
    assert report(f"autotrace.autolog('shop', disable=False)\n{SEARCH}", offered=offered).names == ["retrieval"]


@pytest.mark.parametrize(
    ("more", "row"),
    [
        ('skipped="autotrace-shop traces it"', ["disabled", "autotrace-shop traces it"]),
        ('requires="acme>=9"', ["unsupported", "acme 1.4.0 is installed; vendor supports >=9"]),
        ('requires="nowhere>=1"', ["waiting", "nowhere is not installed"]),
        ('requires="acme>=1"', ["active", ""]),
        ('requires="no requirement at all"', ["active", ""]),
    ],
)
def test_what_is_not_used(report: Any, more: str, row: list[str]) -> None:
    """One that is to be left out, or whose framework is out of range, is not loaded and says why (law L33)."""
    found = report(offered=f'Instrumentation("shop", delegates=(delegate({more}),))')
    assert found.rows == {"shop": row}
    is_loaded = row[0] == "active" or "nowhere" in more
    assert (found.instrumentor is not None) == is_loaded


def test_the_import_comes_last(python: Interpreter, site: Site) -> None:
    """What was imported before `import autotrace.auto` is traced by what any module wakes, as by other plugins."""
    python.path.append(site.folder)
    python.environment |= {"AUTOTRACE_ACME_DISABLE": "true", "AUTOTRACE_ANY_DISABLE": "false"}
    site.module("vendor", INSTRUMENTOR)
    site.plugin("autotrace-any", PLUGIN.format(offered=ONE), wakes="*")
    code = "import acme, autotrace.auto, sys\nprint(sys.modules['vendor'].log if 'vendor' in sys.modules else None)"
    assert python.run(code).strip() == "['on']"


def test_the_framework_is_one_file_and_comes_first(python: Interpreter, site: Site) -> None:
    """A framework of one module that is the first module of all is traced."""
    python.path.append(site.folder)
    python.environment |= {"AUTOTRACE_ACME_DISABLE": "true", "AUTOTRACE_ANY_DISABLE": "false"}
    site.module("single", "def search(): pass")
    site.module("vendor", INSTRUMENTOR.replace("acme.client.Client", "single").replace("acme.client", "single"))
    offered = 'Instrumentation("shop", delegates=(delegate(wakes="single"),))'
    site.plugin("autotrace-any", PLUGIN.format(offered=offered), wakes="*")
    code = "import autotrace.auto, single, sys\nprint(sys.modules['vendor'].log if 'vendor' in sys.modules else None)"
    assert python.run(code).strip() == "['on']"
