"""Real instrumentors of three vendors, real SDKs, and a metering server on loopback.

`tox -e bridge` installs them; elsewhere they are skipped. A fresh interpreter each: instrumentors are singletons.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from autotrace.testing.openai_server import OpenAIServer

#: What is asked; looked for wherever it must not be.
QUESTION = "Where does the heron nest?"
VENDORS = {
    "openinference": "openinference-instrumentation-groq",
    "openllmetry": "opentelemetry-instrumentation-groq",
}
REQUIRED = "BRIDGE_IS_INSTALLED"

PROGRAM = """
import asyncio, gc, json, logging, os, sys
logging.basicConfig(format="%(message)s", level=logging.WARNING)
import autotrace.auto
{before}
sys.path.insert(0, {fakes!r})
{imports}

# Groq's paths begin with /openai: the server's do not.
def sent(request):
    request.url = request.url.copy_with(path=request.url.path.replace("/openai/v1", "/v1"))

async def asent(request):
    sent(request)

def groq_client(**more):
    import groq, httpx
    http = httpx.Client(event_hooks={{"request": [sent]}})
    return groq.Groq(base_url={url!r}, api_key="gsk_test12345678", http_client=http, max_retries=0, **more)

def async_groq_client():
    import groq, httpx
    http = httpx.AsyncClient(event_hooks={{"request": [asent]}})
    return groq.AsyncGroq(base_url={url!r}, api_key="gsk_test12345678", http_client=http, max_retries=0)

HELLO = [{{"role": "user", "content": {question!r}}}]
def ask(client, **more):
    return client.chat.completions.create(model="m-1", messages=HELLO, temperature=0.5, **more)

{calls}
gc.collect()
assert autotrace.flush(30)
from autotrace import activation
rows = activation.active().host.statuses()
import contextlib, sqlite3
from autotrace.store import payload
with contextlib.closing(sqlite3.connect(os.path.join(os.environ["AUTOTRACE_HOME"], "traces.db"))) as db:
    db.row_factory = sqlite3.Row
    spans = [dict(row) for row in db.execute("select * from spans order by start_ns")]
    for span in spans:
        blob = db.execute("select content from payloads where id = ?", (span["id"],)).fetchone()
        span["content"] = payload.decode(blob["content"])
print(json.dumps([spans, {{row.name: [row.state, row.reason, row.distribution, row.warnings] for row in rows}}]))
"""
ON = 'autotrace.autolog("opentelemetry", disable=False)'


def needs(*distributions: str) -> None:
    """Skips the test where one of these is not installed; fails where all have to be."""
    installed = {str(found.metadata.get("Name")).lower() for found in metadata.distributions()}
    missing = [name for name in distributions if name not in installed]
    if missing:
        assert REQUIRED not in os.environ, f"{missing} are not installed"
        pytest.skip(f"{', '.join(missing)}: not installed; tox -e bridge installs it")


class Report:
    """What the store holds after a program, and what `autotrace plugins` would show."""

    def __init__(self, spans: list[dict[str, Any]], rows: dict[str, list[Any]], log: str, home: Path) -> None:
        self.spans, self.rows, self.log, self.home = spans, rows, log, home

    def one(self) -> dict[str, Any]:
        assert len(self.spans) == 1, self.names
        return self.spans[0]

    @property
    def names(self) -> list[str]:
        return [span["name"] for span in self.spans]

    @property
    def tokens(self) -> tuple[int, int]:
        """The tokens of all spans."""
        return tuple(sum(span[f"{side}_tokens"] or 0 for span in self.spans) for side in ("input", "output"))  # type: ignore[return-value]


class Programs:
    """Runs programs against the server."""

    def __init__(self, folder: Path, server: OpenAIServer) -> None:
        self._folder = folder
        self.server = server
        self.environment: dict[str, str] = {}

    def run(self, calls: str, before: str = ON, imports: str = "import groq") -> Report:
        inherited = {key: text for key, text in os.environ.items() if not key.startswith(("AUTOTRACE_", "OTEL_"))}
        home = self._folder / "home"
        code = PROGRAM.format(
            before=textwrap.dedent(before),
            imports=textwrap.dedent(imports),
            calls=textwrap.dedent(calls),
            url=self.server.url.removesuffix("/v1"),
            question=QUESTION,
            fakes=str(self._folder),
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**inherited, "AUTOTRACE_HOME": str(home), **self.environment},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        spans, rows = json.loads(done.stdout.splitlines()[-1])
        return Report(spans, rows, done.stderr, home)

    @property
    def billed(self) -> tuple[int, int]:
        """What the server has billed."""
        return self.server.billed.input_tokens, self.server.billed.output_tokens


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with OpenAIServer() as server:
        yield Programs(tmp_path, server)


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest, programs: Programs) -> str:
    """One of the vendors that trace Groq's SDK, chosen by the setting; all of them are installed."""
    needs("groq", *VENDORS.values())
    programs.environment["AUTOTRACE_GROQ_INSTRUMENTOR"] = request.param
    return str(request.param)


FORMS = {
    "sync": "ask(groq_client())",
    "async": "asyncio.run(ask(async_groq_client()))",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_chat(programs: Programs, vendor: str, form: str) -> None:
    """A call of Groq's SDK is a span of ours in our store: model, tokens as billed, question and answer."""
    found = programs.run(FORMS[form])
    span = found.one()
    assert (span["name"], span["operation"], span["status"]) == ("chat m-1", "chat", "ok")
    assert (span["provider"], span["framework"], span["root"]) == ("groq", "groq", 1)
    assert span["model"].startswith("m-1-")
    assert found.tokens == programs.billed != (0, 0)
    assert span["cache_read_tokens"] == programs.server.billed.cached_tokens
    attributes = span["content"]["attributes"]
    assert attributes["openinference.span.kind"] == "LLM"
    assert attributes["gen_ai.request.temperature"] == 0.5
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": QUESTION}]}
    ]
    assert QUESTION in json.loads(attributes["gen_ai.output.messages"])[0]["parts"][0]["content"]
    assert attributes["autotrace.instrumentor"].endswith("instrumentation.groq")
    assert not [name for name in attributes if name.startswith(("llm.", "gen_ai.prompt", "input.", "output."))]
    state, reason, distribution, warnings = found.rows["groq"]
    assert (state, reason, distribution) == ("active", "", VENDORS[vendor])
    assert len(warnings) == 1
    assert found.log == ""


def test_a_failure(programs: Programs, vendor: str) -> None:
    """An error is the program's own, and the span tells of it."""
    found = programs.run(
        """
        import groq
        try:
            groq_client().chat.completions.create(model="m-1", messages=HELLO, extra_headers=5)
        except Exception as error:
            kind = type(error).__name__
        from autotrace.testing import openai_server
        client = groq.Groq(base_url="http://127.0.0.1:9", api_key="gsk_test12345678", max_retries=0)
        try:
            ask(client)
        except groq.APIConnectionError:
            pass
        else:
            raise AssertionError("no error")
        """
    )
    assert [span["status"] for span in found.spans] == ["error", "error"]
    assert found.spans[1]["error_type"].endswith("APIConnectionError")


def test_content_off(programs: Programs, vendor: str) -> None:
    """With content off neither question nor answer is anywhere in the store or the journal (law L41)."""
    programs.environment["AUTOTRACE_CAPTURE_CONTENT"] = "off"
    found = programs.run("ask(groq_client())\nlist(ask(groq_client(), stream=True))")
    assert len(found.spans) == 2
    assert found.spans[0]["input_tokens"]
    files = [path for path in found.home.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"heron" in path.read_bytes()]


def test_off_by_default(programs: Programs, vendor: str) -> None:
    """Unless it is switched on by name, nothing is traced and no instrumentor is imported."""
    found = programs.run(
        """
        ask(groq_client())
        assert not [name for name in sys.modules if name.startswith(("openinference", "autotrace_opentelemetry"))]
        assert "opentelemetry.instrumentation.groq" not in sys.modules
        with autotrace.span("own"):
            pass
        """,
        before="",
    )
    assert found.names == ["own"]
    assert found.rows["opentelemetry"][0] == "disabled"


def test_toggles(programs: Programs, vendor: str) -> None:
    """The framework's toggle takes the instrumentor off at once, and puts it on again; `suppress` holds."""
    found = programs.run(
        """
        client = groq_client()
        from groq.resources.chat.completions import Completions
        for disable in (True, False):
            autotrace.autolog("groq", disable=disable)
            assert hasattr(Completions.create, "__wrapped__") != disable
            ask(client)
        with autotrace.suppress("groq"):
            ask(client)
        """
    )
    assert found.names == ["chat m-1"]


def test_a_stream(programs: Programs) -> None:
    """A stream is one span, which ends with the stream."""
    needs("groq", *VENDORS.values())
    programs.environment["AUTOTRACE_GROQ_INSTRUMENTOR"] = "openllmetry"
    found = programs.run(
        """
        assert len(list(ask(groq_client(), stream=True))) > 2
        left = iter(ask(groq_client(), stream=True))
        next(left)
        del left
        """
    )
    assert found.names == ["chat m-1", "chat m-1"]
    whole, left = found.spans
    assert "heron" in whole["content"]["attributes"]["gen_ai.output.messages"]
    assert left["end_ns"] is not None


def test_the_tree(programs: Programs, vendor: str) -> None:
    """Spans of an instrumentor lie in ours, with the trace's labels."""
    found = programs.run(
        """
        with autotrace.context(session="s-1"), autotrace.span("top"):
            ask(groq_client())
        """
    )
    top, chat = found.spans
    assert (top["name"], chat["parent_id"], chat["root"]) == ("top", top["span_id"], 0)
    assert (top["session"], chat["session"]) == ("s-1", "s-1")


def test_switched_on_by_the_program(programs: Programs, vendor: str) -> None:
    """An instrumentor that the program switches on itself is left alone, and the row says so."""
    module = f"{'openinference' if vendor == 'openinference' else 'opentelemetry'}.instrumentation.groq"
    found = programs.run(
        """
        ask(groq_client())
        with autotrace.span("own"):
            pass
        """,
        before=f"from {module} import GroqInstrumentor\nGroqInstrumentor().instrument()\n{ON}",
    )
    assert found.names == ["own"]
    state, reason, _, _ = found.rows["groq"]
    assert state == "disabled"
    assert reason.endswith("is switched on by the program itself, and left to it")


def test_what_a_plugin_covers(programs: Programs) -> None:
    """OpenAI's SDK is our own plugin's: no instrumentor is loaded for it, and its tokens count once."""
    needs("openai", "autotrace-openai", "openinference-instrumentation-openai")
    found = programs.run(
        """
        import openai
        client = openai.OpenAI(base_url={url!r} + "/v1", api_key="sk-test")
        client.chat.completions.create(model="m-1", messages=HELLO)
        assert "openinference.instrumentation.openai" not in sys.modules
        """.format(url=programs.server.url.removesuffix("/v1")),
        imports="import openai",
    )
    assert found.one()["framework"] == "openai"
    assert found.tokens == programs.billed


@pytest.mark.parametrize(
    "form",
    [
        "litellm.completion(**given)",
        "list(litellm.completion(**given, stream=True, stream_options={'include_usage': True}))",
        "asyncio.run(litellm.acompletion(**given))",
    ],
)
def test_a_framework_over_a_plugin_of_ours(programs: Programs, form: str) -> None:
    """An instrumentor's model calls, made by an SDK of a plugin of ours: ours lie in them, tokens count once (L17)."""
    needs("litellm", "autotrace-openai", "openinference-instrumentation-litellm")
    programs.environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    found = programs.run(
        f"""
        given = dict(model="openai/gpt-4o", messages=HELLO, api_base={programs.server.url!r}, api_key="sk-test")
        with autotrace.span("top"):
            {form}
        """,
        imports="import litellm",
    )
    top, outer, inner = found.spans
    assert [span["framework"] for span in found.spans] == [None, "litellm", "openai"]
    assert (outer["parent_id"], inner["parent_id"]) == (top["span_id"], outer["span_id"])
    assert found.tokens == programs.billed != (0, 0)
    assert outer["input_tokens"] is None
    assert QUESTION in outer["content"]["attributes"]["gen_ai.input.messages"]


HTTP = "httpx.get({url!r} + '/v1/models')"


def test_no_ai_framework(programs: Programs) -> None:
    """OpenTelemetry's instrumentor of an HTTP client is off, says how to switch it on, and then makes spans of ours."""
    needs("httpx", "opentelemetry-instrumentation-httpx")
    url = programs.server.url.removesuffix("/v1")
    off = programs.run(f"{HTTP.format(url=url)}\nwith autotrace.span('own'): pass", imports="import httpx")
    assert off.names == ["own"]
    assert off.rows["httpx"][:2] == ["disabled", 'off unless it is named: autotrace.autolog("httpx", disable=False)']
    on = f'{ON}\nautotrace.autolog("httpx", disable=False)'
    found = programs.run(f"with autotrace.span('top'): {HTTP.format(url=url)}", before=on, imports="import httpx")
    top, get = [span for span in found.spans if span["trace_id"] not in {span["trace_id"] for span in off.spans}]
    assert (get["name"], get["parent_id"], get["framework"]) == ("GET", top["span_id"], "httpx")
    assert get["content"]["kind"] == "client"
    assert get["content"]["attributes"]["autotrace.instrumentor"] == "opentelemetry.instrumentation.httpx"
    assert 200 in get["content"]["attributes"].values()


def test_an_http_client_beneath_a_model(programs: Programs, vendor: str) -> None:
    """Two instrumentors of two vendors at once: the request lies beneath the model's call, tokens count once."""
    needs("opentelemetry-instrumentation-httpx")
    found = programs.run("ask(groq_client())", before=f'{ON}\nautotrace.autolog("httpx", disable=False)')
    assert found.tokens == programs.billed
    names = {span["name"]: span for span in found.spans}
    assert set(names) == {"chat m-1", "POST"}
    if vendor == "openinference":  # the other one makes no span current
        assert names["POST"]["parent_id"] == names["chat m-1"]["span_id"]


def test_a_namespace_package(programs: Programs) -> None:
    """A framework without a module of its own (a namespace) is traced when its part is imported."""
    needs("mistralai", "openinference-instrumentation-mistralai")
    found = programs.run(
        """
        from mistralai.client import Mistral
        client = Mistral(api_key="test", server_url={url!r})
        client.chat.complete(model="m-1", messages=HELLO)
        """.format(url=programs.server.url.removesuffix("/v1")),
        imports="",
    )
    span = found.one()
    assert (span["name"], span["provider"], span["framework"]) == ("chat m-1", "mistral_ai", "mistralai")
    assert found.tokens == programs.billed


def test_the_apps_own_provider(programs: Programs, vendor: str) -> None:
    """Where a sampler of OpenTelemetry's SDK is asked for, an instrumentor's spans are the SDK's, and as whole."""
    programs.environment["OTEL_TRACES_SAMPLER"] = "always_on"
    found = programs.run("with autotrace.span('top'): ask(groq_client())")
    assert found.names == ["top", "chat m-1"]
    assert found.spans[1]["parent_id"] == found.spans[0]["span_id"]
    assert found.tokens == programs.billed
