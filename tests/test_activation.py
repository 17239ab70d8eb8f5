"""`import autotrace.auto`: what it costs, and that every way of importing a framework is what it was."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import FAKES, Interpreter, Site

#: What the programs below end with: calls of the framework that is there, and the spans that came of them.
REPORT = """
import json
import collecting
autotrace.autolog(tracer_provider=collecting.provider)
{calls}
print(json.dumps(collecting.names()))
"""


def program(setup: str, calls: str = 'acme.Client().complete("hi")') -> str:
    """A program that sets itself up, calls, and reports its spans' names."""
    import textwrap

    return textwrap.dedent(setup) + REPORT.format(calls=textwrap.dedent(calls))


@pytest.mark.parametrize(
    "imports",
    [
        "import autotrace.auto, acme",
        "import acme, autotrace.auto",
        "from acme import Client; import autotrace.auto, acme",
        "import autotrace.auto; import autotrace.auto; import acme; from autotrace import auto",
        "import autotrace; autotrace.autolog(); import acme; autotrace.autolog()",
        "import autotrace.auto, importlib; importlib.reload(autotrace.auto); import acme",
        "import autotrace.auto; from acme.client import Client; import acme",
    ],
)
def test_before_after_and_twice(python: Interpreter, imports: str) -> None:
    """Whatever is imported first, and however often, a call gives one span (laws L28, L30)."""
    assert python.json(program(imports)) == ["chat acme-1"]


def test_objects_made_before(python: Interpreter) -> None:
    """What was made, and what was imported by name, before the activation is traced (law L30)."""
    setup = "from acme import Client\nclient = Client()\nimport autotrace.auto"
    assert python.json(program(setup, 'client.complete("hi")')) == ["chat acme-1"]


HEAVY = ["openai", "opentelemetry", "wrapt", "pluggy", "asyncio", "sqlite3", "importlib.metadata", "orjson", "acme"]


@pytest.mark.parametrize("extra", ["", "import json, logging, urllib.request, dataclasses, unittest.mock"])
def test_a_program_without_a_framework(python: Interpreter, extra: str) -> None:
    """Activation alone imports nothing heavy, opens nothing but modules, starts no thread (laws L31, L46)."""
    found = python.json(f"""
        import sys
        before = set(sys.modules)
        opened = []
        def watch(event, arguments):
            if event == "open" and not str(arguments[0]).endswith((".py", ".pyc", ".so", ".pyd")):
                opened.append(str(arguments[0]))
            if event in ("socket.connect", "subprocess.Popen", "_thread.start_new_thread", "os.fork"):
                opened.append(event)
        sys.addaudithook(watch)
        import autotrace.auto
        {extra}
        new = sorted(set(sys.modules) - before)
        import json, threading
        print(json.dumps([opened, new, threading.active_count()]))
    """)
    opened, new, threads = found
    assert opened == []
    assert threads == 1
    heavy = {"asyncio"} if extra else set()  # unittest.mock brings it by itself
    assert {name for name in HEAVY if name in new} <= heavy
    assert "autotrace.activation" in new


def test_a_plugin_sleeps_until_its_framework_is_imported(python: Interpreter) -> None:
    """Other imports, from outside the standard library too, wake no plugin; the framework's import does."""
    found = python.json("""
        import json, sys
        import autotrace.auto
        import click
        before = [name in sys.modules for name in ("autotrace_acme", "autotrace_openai", "opentelemetry.sdk", "acme")]
        import acme
        after = [name in sys.modules for name in ("autotrace_acme", "autotrace_openai")]
        print(json.dumps([before, after]))
    """)
    assert found == [[False] * 4, [True, False]]


def test_a_module_that_is_imported_later(python: Interpreter) -> None:
    """Patches of a module that the framework does not import by itself are put on when it is imported."""
    setup = "import autotrace.auto, acme, sys\nassert 'acme.extra' not in sys.modules"
    assert python.json(program(setup, "from acme.extra import summarise\nsummarise('hi')")) == ["chat acme-1"]


def test_a_module_imported_before_its_plugin_is_loaded(python: Interpreter, site: Site) -> None:
    """Two threads that import different parts of the framework at once are both traced."""
    shutil.copytree(FAKES / "acme", site.folder / "acme")
    source = (FAKES / "acme" / "extra.py").read_text()
    pause = "\nimport program_events\nprogram_events.entered.set()\nprogram_events.go_on.wait(10)\n\n\ndef "
    (site.folder / "acme" / "extra.py").write_text(source.replace("\ndef ", pause))
    site.module("program_events", "import threading\nentered, go_on = threading.Event(), threading.Event()")
    python.path.insert(0, site.folder)
    setup = """
        import threading, importlib, program_events
        import autotrace
        autotrace.autolog("acme", disable=True)
        import acme
        thread = threading.Thread(target=importlib.import_module, args=("acme.extra",))
        thread.start()
        program_events.entered.wait(10)
        autotrace.autolog("acme", disable=False)  # while acme.extra is half imported
        program_events.go_on.set()
        thread.join()
    """
    calls = "import acme.extra\nacme.extra.summarise('hi')"
    assert python.json(program(setup, calls)) == ["chat acme-1"]


@pytest.mark.parametrize("module", ["acme", "acme.client"])
def test_reload(python: Interpreter, module: str) -> None:
    """A module that is reloaded is traced again, once a call."""
    setup = f"""
        import autotrace.auto, acme, acme.client, importlib
        for _ in range(3):
            importlib.reload({module})
    """
    assert (
        python.json(program(setup, "acme.client.Client().complete('hi')\nacme.complete('ho')")) == ["chat acme-1"] * 2
    )


@pytest.mark.parametrize("first", ["lazy", "autotrace"])
def test_lazy_loader(python: Interpreter, first: str) -> None:
    """A framework that is imported lazily stays lazy until it is used, and is traced then (law L31)."""
    lazy = """
spec = importlib.util.find_spec("acme")
spec.loader = importlib.util.LazyLoader(spec.loader)
acme = importlib.util.module_from_spec(spec)
sys.modules["acme"] = acme
spec.loader.exec_module(acme)
"""
    order = [lazy, "import autotrace.auto"] if first == "lazy" else ["import autotrace.auto", lazy]
    setup = "import importlib.util, sys\nimport click\n" + "\n".join(order)
    setup += "\nimport autotrace\nautotrace.autolog()\nassert 'acme.client' not in sys.modules, 'not lazy'\n"
    calls = "acme.Client().complete('hi'); acme.complete('ho')"
    assert python.json(program(setup, calls)) == ["chat acme-1"] * 2


def test_find_spec(python: Interpreter) -> None:
    """Asking for a spec imports nothing, and the framework is traced when it is imported afterwards."""
    setup = """
        import autotrace.auto, importlib.util, sys
        spec = importlib.util.find_spec("acme")
        assert "acme" not in sys.modules and "autotrace_acme" not in sys.modules
        assert spec.name == "acme" and spec.submodule_search_locations
        import acme
    """
    assert python.json(program(setup)) == ["chat acme-1"]


def test_what_can_be_asked_of_a_module(python: Interpreter) -> None:
    """Spec, loader, source and resources of a traced framework are what they are without us."""
    code = """
        import importlib.resources, importlib.util, inspect, json, pickle, pkgutil, sys
        {activation}
        import acme, acme.client
        print(json.dumps([
            str(type(acme.__spec__.loader)), sorted(vars(acme.__spec__.loader)),
            acme.__loader__ is acme.__spec__.loader,
            inspect.getsource(acme), inspect.getsource(acme.Client), inspect.getsourcefile(acme.client),
            inspect.getsource(acme.Client.complete), inspect.getsource(acme.Client.words),
            importlib.resources.files("acme").joinpath("prompts/system.txt").read_text(),
            pkgutil.get_data("acme", "prompts/system.txt").decode(),
            [info.name for info in pkgutil.iter_modules(acme.__path__)],
            len(pickle.dumps(acme.__spec__)) > 0,
            pickle.loads(pickle.dumps(acme.Client.complete)) == acme.Client.complete,
            sorted(name for name in sys.modules if name.startswith("acme")),
        ]))
    """
    assert python.json(code.format(activation="import autotrace.auto")) == python.json(code.format(activation=""))


def test_import_errors_pass_through(python: Interpreter, site: Site) -> None:
    """An error inside the framework reaches the program as it is; a later try that succeeds is traced."""
    site.module("shaky/", "import os\nif 'BROKEN' in os.environ:\n    raise OSError('not yet')\ndef ask(prompt): pass")
    site.plugin("autotrace-shaky", PLUGIN.format(name="shaky", target="ask"), wakes="shaky")
    python.path.append(site.folder)
    python.environment["BROKEN"] = "1"
    setup = """
        import autotrace.auto, os, sys
        for _ in range(2):
            try:
                import shaky
            except OSError as error:
                assert error.args == ("not yet",) and error.__context__ is None
                frames = []
                trace = error.__traceback__
                while trace:
                    frames.append(trace.tb_frame.f_code.co_name)
                    trace = trace.tb_next
                assert frames[-1] == "<module>"
            else:
                raise AssertionError("no error")
        assert "shaky" not in sys.modules and "autotrace_shaky" not in sys.modules
        try:
            import shaky.missing
        except OSError:
            pass
        del os.environ["BROKEN"]
        import shaky
    """
    assert python.json(program(setup, "shaky.ask('hi')")) == ["chat m"]


#: A plugin for one function.
PLUGIN = """
from autotrace import Instrumentation, Patch, hookimpl

@hookimpl
def instrumentations():
    patch = Patch("{name}", "{target}", operation="chat", request=lambda call: {{"model": "m"}})
    return [Instrumentation("{name}", patches=(patch,))]
"""


def test_two_threads_import_at_once(python: Interpreter) -> None:
    """Threads that import the framework at the same time all get it, and it is patched once."""
    setup = """
        import autotrace.auto, threading, importlib
        barrier = threading.Barrier(8)
        found = []
        def load(name):
            barrier.wait()
            found.append(importlib.import_module(name))
        threads = [threading.Thread(target=load, args=("acme",)) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(found) == 8
        import acme, acme.extra
    """
    calls = "acme.Client().complete('hi'); acme.extra.summarise('hi')"
    assert python.json(program(setup, calls)) == ["chat acme-1"] * 2


def test_zip(python: Interpreter, tmp_path: Path) -> None:
    """A framework that is imported from a zip file is traced, whatever was looked for in the file before."""
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        for path in (FAKES / "acme").rglob("*.py"):
            archive.write(path, path.relative_to(FAKES))
        archive.writestr("other.py", "")
    lib = tmp_path / "lib"
    lib.mkdir()
    for name in ("autotrace_acme.py", "collecting.py"):
        shutil.copy(FAKES / name, lib)
    shutil.copytree(FAKES / "autotrace_acme-0.1.0.dist-info", lib / "autotrace_acme-0.1.0.dist-info")
    python.path = [tmp_path / "lib.zip", lib]
    setup = """
        import autotrace.auto, importlib.util, sys
        importlib.util.find_spec("acme")
        import other
        assert "autotrace_acme" not in sys.modules, "woken by another module of the file"
        import acme
    """
    calls = "acme.Client().complete('hi')\nimport acme.extra\nacme.extra.summarise('hi')"
    assert python.json(program(setup, calls)) == ["chat acme-1"] * 2


@pytest.mark.parametrize("wakes", ["space", "space.part"])
def test_namespace_package(python: Interpreter, site: Site, wakes: str) -> None:
    """A framework inside a namespace package is traced, whichever of the two its plugin names."""
    folder = site.folder / "space"
    folder.mkdir()
    (folder / "part.py").write_text("def ask(prompt):\n    return prompt\n")
    site.plugin("autotrace-space", PLUGIN.format(name="space.part", target="ask"), wakes=wakes)
    python.path.append(site.folder)
    assert python.json(program("import autotrace.auto, space.part", "space.part.ask('hi')")) == ["chat m"]
    assert python.json(program("import space.part, autotrace.auto", "space.part.ask('hi')")) == ["chat m"]


def test_other_finders(python: Interpreter) -> None:
    """Finders of other tools that put themselves first, and loaders that take no attributes, work as ever."""
    setup = """
        import autotrace.auto, importlib.abc, importlib.machinery, importlib.util, sys
        class Loader(importlib.abc.Loader):
            __slots__ = ("inner",)
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                self.inner.exec_module(module)
        class First:
            busy = False
            def find_spec(self, name, path=None, target=None):
                if self.busy or name != "acme":
                    return None
                self.busy = True
                try:
                    spec = importlib.util.find_spec(name)
                finally:
                    self.busy = False
                loader = Loader()
                loader.inner, spec.loader = spec.loader, loader
                return spec
        sys.meta_path.insert(0, First())
        import acme
        assert type(acme.__spec__.loader) is Loader
    """
    assert python.json(program(setup)) == ["chat acme-1"]


def test_module_not_found(python: Interpreter) -> None:
    """A framework that is not installed is not found, with Python's own error."""
    code = """
        import json
        {activation}
        try:
            import openai_is_not_here.nor_this
        except ModuleNotFoundError as error:
            print(json.dumps([str(error), error.name, type(error).__name__]))
    """
    assert python.json(code.format(activation="import autotrace.auto")) == python.json(code.format(activation=""))


def test_switched_off(python: Interpreter) -> None:
    """With OTEL_SDK_DISABLED no plugin is loaded, and no call of any kind leaves a span (law L35)."""
    python.environment["OTEL_SDK_DISABLED"] = "true"
    calls = """
        import sys
        acme.Client().complete("hi")
        with autotrace.span("mine"):
            autotrace.update_trace(user="me")
        @autotrace.trace
        def work(): return 5
        assert work() == 5
        assert "autotrace_acme" not in sys.modules and "autotrace.host.tracing" not in sys.modules
    """
    assert python.json(program("import autotrace.auto, acme", calls)) == []


def test_disabled_by_the_environment(python: Interpreter) -> None:
    """AUTOTRACE_DISABLE switches off what it names, without loading its plugin; code can switch it on (law L34)."""
    python.environment["AUTOTRACE_DISABLE"] = "acme,other"
    calls = """
        import sys
        acme.Client().complete("hi")
        assert "autotrace_acme" not in sys.modules
        autotrace.autolog("acme", disable=False)
        acme.Client().search("hi")
        autotrace.autolog("acme", disable=True)
        acme.Client().complete("hi")
    """
    assert python.json(program("import autotrace.auto, acme", calls)) == ["retrieval"]


def test_without_site_packages_metadata(python: Interpreter, site: Site) -> None:
    """Broken metadata of some installed distribution hides no plugin."""
    for name, content in {
        "METADATA": b"\xff\xfe\x00",
        "entry_points.txt": b"[autotrace]\nno equals sign\n[\x00",
    }.items():
        folder = site.folder / "broken-1.0.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    python.path.append(site.folder)
    try:
        python.run("import opentelemetry.trace")
    except AssertionError:
        pytest.skip("this release of OpenTelemetry cannot be imported beside it")
    assert python.json(program("import autotrace.auto, acme")) == ["chat acme-1"]


def test_flags_of_the_interpreter(python: Interpreter) -> None:
    """It works where docstrings and asserts are stripped, and in an interpreter without writable bytecode."""
    assert json.loads(python.run(program("import autotrace.auto, acme"), "-OO", "-B").splitlines()[-1]) == [
        "chat acme-1"
    ]
    assert sys.version_info >= (3, 10)


def test_an_apps_provider_is_extended_once(python: Interpreter) -> None:
    """However often the settings change, a span of an app's own provider reaches the journal once."""
    found = python.json("""
        import json, sqlite3, os
        import autotrace
        from opentelemetry.sdk.trace import TracerProvider
        provider, other = TracerProvider(), TracerProvider()
        added = []
        for one in (provider, other):
            one.add_span_processor = lambda found, add=one.add_span_processor: (added.append(found), add(found))
        autotrace.autolog(tracer_provider=provider, destination="store")
        with autotrace.span("outer"):
            for number in range(3):
                autotrace.autolog(environment=f"e{number}")
                with autotrace.span(f"work {number}"):
                    pass
        autotrace.autolog(tracer_provider=other)
        with autotrace.span("elsewhere"):
            pass
        autotrace.autolog(tracer_provider=provider)
        with autotrace.span("back"):
            pass
        assert autotrace.flush()
        store = sqlite3.connect(os.path.join(os.environ["AUTOTRACE_HOME"], "traces.db"))
        names = sorted(name for (name,) in store.execute("SELECT name FROM spans"))
        print(json.dumps([len(added), names]))
    """)
    assert found == [2, ["back", "elsewhere", "outer", "work 0", "work 1", "work 2"]]
