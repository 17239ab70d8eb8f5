"""Plugins made for another autotrace, and any number of broken ones: each fails alone, in words that help."""

from __future__ import annotations

from typing import Any

import pytest

from autotrace import __version__

from ..conftest import Site
from .test_plugins import GOOD

WANTS = "Requires-Dist: autotrace-ai{}\n"


def install(site: Site, name: str, source: str, wants: str, wakes: str = "acme.client") -> None:
    """Installs a plugin whose metadata names the autotrace that it was made for."""
    module = name.replace("-", "_")
    site.module(module, source)
    site.distribution(name, "1.0", WANTS.format(wants) if wants else "", f"{wakes} = {module}")


def test_made_for_a_newer_autotrace(report: Any, site: Site) -> None:
    """A plugin that wants a newer autotrace is not loaded, and says what to do."""
    install(site, "aaa-new", "raise AssertionError('it was loaded')", ">=99")
    found = report()
    there = f"autotrace-ai {__version__} is installed: pip install --upgrade autotrace-ai"
    reason = f"aaa-new 1.0 wants autotrace-ai>=99; {there}"
    assert found.names == ["chat acme-1"]
    assert found.state("aaa-new") == ("unsupported", reason)
    assert found.log == [reason + ": its calls are not traced"]


@pytest.mark.parametrize("wants", ["<0.0.1", "==0.0.1", ">=0.0.1,<0.0.2"])
def test_made_for_an_older_autotrace(report: Any, site: Site, wants: str) -> None:
    """A plugin that was made for an older autotrace works as far as its names are there, with a warning."""
    install(site, "aaa-old", GOOD.format(name="old"), wants)
    found = report("acme.Client().search('hi')")
    assert found.names == ["old", "retrieval"]
    assert found.state("aaa-old") == ("active", "")
    (warning,) = found.rows["aaa-old"]["warnings"]
    assert warning.startswith("it was made for autotrace-ai")
    assert found.log == []


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("from autotrace import Wrapper", "cannot import name 'Wrapper' from 'autotrace'"),
        ("import autotrace\nautotrace.Wrapper", "module 'autotrace' has no attribute 'Wrapper'"),
        ("import autotrace.wrappers", "No module named 'autotrace.wrappers'"),
        (
            GOOD.format(name="x").replace("request=request", "request=request, speed=5"),
            "Patch.__init__() got an unexpected keyword argument 'speed'",
        ),
        (
            GOOD.format(name="x").replace("patches=(patch,)", "patches=(patch,), speed=5"),
            "Instrumentation.__init__() got an unexpected keyword argument 'speed'",
        ),
    ],
)
@pytest.mark.parametrize("wants", ["<0.0.1", ""])
def test_names_that_are_gone(report: Any, site: Site, source: str, error: str, wants: str) -> None:
    """A plugin that uses what this autotrace does not have fails alone, and says which autotrace it wants."""
    install(site, "aaa-old", source, wants)
    found = report()
    assert found.names == ["chat acme-1"]
    state, reason = found.state("aaa-old")
    assert state == "failed"
    assert reason.startswith(error)
    wanted = "it wants autotrace-ai<0.0.1" if wants else "it does not say which autotrace-ai it wants"
    assert reason.endswith(f"; {wanted}, {__version__} is installed: get a release that fits")


def test_a_hook_with_fewer_arguments(report: Any, site: Site) -> None:
    """An implementation may take fewer arguments than the hook has."""
    source = "import autotrace\n@autotrace.hookimpl\ndef redact():\n    return 'hidden'"
    site.plugin("aaa-redact", source, wakes="acme.client")
    found = report(
        "acme.Client().search('hi')\ncollecting.finished[0].name = collecting.finished[0].attributes['input.value']"
    )
    assert found.names == ["hidden"]
    assert found.log == []


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("def redact(text, model): pass", "Argument(s) {'model'} are declared in the hookimpl but can not be found"),
        ("def redactor(text): pass", "there is no hook 'redactor'; there are instrumentations, destinations, redact"),
    ],
)
def test_a_hook_that_does_not_fit(report: Any, site: Site, hook: str, reason: str) -> None:
    """A hook that does not exist, or has arguments that it does not get, is named."""
    site.plugin("aaa-hook", f"import autotrace\n@autotrace.hookimpl\n{hook}", wakes="acme.client")
    found = report()
    assert found.names == ["chat acme-1"]
    state, told = found.state("aaa-hook")
    assert (state, told[: len(reason)]) == ("failed", reason)


HOOK = "from autotrace import *\n@hookimpl\ndef instrumentations():\n    "
NOTHING = "lambda call: {'model': None}"

#: Ways to be broken: what the plugin's module holds, and a word of the reason.
WAYS = {
    "syntax": ("def (", "SyntaxError"),
    "indentation": ("if 1:\nx", "IndentationError"),
    "nul": ("x = '\\N{NOTHING OF THIS NAME}'", "SyntaxError"),
    "no such module": ("import nothing_of_this_name", "ModuleNotFoundError"),
    "no such name": ("from json import nothing", "ImportError"),
    "raises": ("raise RuntimeError('no')", "RuntimeError"),
    "raises without text": ("raise KeyError", "KeyError"),
    "exits": ("import sys; sys.exit(3)", "SystemExit"),
    "base exception": ("class Odd(BaseException): pass\nraise Odd('x')", "Odd"),
    "generator exit": ("raise GeneratorExit", "GeneratorExit"),
    "cancelled": ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "memory": ("raise MemoryError", "MemoryError"),
    "assertion": ("assert False, 'hm'", "AssertionError"),
    "unprintable": ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E"),
    "hook raises": (HOOK + "raise KeyError('lost')", "KeyError"),
    "hook exits": (HOOK + "raise SystemExit", "SystemExit"),
    "hook leaves": (HOOK + "raise GeneratorExit", "GeneratorExit"),
    "returns a number": (HOOK + "return 5", "not int"),
    "returns one": (HOOK + "return Instrumentation('x')", "not Instrumentation"),
    "returns a text": (HOOK + "return 'acme'", "not str"),
    "returns texts": (HOOK + "return ['acme']", "list of str"),
    "returns a generator": (HOOK + "yield Instrumentation('x')", "not generator"),
    "returns a dict": (HOOK + "return {'acme': 1}", "not dict"),
    "returns a class": (HOOK + "return [Instrumentation]", "list of type"),
    "is asynchronous": (HOOK.replace("def inst", "async def inst") + "return []", "not coroutine"),
    "patches a number": (HOOK + "return [Instrumentation('x', patches=5)]", "must be a tuple, not int"),
    "patches a text": (HOOK + "return [Instrumentation('x', patches=('acme',))]", "must be Patch, not str"),
    "patches a stream": (HOOK + "return [Instrumentation('x', streams=(5,))]", "must be StreamClass, not int"),
    "no name": (HOOK + "return [Instrumentation('')]", "must be a text"),
    "odd name": (HOOK + "return [Instrumentation(5)]", "must be a text"),
    "unknown keyword": (HOOK + "return [Instrumentation('x', speed=1)]", "unexpected keyword"),
    "missing keyword": (HOOK + "return [Patch('acme.client')]", "TypeError"),
    "misspelt": (
        "import autotrace\n@autotrace.hookimpl\ndef instrumentation(): return []",
        "no hook 'instrumentation'",
    ),
    "more arguments": ("import autotrace\n@autotrace.hookimpl\ndef redact(text, more): pass", "Argument(s)"),
    "old name": ("from autotrace import Wrapper", "get a release that fits"),
}
#: Ways that leave the plugin at work, with a warning.
HOLES = {
    "missing target": f"return [Instrumentation('h', patches=(Patch('acme.client', 'Client.no', {NOTHING}),))]",
    "missing class": f"return [Instrumentation('h', patches=(Patch('acme.client', 'No.no', {NOTHING}),))]",
    "odd target": f"return [Instrumentation('h', patches=(Patch('acme.client', '', {NOTHING}),))]",
    "odd stream": "return [Instrumentation('h', streams=(StreamClass('acme.client', 'No'),))]",
    "number for a target": f"return [Instrumentation('h', patches=(Patch('acme.client', 5, {NOTHING}),))]",
}
#: What the metadata may say, and a word of the reason.
ENTRIES = {
    "no module": ("aaa = :::", "names no module"),
    "spaces": ("aaa = not a module", "names no module"),
    "no attribute": ("aaa = json:nothing", "AttributeError"),
    "not there": ("aaa = nothing_of_this_name", "ModuleNotFoundError"),
}


def test_fifty_broken_plugins(report: Any, site: Site) -> None:
    """Fifty plugins, broken in as many ways, hide no good one, and each has its row with what is wrong with it."""
    for number, (source, _) in enumerate(WAYS.values()):
        site.plugin(f"broken-{number:02}", source, wakes="acme.client" if number % 2 else "acme")
    for number, source in enumerate(HOLES.values()):
        site.plugin(f"hole-{number:02}", HOOK + source, wakes=f"acme{'.client' * (number % 2)}")
    for number, (entry, _) in enumerate(ENTRIES.values()):
        site.distribution(f"entry-{number:02}", "1", entry_points=entry.replace("aaa", "acme"))
    site.plugin("range-00", GOOD.format(name="x"), wakes="acme", instruments="acme>=9")
    install(site, "newer-00", "", ">=99", wakes="acme")
    for number, content in enumerate((b"[autotrace]\nacme", b"[autotrace]\n\xff\xfe = x\n", b"[autotrace]\n= =\n= x")):
        site.distribution(f"torn-{number:02}", "1")
        (site.folder / f"torn_{number:02}-1.dist-info" / "entry_points.txt").write_bytes(content)
    (site.folder / "nameless-1.dist-info").mkdir()
    (site.folder / "nameless-1.dist-info" / "entry_points.txt").write_text("[autotrace]\nacme = nothing_here\n")
    assert len(WAYS) + len(HOLES) + len(ENTRIES) + 6 >= 50

    found = report("acme.Client().complete('hi')\nacme.Client().search('hi')")
    assert found.names == ["chat acme-1", "retrieval"]
    assert found.state("autotrace-acme") == ("active", "")
    for number, (way, (_, word)) in enumerate(WAYS.items()):
        state, reason = found.state(f"broken-{number:02}")
        assert (way, state) == (way, "failed" if number % 2 else "disabled")
        assert number % 2 == 0 or word in reason, (way, reason)
    for line in found.log:
        assert "broken-" in line or "hole" in line or "torn" in line or "h: patch" in line, line


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_be_broken(report: Any, site: Site, way: str) -> None:
    """It is told once and shown with its reason, and the framework's own plugin works."""
    source, word = WAYS[way]
    site.plugin("aaa-broken", source, wakes="acme.client")
    found = report()
    assert found.names == ["chat acme-1"]
    state, reason = found.state("aaa-broken")
    assert state == "failed"
    assert word in reason
    assert len(found.log) == 1


@pytest.mark.parametrize("way", ENTRIES)
def test_each_odd_entry_point(report: Any, site: Site, way: str) -> None:
    """An entry point that leads to no plugin is a plugin that has failed, with the reason."""
    entry, word = ENTRIES[way]
    site.distribution("aaa-entry", "1", entry_points=entry.replace("aaa", "acme.client"))
    found = report()
    assert found.names == ["chat acme-1"]
    state, reason = found.state("aaa-entry")
    assert state == "failed"
    assert word in reason


@pytest.mark.parametrize("way", HOLES)
def test_each_hole(report: Any, site: Site, way: str) -> None:
    """A function that is not there is a warning of its plugin's."""
    site.plugin("aaa-hole", HOOK + HOLES[way], wakes="acme.client")
    found = report()
    assert found.names == ["chat acme-1"]
    assert found.state("aaa-hole") == ("active", "")
    assert len(found.rows["aaa-hole"]["warnings"]) == 1
