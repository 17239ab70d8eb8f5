"""A program that calls its server itself: what it runs on shows with the first request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from autotrace.store.reader import Reader

from ..conftest import by_hand

START = "import autotrace, os\nfrom autotrace.activation import active\n"


def environments(folder: Path, code: str, **environ: str) -> dict[str, tuple[str | None, str]]:
    """Environment and platform of each trace, by its name, once a program has come to its end."""
    home = folder / "home"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", START + code],
        env={**by_hand(), "AUTOTRACE_HOME": str(home), "AUTOTRACE_STRICT": "true", **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Reader(home / "traces.db") as reader:
        traces = [reader.trace(found.trace_id) for found in reader.traces(100)]
    found = {}
    for trace in traces:
        assert trace is not None
        resource = trace.payload(trace.spans[0]).resource
        found[trace.summary.name] = (trace.summary.environment, resource["autotrace.platform"])
    return found


def test_from_the_first_request_on(tmp_path: Path) -> None:
    """What comes after the first request is production, whatever server; what came before stays what it was."""
    code = """
with autotrace.span("before"): pass
active().served_by("Werkzeug/3.1")
with autotrace.span("tried out"): pass
with autotrace.span("open"):
    active().served_by("uvicorn")
    active().served_by("uvicorn")
active().served_by("gunicorn/23.0")
with autotrace.span("after"): pass
"""
    assert environments(tmp_path, code) == {
        "before": ("development", "shell"),
        "tried out": ("development", "shell"),
        "open": ("production", "uvicorn"),
        "after": ("production", "uvicorn"),
    }


def test_before_the_first_span(tmp_path: Path) -> None:
    """A request that comes before anything was recorded counts too; so it does after a change of settings."""
    code = """
active().served_by("waitress")
with autotrace.span("first"): pass
autotrace.autolog(service="shop")
with autotrace.span("second"): pass
"""
    assert environments(tmp_path, code) == {"first": ("production", "waitress"), "second": ("production", "waitress")}


def test_what_says_otherwise(tmp_path: Path) -> None:
    """A setting, or OpenTelemetry's variable, says what the environment is; the platform shows all the same."""
    code = "with autotrace.span('a'): active().served_by('uvicorn')"
    cases = {
        ("AUTOTRACE_ENVIRONMENT", "staging"): ("staging", "uvicorn"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=qa"): ("qa", "uvicorn"),
        ("PYTEST_VERSION", "8"): ("development", "pytest"),
    }
    for number, ((variable, value), expected) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert environments(folder, code, **{variable: value}) == {"a": expected}


def test_with_the_sdk(tmp_path: Path) -> None:
    """OpenTelemetry's own spans, where its sampler is asked for, tell it as well."""
    code = "active().served_by('uvicorn')\nwith autotrace.span('a'): pass"
    assert environments(tmp_path, code, OTEL_TRACES_SAMPLER="always_on") == {"a": ("production", "uvicorn")}


def test_workers(tmp_path: Path) -> None:
    """In a forked worker each counts for itself, the parent's knowledge is its own too."""
    code = """
with autotrace.span("before"): pass
if os.fork() == 0:
    active().served_by("gunicorn")
    with autotrace.span("worker"): pass
    autotrace.flush()
    os._exit(0)
os.wait()
with autotrace.span("parent"): pass
active().served_by("gunicorn")
if os.fork() == 0:
    with autotrace.span("second"): pass
    autotrace.flush()
    os._exit(0)
os.wait()
"""
    found = environments(tmp_path, code)
    assert {name: environment for name, (environment, _) in found.items()} == {
        "before": "development",
        "worker": "production",
        "parent": "development",
        "second": "production",
    }


def test_odd_names(tmp_path: Path) -> None:
    """Whatever a server calls itself is harmless."""
    code = """
for name in ("", "x" * 10_000, "\\x1b[2J\\n", "\\ud800"):
    active().served_by(name)
with autotrace.span("a"): pass
"""
    assert environments(tmp_path, code)["a"] == ("production", "server")
