"""Switching on and off: to the letter, at once, once, and without the program's noticing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

import openai
import pytest
import wrapt
from openai import _base_client, _streaming
from opentelemetry import context
from opentelemetry.instrumentation.utils import suppress_instrumentation

import autotrace

TARGETS = [
    (_base_client.SyncAPIClient, "request"),
    (_base_client.AsyncAPIClient, "request"),
    (_base_client.BaseClient, "_calculate_retry_timeout"),
    (_streaming.Stream, "close"),
    (_streaming.AsyncStream, "close"),
]


def held() -> list[Any]:
    """What the patched classes hold under the patched names."""
    return [vars(kind)[name] for kind, name in TARGETS]


def layers(function: Any) -> int:
    """How many wrappers lie around a function."""
    count = 0
    while hasattr(function, "__wrapped__"):
        function, count = function.__wrapped__, count + 1
    return count


def test_switching_off_restores_everything(spans: Any, untouched: Any) -> None:
    """L26: switching off gives every class its very own function back, and leaves nothing else."""
    assert [layers(function) for function in held()] == [1] * 5
    spans.off()
    assert all(vars(kind)[name] is untouched[kind][name] for kind, name in TARGETS)
    for kind, before in untouched.items():
        assert [name for name in vars(kind) if name not in before and name != "__slotnames__"] == []
    assert "request" not in vars(openai.OpenAI)


def test_switching_a_hundred_times_adds_no_layer(spans: Any, untouched: Any) -> None:
    """L26: on and off a hundred times adds no wrapper."""
    for _ in range(100):
        spans.on()
        assert [layers(function) for function in held()] == [1] * 5
        spans.off()
        assert all(vars(kind)[name] is untouched[kind][name] for kind, name in TARGETS)


async def test_switching_on_twice_traces_once(sdk: Any, spans: Any, api: Any) -> None:
    """L28: several activations yield one span a call."""
    import autotrace.auto

    spans.on()
    autotrace.autolog("openai")
    spans.on()
    await sdk.create(api)
    assert [layers(function) for function in held()] == [1] * 5
    assert spans.one()["operation.name"] == api.operation


@pytest.mark.both_roads
async def test_a_foreign_wrapper_stays(sdk: Any, spans: Any, api: Any) -> None:
    """L29: what another library has wrapped around our wrapper stays when we are switched off, and ours is inert."""
    kind = _base_client.AsyncAPIClient if sdk.is_async else _base_client.SyncAPIClient
    ours = vars(kind)["request"]
    seen: list[str] = []

    def foreign(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append("called")
        return wrapped(*args, **kwargs)

    theirs = wrapt.FunctionWrapper(ours, foreign)
    kind.request = theirs  # type: ignore[method-assign, assignment]
    try:
        await sdk.create(api)
        spans.off()
        assert vars(kind)["request"] is theirs
        await sdk.create(api)
        assert (len(seen), len(spans.all())) == (2, 1)
        spans.on()
        assert vars(kind)["request"] is theirs
        await sdk.create(api)
        assert (len(seen), len(spans.all())) == (3, 2)
    finally:
        kind.request = ours


async def test_an_earlier_client_is_traced(sdk: Any, spans: Any, api: Any) -> None:
    """L30: clients, and bound methods, made before switching on are traced."""
    spans.off()
    client = sdk.new()
    method = sdk.method(api.method, client)
    spans.on()
    await sdk.wait(method(**api.arguments))
    assert len(spans.all()) == 1


@pytest.mark.both_roads
async def test_every_toggle_stops_spans_at_once(sdk: Any, spans: Any, api: Any) -> None:
    """L34: `autolog(disable=...)` for all, for openai, and `suppress()` stop spans at once; on again works too."""
    for off, on in (
        (lambda: autotrace.autolog(disable=True), lambda: autotrace.autolog(disable=False)),
        (lambda: autotrace.autolog("openai", disable=True), lambda: autotrace.autolog("openai", disable=False)),
    ):
        before = len(spans.all())
        off()
        await sdk.create(api)
        assert len(spans.all()) == before
        on()
        await sdk.create(api)
        assert len(spans.all()) == before + 1
    for names in ((), ("openai",)):
        before = len(spans.all())
        with autotrace.suppress(*names):
            await sdk.create(api)
        assert len(spans.all()) == before
    with autotrace.suppress("langchain"):
        await sdk.create(api)
    assert len(spans.all()) == 3


@pytest.mark.streams
async def test_a_stream_that_is_open_when_tracing_stops(sdk: Any, spans: Any, api: Any) -> None:
    """L34: a stream that was begun before switching off is read to its end, and its span ends too."""
    stream = await sdk.create(api, stream=True)
    first = await sdk.next(stream)
    spans.off()
    rest = await sdk.all(stream)
    await sdk.close(stream)
    assert first
    assert rest
    assert spans.one().status == "ok"


@pytest.mark.both_roads
async def test_opentelemetry_s_own_switch_is_honoured(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L35: inside `suppress_instrumentation()` there is no span, plain or streamed."""
    with suppress_instrumentation():
        await sdk.create(api)
        if api.streams:
            await sdk.all(await sdk.create(api, stream=True))
    assert spans.all() == []
    assert server.billed.requests > 0


@pytest.mark.parametrize("key", ["suppress_language_model_instrumentation", "suppress_instrumentation"])
async def test_marks_of_other_instrumentors_are_honoured(sdk: Any, spans: Any, api: Any, key: str) -> None:
    """L18: where another instrumentor says that the call is its own (OpenLLMetry's key too) there is no span."""
    token = context.attach(context.set_value(key, True))
    try:
        await sdk.create(api)
    finally:
        context.detach(token)
    assert spans.all() == []
    await sdk.create(api)
    assert len(spans.all()) == 1


def run(code: str, folder: Any, **environment: str) -> Any:
    """Runs a program of its own; it prints one JSON value last."""
    keep = ("AUTOTRACE", "OTEL", "PYTHON")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(keep)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**plain, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


PROGRAM = """
    import json, sys
    {first}
    from openai import DefaultHttpxClient, OpenAI
    client = OpenAI(base_url="{url}", api_key="sk-test", http_client=DefaultHttpxClient(verify=False))
    {second}
    client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hello"}}])
    client.close()
    import autotrace
    autotrace.flush()
    from pathlib import Path
    from autotrace.store.reader import Reader
    store = Path(".autotrace/traces.db")
    found = 0
    if store.exists():
        with Reader(store) as reader:
            found = len(reader.traces())
    print(json.dumps(found))
"""


@pytest.mark.parametrize("order", [("import autotrace.auto", ""), ("", "import autotrace.auto")], ids=["first", "last"])
def test_the_one_import_traces_whatever_its_place(server: Any, tmp_path: Any, order: tuple[str, str]) -> None:
    """L30: `from openai import OpenAI`, and a client, before or after `import autotrace.auto`: the call is traced."""
    found, log = run(PROGRAM.format(first=order[0], second=order[1], url=server.url), tmp_path)
    assert found == 1
    assert log == ""


@pytest.mark.parametrize(
    "environment", [{"AUTOTRACE_DISABLE": "openai"}, {"AUTOTRACE_OPENAI_DISABLE": "1"}, {"OTEL_SDK_DISABLED": "true"}]
)
def test_the_environment_switches_off(server: Any, tmp_path: Any, environment: dict[str, str]) -> None:
    """L34, L35: `AUTOTRACE_DISABLE=openai` and `OTEL_SDK_DISABLED=true` leave no span, and the call works."""
    found, log = run(PROGRAM.format(first="import autotrace.auto", second="", url=server.url), tmp_path, **environment)
    assert found == 0
    assert log == ""
    assert len(server.requests) == 1


def test_the_file_switches_off(server: Any, tmp_path: Any) -> None:
    """L34: so does `[tool.autotrace]` in pyproject.toml."""
    (tmp_path / "pyproject.toml").write_text('[tool.autotrace]\ndisable = ["openai"]\n')
    found, _ = run(PROGRAM.format(first="import autotrace.auto", second="", url=server.url), tmp_path)
    assert found == 0


def test_activation_imports_no_framework(tmp_path: Any) -> None:
    """L31: `import autotrace.auto` imports neither openai nor what belongs to it."""
    found, _ = run(
        """
        import json, sys
        import autotrace.auto
        names = ("openai", "httpx", "httpx2", "pydantic", "autotrace_openai")
        print(json.dumps([name for name in names if name in sys.modules]))
        """,
        tmp_path,
    )
    assert found == []


def test_the_plugin_imports_no_framework_by_itself(tmp_path: Any) -> None:
    """L31: the plugin's own module, loaded, imports no openai either."""
    found, _ = run(
        """
        import json, sys
        import autotrace_openai
        autotrace_openai.instrumentations()
        print(json.dumps([name for name in ("openai", "httpx", "httpx2", "pydantic") if name in sys.modules]))
        """,
        tmp_path,
    )
    assert found == []


def test_a_lazy_import_stays_lazy(server: Any, tmp_path: Any) -> None:
    """L31: a module behind importlib's LazyLoader is not executed by activation, and is traced once it is used."""
    found, _ = run(
        f"""
        import importlib.util, json, sys
        import autotrace.auto
        spec = importlib.util.find_spec("openai")
        loader = importlib.util.LazyLoader(spec.loader)
        spec.loader = loader
        openai = importlib.util.module_from_spec(spec)
        sys.modules["openai"] = openai
        loader.exec_module(openai)
        lazy = "openai._base_client" not in sys.modules
        client = openai.OpenAI(base_url="{server.url}", api_key="k")
        client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hello"}}])
        client.close()
        import autotrace
        from autotrace.store.reader import Reader
        from pathlib import Path
        autotrace.flush()
        store = Path(".autotrace/traces.db")
        print(json.dumps([lazy, len(Reader(store).traces()) if store.exists() else 0]))
        """,
        tmp_path,
    )
    assert found == [True, 1]


def test_an_unsupported_version_is_left_alone(server: Any, tmp_path: Any) -> None:
    """L33: a version of openai that the plugin does not know: one warning, no patch, and the call works."""
    folder = tmp_path / "site" / "openai-99.0.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: openai\nVersion: 99.0.0\n")
    code = PROGRAM.format(first="sys.path.insert(0, 'site')\n    import autotrace.auto", second="", url=server.url)
    found, log = run("    import sys" + code, tmp_path)
    assert found == 0
    (line,) = log.splitlines()
    assert line.startswith("autotrace: openai 99.0.0 is installed; autotrace-openai")


def test_a_plugin_without_its_hook_point_disables_itself(server: Any, tmp_path: Any) -> None:
    """L32, L33: an SDK that has lost the method that we patch is imported and works; the other patches are on."""
    found, log = run(
        f"""
        import json, sys
        import openai._base_client as base
        from openai import DefaultHttpxClient, OpenAI
        del base.BaseClient._calculate_retry_timeout
        import autotrace.auto
        client = OpenAI(base_url="{server.url}", api_key="k", http_client=DefaultHttpxClient(verify=False))
        client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hello"}}])
        client.close()
        import autotrace
        from autotrace.activation import active
        (status,) = [status for status in active().host.statuses() if status.name == "openai"]
        print(json.dumps([status.state, status.warnings]))
        """,
        tmp_path,
    )
    assert found == ["active", ["openai._base_client has no BaseClient._calculate_retry_timeout"]]
    assert len(log.splitlines()) == 1
