"""What the OTLP destination is told by settings and variables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from autotrace.config import Setting, load
from autotrace.delivery.destinations.otlp import make
from autotrace.delivery.destinations.otlp.dialects import DIALECTS
from autotrace.delivery.destinations.otlp.settings import NAMES, Settings, read
from autotrace.recording.guard import guard


def settings(own: dict[str, Any] | None = None, **standard: str) -> Settings:
    found, problems = read({name: Setting(value, "pyproject.toml") for name, value in (own or {}).items()}, standard)
    assert problems == []
    return found


def otlp(**variables: str) -> dict[str, str]:
    return {f"OTEL_EXPORTER_OTLP_{name}": text for name, text in variables.items()}


def test_defaults() -> None:
    """With nothing set spans go to a collector on this machine, packed, over HTTP."""
    assert settings() == Settings("http://localhost:4318/v1/traces")


@pytest.mark.parametrize(
    ("variables", "url", "protocol"),
    [
        (otlp(ENDPOINT="http://h:4318"), "http://h:4318/v1/traces", "http/protobuf"),
        (otlp(ENDPOINT="http://h:4318/"), "http://h:4318/v1/traces", "http/protobuf"),
        (otlp(ENDPOINT="https://h/api/otel"), "https://h/api/otel/v1/traces", "http/protobuf"),
        (otlp(ENDPOINT="https://h/v1/traces"), "https://h/v1/traces", "http/protobuf"),
        (otlp(ENDPOINT="h:4318"), "http://h:4318/v1/traces", "http/protobuf"),
        (otlp(TRACES_ENDPOINT="http://h:1/x", ENDPOINT="http://no"), "http://h:1/x", "http/protobuf"),
        (otlp(ENDPOINT="http://h:4317"), "http://h:4317", "grpc"),
        (otlp(ENDPOINT="http://h:4317", PROTOCOL="http/protobuf"), "http://h:4317/v1/traces", "http/protobuf"),
        (otlp(ENDPOINT="h:9", PROTOCOL="grpc"), "h:9", "grpc"),
        (otlp(PROTOCOL="grpc"), "http://localhost:4317", "grpc"),
        (otlp(PROTOCOL="grpc", TRACES_PROTOCOL="http/json"), "http://localhost:4318/v1/traces", "http/json"),
    ],
)
def test_endpoints(variables: dict[str, str], url: str, protocol: str) -> None:
    """The variable for traces is the whole address, the one for all signals its beginning; 4317 is gRPC's port."""
    found = settings(**variables)
    assert (found.url, found.protocol) == (url, protocol)


def test_every_variable_has_one_for_traces() -> None:
    """What is said of traces counts more than what is said of all signals; empty variables say nothing."""
    general = otlp(
        HEADERS="a=1",
        TIMEOUT="7",
        COMPRESSION="gzip",
        CERTIFICATE="ca",
        CLIENT_CERTIFICATE="cert",
        CLIENT_KEY="key",
        INSECURE="true",
        PROTOCOL="grpc",
        ENDPOINT="h:1",
    )
    found = settings(**general)
    assert found == Settings(
        "h:1", {"a": "1"}, "grpc", True, 7.0, "ca", "cert", "key", True, DIALECTS["genai"], standard=general
    )
    traces = {name.replace("OTLP_", "OTLP_TRACES_"): text for name, text in general.items()}
    changed = otlp(
        HEADERS="a=2",
        TIMEOUT="8",
        COMPRESSION="none",
        CERTIFICATE="ca2",
        CLIENT_CERTIFICATE="cert2",
        CLIENT_KEY="key2",
        INSECURE="false",
        PROTOCOL="http/json",
        ENDPOINT="http://h:2",
    )
    both = {**changed, **traces}
    assert settings(**both) == Settings(
        "h:1", {"a": "1"}, "grpc", True, 7.0, "ca", "cert", "key", True, DIALECTS["genai"], standard=both
    )
    empty = {**general, **dict.fromkeys(traces, " ")}
    assert settings(**empty).headers == {"a": "1"}


def test_our_own_settings_count_most() -> None:
    """All of it can be set as ours too; headers as a table."""
    found = settings(
        {
            "endpoint": "http://mine:1",
            "headers": {"X-Key": "k"},
            "protocol": "http/json",
            "compression": "none",
            "timeout": 3,
            "dialect": "Langfuse",
            "max_rate": "20",
        },
        **otlp(TRACES_ENDPOINT="http://other", HEADERS="a=1"),
    )
    assert (found.url, found.headers, found.protocol) == ("http://mine:1/v1/traces", {"x-key": "k"}, "http/json")
    assert (found.compresses, found.timeout_s, found.max_rate) == (False, 3.0, 20.0)
    assert found.dialect is DIALECTS["langfuse"]


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("a=1", {"a": "1"}),
        ("A = 1 , b=x%20y", {"a": "1", "b": "x y"}),
        ("authorization=Basic dXNlcjpwYXNz==", {"authorization": "Basic dXNlcjpwYXNz=="}),
        ("a=1,,", {"a": "1"}),
        ("a=1%2C2,b=", {"a": "1,2", "b": ""}),
    ],
)
def test_headers(text: str, headers: dict[str, str]) -> None:
    """Headers are percent-encoded pairs; a value may hold an equals sign."""
    assert settings(**otlp(HEADERS=text)).headers == headers


@pytest.mark.parametrize(("text", "seconds"), [("10", 10.0), ("2.5", 2.5), ("10000", 10.0), ("500", 30.0)])
def test_timeouts(text: str, seconds: float) -> None:
    """Seconds, as with OpenTelemetry in Python; what is too many of them are its milliseconds."""
    assert settings(**otlp(TIMEOUT=text)).timeout_s == seconds


@pytest.mark.parametrize(
    ("endpoint", "insecure", "is_insecure"),
    [
        ("http://h", None, True),
        ("http://h", "false", True),
        ("https://h", "true", False),
        ("h:1", None, False),
        ("h:1", "true", True),
        ("h:1", "false", False),
    ],
)
def test_insecure(endpoint: str, insecure: str | None, is_insecure: bool) -> None:
    """A scheme says whether there is TLS; without one the variable does."""
    more = {} if insecure is None else otlp(INSECURE=insecure)
    assert settings(**otlp(ENDPOINT=endpoint, PROTOCOL="grpc"), **more).is_insecure == is_insecure


def test_dialects_bring_what_they_need() -> None:
    """Datadog's header and Phoenix's rate come with their dialects, and give way to the user's own."""
    assert settings({"dialect": "datadog"}).headers == {"dd-otlp-source": "llmobs"}
    own = settings({"dialect": "datadog"}, **otlp(HEADERS="dd-api-key=k,dd-otlp-source=mine"))
    assert own.headers == {"dd-api-key": "k", "dd-otlp-source": "mine"}
    assert settings({"dialect": "phoenix"}).max_rate == 100.0
    assert settings({"dialect": "phoenix", "max_rate": 7}).max_rate == 7.0
    assert settings({"dialect": "phoenix", "max_rate": 0}).max_rate is None
    assert settings({"dialect": "openinference"}).max_rate is None


@pytest.mark.parametrize(
    ("own", "variables"),
    [
        ({"dialect": "klingon"}, {}),
        ({"dialect": 3}, {}),
        ({"max_rate": "fast"}, {}),
        ({"max_rate": -1}, {}),
        ({"max_rate": True}, {}),
        ({"max_rate": float("inf")}, {}),
        ({"endpoint": ""}, {}),
        ({"endpoint": "ftp://h"}, {}),
        ({"endpoint": "http://h:port"}, {}),
        ({"endpoint": "http://[::1"}, {}),
        ({"headers": ["a"]}, {}),
        ({"headers": {"a b": "c"}}, {}),
        ({"headers": {"a": "b\r\nc"}}, {}),
        ({"nonsense": 1}, {}),
        ({}, otlp(HEADERS="secret")),
        ({}, otlp(HEADERS="a=x%0Asecret")),
        ({}, otlp(PROTOCOL="carrier-pigeon")),
        ({}, otlp(COMPRESSION="zip")),
        ({}, otlp(TIMEOUT="soon")),
        ({}, otlp(INSECURE="perhaps")),
        ({}, otlp(ENDPOINT="http://user:secret@h:port")),
    ],
    ids=str,
)
def test_what_cannot_be_used(own: dict[str, Any], variables: dict[str, str]) -> None:
    """A value that cannot be used is told of, without what may be secret, and the default takes its place."""
    found, problems = read({name: Setting(value, "pyproject.toml") for name, value in own.items()}, variables)
    assert found == Settings("http://localhost:4318/v1/traces", standard=variables)
    [problem] = problems
    assert "otlp" in str(problem).lower()
    assert "secret" not in str(problem)


def test_the_next_weaker_value_counts() -> None:
    """Where a value cannot be used, the next weaker source is asked."""
    found, problems = read({}, otlp(TRACES_TIMEOUT="soon", TIMEOUT="3"))
    assert (found.timeout_s, len(problems)) == (3.0, 1)


def test_secrets_do_not_show() -> None:
    """Headers and proxies stay out of the settings' text."""
    found = settings(**otlp(HEADERS="authorization=Bearer%20topsecret"), HTTPS_PROXY="http://u:topsecret@h")
    assert "topsecret" not in repr(found)


def test_what_is_told_is_what_was_written(tmp_path: Path) -> None:
    """A problem names the setting as the user wrote it."""
    guard.reset()
    make(load(environ={"AUTOTRACE_OTLP_DIALECT": "klingon"}, folder=tmp_path))
    [told] = guard.told
    guard.reset()
    assert "AUTOTRACE_OTLP_DIALECT" in told
    assert "'klingon' is none of genai" in told


def test_every_setting_is_documented() -> None:
    """docs/destinations.md has a row for each setting, and names each dialect."""
    page = (Path(__file__).parents[3] / "docs" / "destinations.md").read_text(encoding="utf-8")
    section = page.partition("## OTLP\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| `(?:OTEL_EXPORTER_OTLP|AUTOTRACE_OTLP)", section, re.MULTILINE) == list(NAMES)
    rows = re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \| [A-Z]", section, re.MULTILINE)
    assert {name for row in rows for name in row if name} == set(DIALECTS)
