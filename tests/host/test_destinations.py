"""Destinations that plugins add, and those that there are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import Interpreter, Site

GOOD = """
    import autotrace

    class Lines:
        name = "lines"

        def __init__(self, settings):
            self.path = settings["path"]

        def deliver(self, records, resource):
            with open(self.path, "a") as file:
                file.writelines(f"{one.kind} {one.body['name']} {resource['service.name']}\\n" for one in records)

        def close(self):
            pass

    @autotrace.hookimpl
    def destinations():
        return {"lines": Lines}
"""
NO_CLOSE = GOOD.replace("close", "shut").replace('settings["path"]', "None")
PROGRAM = """
    import logging
    logging.basicConfig(format="%(message)s")
    import autotrace
    with autotrace.span("a"):
        pass
    print(autotrace.flush(30))
"""


@pytest.fixture
def installed(python: Interpreter, site: Site) -> Interpreter:
    """A Python in which a destination can be installed."""
    python.path.insert(0, site.folder)
    python.environment = {"AUTOTRACE_DESTINATION": "lines", "AUTOTRACE_SERVICE": "shop"}
    return python


def install(site: Site, source: str, entry_points: str = "lines = acme_lines") -> None:
    site.module("acme_lines", source)
    site.distribution("acme-lines", "1.0")
    (site.folder / "acme_lines-1.0.dist-info" / "entry_points.txt").write_text(
        f"[autotrace.destinations]\n{entry_points}\n"
    )


def test_a_plugins_destination(installed: Interpreter, site: Site, tmp_path: Path) -> None:
    """It gets its own settings and all records, and nothing goes to the store."""
    install(site, GOOD)
    installed.environment["AUTOTRACE_LINES_PATH"] = str(tmp_path / "lines")
    assert installed.run(PROGRAM) == "True\n"
    assert (tmp_path / "lines").read_text().split("\n")[-2] == "E a shop"
    assert not (installed.folder / "home" / "traces.db").exists()
    assert installed.errors == ""


def test_beside_the_store(installed: Interpreter, site: Site, tmp_path: Path) -> None:
    """Several are named with commas, in the file of the project too."""
    install(site, GOOD)
    del installed.environment["AUTOTRACE_DESTINATION"]
    path = tmp_path / "lines"
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.autotrace]\ndestination = ["store", "lines"]\n[tool.autotrace.lines]\npath = "{path}"\n'
    )
    assert installed.run(f"import os\nos.chdir({str(tmp_path)!r})\n" + "\n".join(PROGRAM.split("\n    "))) == "True\n"
    assert (tmp_path / "lines").exists()
    assert (installed.folder / "home" / "traces.db").exists()


@pytest.mark.parametrize(
    ("source", "entry_points", "told"),
    [
        (GOOD, "other = acme_lines", "'lines': no such destination; there are store, mlflow, otlp, console"),
        ("raise RuntimeError('no')", "lines = acme_lines", "plugin acme-lines: it cannot be loaded: RuntimeError: no"),
        ("x = 1", "lines = acme_lines", "names the destination 'lines'; destinations() has nothing"),
        (GOOD.replace('{"lines"', '{"line"'), "lines = acme_lines", "destinations() has 'line'"),
        (GOOD.replace('{"lines": Lines}', "[Lines]"), "lines = acme_lines", "must return a dict by name, not list"),
        (GOOD, "lines = acme_lines", "destination 'lines' cannot be made: KeyError: 'path'"),
        (
            GOOD.replace("settings[", "settings.get(").replace('"path"]', '"path")').replace("close", "shut"),
            "",
            "lacks close",
        ),
    ],
)
def test_what_cannot_be_used(
    installed: Interpreter, site: Site, tmp_path: Path, source: str, entry_points: str, told: str
) -> None:
    """It is told with what is wrong, once, and the store takes its place: no span is lost."""
    install(site, source, entry_points or "lines = acme_lines")
    assert installed.run(PROGRAM) == "True\n"
    assert installed.errors.count(told) == 1
    assert (installed.folder / "home" / "traces.db").exists()


def test_unknown_in_a_call(installed: Interpreter) -> None:
    """Who names it in a call is told at once."""
    assert (
        installed.run("""
        import autotrace
        try:
            autotrace.autolog(destination="moon")
        except autotrace.ConfigError as error:
            print(error)
    """)
        == "destination (autolog()): 'moon': no such destination; there are store, mlflow, otlp, console\n"
    )
