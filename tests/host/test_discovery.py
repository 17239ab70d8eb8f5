"""Looking for plugins: not before it is needed, once, and again when it could not be done."""

from __future__ import annotations

import threading

import pytest

from autotrace.config import Config
from autotrace.host import plugins
from autotrace.host.discovery import Host
from autotrace.host.imports import is_third_party

from ..conftest import Interpreter


@pytest.fixture
def host(fakes_on_path: None, clean: None) -> Host:
    """A host that has not looked for anything yet."""
    return Host(lambda: Config(), lambda: pytest.fail("no span is started here"))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    "name", ["json", "_scproxy", "org", "java", "__main__", "acme.client", "_sysconfigdata__linux"]
)
def test_not_third_party(name: str) -> None:
    """The standard library, what it looks for on other systems, and parts of packages are no reason to look."""
    assert not is_third_party(name)


def test_the_standard_library_wakes_nothing(python: Interpreter) -> None:
    """A program may import any module of the standard library without plugins being looked for."""
    found = python.json("""
        import autotrace.auto, importlib, json, sys, warnings
        warnings.simplefilter("ignore")
        skipped = ("this", "antigravity", "idlelib", "turtle", "tkinter", "lib2to3", "turtledemo")
        skipped += ("distutils",)  # setuptools stands in for it, where it is installed
        for name in sorted(sys.stdlib_module_names):
            if not name.startswith("_") and name not in skipped:
                try:
                    importlib.import_module(name)
                except ImportError:
                    pass  # not on this system
        print(json.dumps("autotrace.host.plugins" in sys.modules))
    """)
    assert found is False


def test_a_look_that_fails_is_repeated(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the installed plugins cannot be listed at one import, they are at the next."""
    real = plugins.installed

    def fail(group: str) -> None:
        raise ImportError("in the middle of another import")

    monkeypatch.setattr(plugins, "installed", fail)
    with pytest.raises(ImportError):
        host.discover()
    monkeypatch.setattr(plugins, "installed", real)
    assert host.is_watched("acme")


def test_another_thread_waits(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import in a thread that comes while another looks for plugins misses none of them."""
    real, looking, go_on = plugins.installed, threading.Event(), threading.Event()
    seen: list[bool] = []

    def slow(group: str) -> object:
        looking.set()
        go_on.wait(10)
        return real(group)

    monkeypatch.setattr(plugins, "installed", slow)
    first = threading.Thread(target=host.discover)
    first.start()
    looking.wait(10)
    second = threading.Thread(target=lambda: seen.append(host.is_watched("acme")))
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert seen == [True]


def test_names(host: Host) -> None:
    """A host knows its plugins by their names, and the two toggles that are no plugins."""
    assert [host.knows(name) for name in ("acme", "openai", "threading", "autotrace", "nobody")] == [True] * 4 + [False]
