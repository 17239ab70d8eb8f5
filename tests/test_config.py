"""Settings: who outranks whom, and that nothing that is found in the environment or in a file stops a program."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autotrace
from autotrace import ConfigError, activation, setting_values
from autotrace.config import SETTINGS, Config, load

from .conftest import Collected, Interpreter

Write = Callable[[str], Path]

#: For each setting a value of each source, and how the three are read.
VALUES: dict[str, tuple[Any, str, str, Any, Any, Any]] = {
    "home": ("/call", "/env", '"/file"', Path("/call"), Path("/env"), Path("/file")),
    "disable": ("a", "b,c", '["d"]', {"a"}, {"b", "c"}, {"d"}),
    "capture_content": ("off", "truncated", '"full"', "off", "truncated", "full"),
    "content_limit": (10, "20", "30", 10, 20, 30),
    "destination": ((), "console", '["store", "console"]', (), ("console",), ("store", "console")),
    "environment": ("call", "env", '"file"', "call", "env", "file"),
    "service": ("call", "env", '"file"', "call", "env", "file"),
    "release": ("call", "env", '"file"', "call", "env", "file"),
    "sample": (0.5, "10%", "1", 0.5, 0.1, 1.0),
    "keep_slow": (2, "1500ms", '"1m"', 2.0, 1.5, 60.0),
    "keep_cost": (1, "0.05", "0.5", 1.0, 0.05, 0.5),
    "journal_size": (10, "1GiB", '"5 MB"', 10, 1024**3, 5_000_000),
    "journal_age": (60, "12h", '"30d"', 60.0, 43200.0, 2592000.0),
    "exit_timeout": (0, "1.5", "3", 0.0, 1.5, 3.0),
    "store_age": ("4w", "1h", "7", 2419200.0, 3600.0, 7.0),
    "store_size": ("1kb", "2MiB", '"3"', 1000, 2 * 1024**2, 3),
    "session_headers": ("X-Chat", "x-a, X-B,x-a", '["none"]', ("x-chat",), ("x-a", "x-b"), ()),
    "user_headers": (["X-Who"], "x-a", '"x-b"', ("x-who",), ("x-a",), ("x-b",)),
    "request_id_headers": ("none", "x-a", '["x-b"]', (), ("x-a",), ("x-b",)),
    "input_fields": ("data.q", "a.0.b, c,c", '["turns.-1"]', ("data.q",), ("a.0.b", "c"), ("turns.-1",)),
    "output_fields": (["a"], "b", '"c"', ("a",), ("b",), ("c",)),
    "session_fields": (["a"], "b", '"c"', ("a",), ("b",), ("c",)),
    "user_fields": (["a"], "b", '"c"', ("a",), ("b",), ("c",)),
    "embedding_url": ("http://a/v1", "http://b/v1", '"http://c/v1"', "http://a/v1", "http://b/v1", "http://c/v1"),
    "embedding_model": ("a", "b", '"c"', "a", "b", "c"),
    "feedback_endpoint": (False, "off", "true", False, False, True),
    "feedback_origins": (
        ["https://a"],
        "http://B:80/, *",
        '["https://c:8443"]',
        ("https://a",),
        ("*",),
        ("https://c:8443",),
    ),
    "feedback_rate": (0, "2.5", "10", 0.0, 2.5, 10.0),
    "trace_header": (False, "no", "true", False, False, True),
    "propagate_to": (["a"], "B.example, *.c", '["d:80"]', ("a",), ("b.example", "*.c"), ("d:80",)),
    "plugins": (["a.b"], "c, d.e,c", '["f"]', ("a.b",), ("c", "d.e"), ("f",)),
    "strict": (True, "yes", "false", True, True, False),
}
DEFAULTS = {
    "disable": frozenset(),
    "capture_content": "full",
    "content_limit": 1000,
    "destination": ("store",),
    "environment": None,
    "service": None,
    "release": None,
    "sample": 1.0,
    "keep_slow": None,
    "keep_cost": None,
    "journal_size": 1024**3,
    "journal_age": 7 * 86400.0,
    "exit_timeout": 2.0,
    "store_age": None,
    "store_size": None,
    "session_headers": setting_values.SESSION_HEADERS,
    "user_headers": setting_values.USER_HEADERS,
    "request_id_headers": setting_values.REQUEST_ID_HEADERS,
    **dict.fromkeys(("input_fields", "output_fields", "session_fields", "user_fields"), ()),
    "embedding_url": None,
    "embedding_model": None,
    "feedback_endpoint": True,
    "feedback_origins": (),
    "feedback_rate": 100.0,
    "trace_header": True,
    "propagate_to": (),
    "plugins": (),
    "strict": False,
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the pyproject.toml of the working folder."""

    def write(text: str) -> Path:
        path = tmp_path / "pyproject.toml"
        path.write_text(text)
        return path

    return write


def problems(config: Config) -> list[tuple[str, str]]:
    """Key and source of what could not be used."""
    return [(problem.key, problem.source) for problem in config.problems]


def test_every_setting_is_here() -> None:
    """The table above has a row for every setting that there is."""
    assert set(VALUES) == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_precedence(name: str, tmp_path: Path, write: Write) -> None:
    """A call argument outranks the environment, that outranks pyproject.toml, that outranks the default."""
    call, env, file, from_call, from_env, from_file = VALUES[name]
    environ = {f"AUTOTRACE_{name.upper()}": env}
    assert getattr(load(environ={}, folder=tmp_path), name) == DEFAULTS.get(name, tmp_path / ".autotrace")
    path = write(f"[tool.autotrace]\n{name} = {file}\n")
    found = load(environ={}, folder=tmp_path)
    assert (getattr(found, name), found.sources[name]) == (from_file, str(path))
    found = load(environ=environ, folder=tmp_path)
    assert (getattr(found, name), found.sources[name]) == (from_env, "environment")
    found = load({name: call}, environ=environ, folder=tmp_path)
    assert (getattr(found, name), found.sources[name], found.problems) == (from_call, "autolog()", ())


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("home", 5),
        ("home", "~nobody_of_this_name/x"),
        ("disable", 5),
        ("capture_content", "some"),
        ("content_limit", "many"),
        ("content_limit", 0),
        ("content_limit", float("inf")),
        ("destination", "no where"),
        ("destination", "../store"),
        ("sample", 1.1),
        ("sample", "-1%"),
        ("sample", "nan"),
        ("keep_slow", "10 fortnights"),
        ("keep_slow", 0),
        ("keep_cost", "much"),
        ("keep_cost", "inf"),
        ("journal_size", "1XB"),
        ("journal_size", "-1"),
        ("journal_size", "0.5"),
        ("journal_age", "0d"),
        ("exit_timeout", -1),
        ("store_age", "1e3"),
        ("environment", " "),
        ("service", 7),
        ("release", []),
        ("plugins", "../a.py"),
        ("strict", "perhaps"),
    ],
)
def test_bad_values(name: str, bad: Any, tmp_path: Path, write: Write) -> None:
    """A bad value is named with its key and its source, and the next weaker source counts; content is then off."""
    with pytest.raises(ConfigError) as caught:
        load({name: bad}, environ={}, folder=tmp_path)
    assert (caught.value.key, caught.value.source) == (name, "autolog()")
    toml = "inf" if bad == float("inf") else f'"{bad}"' if isinstance(bad, str) else str(bad)
    path = write(f"[tool.autotrace]\n{name} = {toml}\n")
    found = load(environ={}, folder=tmp_path)
    assert problems(found) == [(f"tool.autotrace.{name}", str(path))]
    expected = "off" if name == "capture_content" else DEFAULTS.get(name, tmp_path / ".autotrace")
    assert getattr(found, name) == expected


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("AUTOTRACE_CAPTURE_CONTENT", "some"),
        ("AUTOTRACE_CONTENT_LIMIT", "-1"),
        ("AUTOTRACE_DESTINATION", "store,no where"),
        ("AUTOTRACE_STRICT", "perhaps"),
        ("AUTOTRACE_ACME_CAPTURE_CONTENT", "some"),
        ("AUTOTRACE_ACME_DISABLE", "perhaps"),
        ("AUTOTRACE_NONSENSE", "1"),
    ],
)
def test_bad_environment(variable: str, text: str, tmp_path: Path) -> None:
    """A bad variable is named; everything else stays at its default. What was to be captured is not guessed."""
    found = load(environ={variable: text}, folder=tmp_path)
    assert problems(found) == [(variable, "environment")]
    general = {"capture_content": "off"} if variable == "AUTOTRACE_CAPTURE_CONTENT" else {}
    assert {name: getattr(found, name) for name in DEFAULTS} == {**DEFAULTS, **general}
    assert found.framework("acme").capture_content == ("off" if "CAPTURE" in variable else "full")


def test_empty_variables(tmp_path: Path) -> None:
    """A variable that is set to nothing is as good as none; an empty `AUTOTRACE_DISABLE` disables nothing."""
    names = [f"AUTOTRACE_{name.upper()}" for name in SETTINGS] + ["AUTOTRACE_ACME_CAPTURE_CONTENT"]
    found = load(environ=dict.fromkeys(names, ""), folder=tmp_path)
    assert found.problems == ()
    assert {name: getattr(found, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(
    "text",
    [
        "[tool.autotrace\n",
        "tool = 5 # autotrace",
        "[tool]\nautotrace = 5",
        "[tool.autotrace]\nhome = 'a'\nhome = 'b'",
        b"# autotrace \xff\xfe",
    ],
)
def test_invalid_file(text: str | bytes, tmp_path: Path, write: Write) -> None:
    """A pyproject.toml that cannot be understood is named, and counts as empty."""
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = load(environ={}, folder=tmp_path)
    assert problems(found) == [("[tool.autotrace]", str(path))]


def test_unreadable_file(tmp_path: Path) -> None:
    """A pyproject.toml that cannot be read (a folder of that name) is named, and counts as empty."""
    (tmp_path / "pyproject.toml").mkdir()
    assert problems(load(environ={}, folder=tmp_path)) == [("[tool.autotrace]", str(tmp_path / "pyproject.toml"))]


def test_unknown_key_in_a_file(tmp_path: Path, write: Write) -> None:
    """An unknown key of the table is named with the file."""
    path = write("[tool.autotrace]\ncolour = 'red'\n")
    assert problems(load(environ={}, folder=tmp_path)) == [("tool.autotrace.colour", str(path))]


def test_the_nearest_file_counts(tmp_path: Path, write: Write) -> None:
    """pyproject.toml is looked for upwards; the nearest counts, whether or not it speaks of autotrace."""
    write("[tool.autotrace]\nservice = 'above'\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert load(environ={}, folder=inner).service == "above"
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert load(environ={}, folder=inner).service is None


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    """Variables that are not ours, and the marks of `autotrace run`, are no problems."""
    assert load(environ={"AUTOTRACE_AUTO": "1", "PATH": "/", "AUTOTRACER": "x"}, folder=tmp_path).problems == ()


@pytest.mark.parametrize(
    ("switch", "address", "expected"),
    [
        (None, "databricks", "mlflow"),
        ("true", "databricks", "mlflow"),
        ("True", None, "mlflow"),
        ("1", None, "mlflow"),
        ("false", "databricks", "store"),
        ("0", "https://mlflow.example.org", "store"),
        ("false", None, "store"),
        (None, None, "store"),
    ],
)
def test_databricks_model_serving(switch: str | None, address: str | None, expected: str, tmp_path: Path) -> None:
    """ENABLE_MLFLOW_TRACING decides whether traces go to MLflow, where no destination is set."""
    given = {"ENABLE_MLFLOW_TRACING": switch, "MLFLOW_TRACKING_URI": address}
    environ = {name: value for name, value in given.items() if value is not None}
    environ.update(IS_IN_DB_MODEL_SERVING_ENV="true", DATABRICKS_HOST="https://example.org")
    assert load(environ=environ, folder=tmp_path).destination == (expected,)
    assert load(environ={**environ, "AUTOTRACE_DESTINATION": "console"}, folder=tmp_path).destination == ("console",)


def test_sdk_disabled(tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED=true switches everything off, whatever else is said."""
    found = load({"disable": ""}, {"acme": {"disable": False}}, {"OTEL_SDK_DISABLED": "True"}, tmp_path)
    assert found.is_disabled("acme")
    assert not load(environ={"OTEL_SDK_DISABLED": "false"}, folder=tmp_path).is_disabled("acme")


@pytest.mark.parametrize(
    ("value", "off"),
    [
        ("0", True),
        ("false", True),
        (" NO ", True),
        ("off", True),
        ("1", False),
        ("yes", False),
        ("", False),
        (" ", False),
    ],
)
def test_switch(value: str, off: bool, tmp_path: Path) -> None:
    """AUTOTRACE=0 switches everything off, whatever else is said; what is neither true nor false is told."""
    found = load({"disable": ""}, {"acme": {"disable": False}}, {"AUTOTRACE": value}, tmp_path)
    assert (found.is_disabled("acme"), found.problems) == (off, ())
    odd = load(environ={"AUTOTRACE": "perhaps"}, folder=tmp_path)
    assert (odd.is_disabled("acme"), problems(odd)) == (False, [("AUTOTRACE", "environment")])


def test_framework_settings(tmp_path: Path, write: Write) -> None:
    """A framework's own settings outrank the general ones, and one another by source."""
    write('[tool.autotrace]\ncapture_content = "truncated"\n[tool.autotrace.llama-index]\ncapture_content = "off"\n')
    found = load(environ={}, folder=tmp_path)
    assert found.framework("llama-index").capture_content == "off"
    assert found.framework("other").capture_content == "truncated"
    environ = {"AUTOTRACE_LLAMA_INDEX_CAPTURE_CONTENT": "full", "AUTOTRACE_LLAMA_INDEX_DETAIL": "high"}
    found = load(environ=environ, folder=tmp_path)
    assert found.framework("llama-index").capture_content == "full"
    assert found.framework("llama-index").settings["detail"].value == "high"
    given = {"llama-index": {"capture_content": "truncated"}}
    assert load({}, given, environ, tmp_path).framework("llama-index").capture_content == "truncated"


def test_a_bad_framework_setting_gives_way(tmp_path: Path, write: Write) -> None:
    """A bad switch for a framework leaves what the file says of it in force."""
    write("[tool.autotrace.acme]\ndisable = true\n")
    found = load(environ={"AUTOTRACE_ACME_DISABLE": "perhaps"}, folder=tmp_path)
    assert found.is_disabled("acme")
    assert problems(found) == [("AUTOTRACE_ACME_DISABLE", "environment")]


def test_bad_capture_content_fails_closed(tmp_path: Path, write: Write) -> None:
    """A value that cannot be used captures nothing, though a weaker source says `full`; a stronger one decides."""
    write('[tool.autotrace]\ncapture_content = "full"\n[tool.autotrace.acme]\ncapture_content = "full"\n')
    for variable in ("AUTOTRACE_CAPTURE_CONTENT", "AUTOTRACE_ACME_CAPTURE_CONTENT"):
        found = load(environ={variable: "metadata"}, folder=tmp_path)
        assert found.framework("acme").capture_content == "off"
        assert "counts as off" in str(found.problems[0])
        called = load({"capture_content": "full"}, environ={variable: "metadata"}, folder=tmp_path)
        assert called.framework("acme").capture_content == "full"
    path = write('[tool.autotrace.acme]\ncapture_content = "metadata"\n')
    found = load(environ={}, folder=tmp_path)
    assert (found.framework("acme").capture_content, found.capture_content) == ("off", "full")
    assert problems(found) == [("acme.capture_content", str(path))]


@pytest.mark.parametrize(
    ("value", "meaning"),
    [(text, "off") for text in ("OFF", "false", "0", "No", "None")]
    + [(text, "full") for text in ("Full", "true", "1", "yes", "on")]
    + [(" Truncated ", "truncated"), (False, "off"), (True, "full"), (0, "off")],
)
def test_capture_content_as_a_switch(value: Any, meaning: str, tmp_path: Path) -> None:
    """`capture_content` is understood in capitals too, and as a switch."""
    assert load({"capture_content": value}, environ={}, folder=tmp_path).capture_content == meaning
    environ = {"AUTOTRACE_CAPTURE_CONTENT": str(value), "AUTOTRACE_ACME_CAPTURE_CONTENT": str(value)}
    found = load(environ=environ, folder=tmp_path)
    assert (found.framework("acme").capture_content, found.problems) == (meaning, ())


CALL_ON, CALL_OFF = {"acme": {"disable": False}}, {"acme": {"disable": True}}
FILE_ON, FILE_OFF = "[tool.autotrace.acme]\ndisable = false", "[tool.autotrace.acme]\ndisable = true"


@pytest.mark.parametrize(
    ("arguments", "frameworks", "environ", "file", "off"),
    [
        ({}, {}, {}, "", False),
        ({}, {}, {"AUTOTRACE_DISABLE": "acme,other"}, "", True),
        ({}, {}, {"AUTOTRACE_DISABLE": "other"}, "", False),
        ({}, {}, {"AUTOTRACE_DISABLE": "all"}, "", True),
        ({}, {}, {"AUTOTRACE_DISABLE": "1"}, "", True),
        ({}, {}, {"AUTOTRACE_DISABLE": "True"}, "", True),
        ({}, {}, {"AUTOTRACE_DISABLE": "yes"}, "", True),
        ({}, {}, {"AUTOTRACE_DISABLE": "on"}, "", True),
        ({}, {}, {"AUTOTRACE_DISABLE": "ALL"}, "", True),
        ({}, {}, {"AUTOTRACE_DISABLE": "0"}, "", False),
        ({}, {}, {"AUTOTRACE_DISABLE": "other, ACME"}, "", True),
        ({}, {}, {}, "[tool.autotrace]\ndisable = true", True),
        ({}, {}, {}, "[tool.autotrace]\ndisable = ['Acme']", True),
        ({}, {}, {}, "[tool.autotrace.Acme]\ndisable = true", True),
        ({}, {"ACME": {"disable": True}}, {}, "", True),
        ({}, {}, {"AUTOTRACE_ACME_DISABLE": "true"}, "", True),
        ({}, {}, {}, FILE_OFF, True),
        ({}, {}, {"AUTOTRACE_ACME_DISABLE": "false"}, FILE_OFF, False),
        ({}, {}, {"AUTOTRACE_DISABLE": "acme"}, FILE_ON, True),
        ({}, CALL_ON, {"AUTOTRACE_DISABLE": "acme"}, "", False),
        ({}, CALL_ON, {"AUTOTRACE_DISABLE": "all"}, FILE_OFF, False),
        ({}, CALL_OFF, {"AUTOTRACE_ACME_DISABLE": "false"}, "", True),
        ({"disable": "all"}, CALL_ON, {}, "", False),
        ({"disable": "all"}, {}, {"AUTOTRACE_ACME_DISABLE": "false"}, "", True),
        ({"disable": ""}, {}, {"AUTOTRACE_DISABLE": "acme"}, "", False),
    ],
)
def test_disable(
    arguments: Any, frameworks: Any, environ: Any, file: str, off: bool, tmp_path: Path, write: Write
) -> None:
    """The stronger source counts; of one source, what is said of the framework counts more than what is said of all."""
    write(file)
    found = load(arguments, frameworks, environ, tmp_path)
    assert found.problems == ()
    assert found.is_disabled("acme") is off
    assert found.framework("acme").disabled is off


def test_the_last_call_counts(clean: None, fakes_on_path: None) -> None:
    """Switching everything off or on in code outranks what was said of one framework before."""
    config = activation.active().config
    autotrace.autolog("acme", disable=False)
    autotrace.autolog(disable=True)
    assert config().is_disabled("acme")
    autotrace.autolog("acme", disable=True)
    autotrace.autolog(disable=False)
    assert not config().is_disabled("acme")


@pytest.mark.parametrize(
    "call",
    [
        lambda: autotrace.autolog(capture_content="some"),
        lambda: autotrace.autolog(colour="red"),
        lambda: autotrace.autolog("acme", capture_content="some"),
        lambda: autotrace.autolog("acme", disable=True, tracer_provider=object()),  # type: ignore[arg-type]
        lambda: autotrace.autolog(capture_content="off", content_limit="many"),
    ],
)
def test_a_bad_call_changes_nothing(call: Callable[[], None], clean: None) -> None:
    """`autolog` with a bad argument raises ConfigError, and leaves every setting as it was."""
    autotrace.autolog(capture_content="truncated")
    before = activation.active().config()
    with pytest.raises(ConfigError):
        call()
    assert activation.active().config() == before


def test_a_misspelt_plugin_setting(spans: Collected, fakes_on_path: None, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin's setting that is unknown, or has no such value, is told once, with what there is."""
    import acme  # noqa: F401

    caplog.set_level(logging.WARNING, "autotrace")
    autotrace.autolog("acme", detail="high")
    assert caplog.messages == []
    autotrace.autolog("acme", detail="huge")
    autotrace.autolog("acme", details="high")
    autotrace.autolog()
    assert sorted(set(caplog.messages)) == sorted(caplog.messages)
    assert caplog.messages == [
        "acme.detail (autolog()): 'huge' is not one of low, high",
        "acme.details (autolog()): no such setting; there are capture_content, disable, plugin, detail",
    ]


def test_a_setting_for_nobody(
    clean: None, fakes_on_path: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A variable that belongs to no installed plugin is told once; `autotrace` and `threading` are somebody."""
    for name in ("AUTOTRACE_ACNE_DISABLE", "AUTOTRACE_AUTOTRACE_CAPTURE_CONTENT", "AUTOTRACE_THREADING_DISABLE"):
        monkeypatch.setenv(name, "off")
    caplog.set_level(logging.WARNING, "autotrace")
    autotrace.autolog("autotrace", disable=False)
    autotrace.autolog("threading", disable=True)
    import acme  # noqa: F401

    autotrace.autolog()
    assert caplog.messages == [
        "AUTOTRACE_ACNE_DISABLE (environment): no such setting, and no plugin of that name is installed"
    ]


def test_disabling_nobody(
    clean: None, fakes_on_path: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A name in `disable` that no installed plugin has is told once; `autotrace` and `threading` are somebody."""
    monkeypatch.setenv("AUTOTRACE_DISABLE", "acne,Threading,AUTOTRACE")
    caplog.set_level(logging.WARNING, "autotrace")
    autotrace.autolog()
    import acme  # noqa: F401

    autotrace.autolog()
    assert caplog.messages == ["AUTOTRACE_DISABLE (environment): 'acne': no plugin of that name is installed"]


def test_names_in_capitals(spans: Collected, fakes_on_path: None, caplog: pytest.LogCaptureFixture) -> None:
    """`autolog` knows a framework however its name is written, and the last word counts."""
    import acme

    autotrace.autolog("Acme", disable=True)
    acme.Client().complete("hi")
    assert spans.finished == []
    autotrace.autolog("acme", disable=False)
    acme.Client().complete("hi")
    spans.one()
    assert caplog.messages == []


def test_the_program_goes_on(python: Interpreter) -> None:
    """With nothing but bad settings a program is traced with the defaults, told what is wrong, and ends well."""
    (python.folder / "pyproject.toml").write_text("[tool.autotrace\n")
    python.environment = {
        "AUTOTRACE_CAPTURE_CONTENT": "some",
        "AUTOTRACE_CONTENT_LIMIT": "x",
        "AUTOTRACE_COLOUR": "red",
        "AUTOTRACE_STRICT": "perhaps",
    }
    names = python.json("""
        import json, logging
        logging.basicConfig()
        import autotrace.auto, acme, collecting
        autotrace.autolog(tracer_provider=collecting.provider)
        acme.Client().complete("hi")
        print(json.dumps(collecting.names()))
    """)
    assert names == ["chat acme-1"]
    told = [line for line in python.errors.splitlines() if line.startswith("WARNING:autotrace:")]
    for key in (*python.environment, "pyproject.toml"):
        assert sum(key in line for line in told) == 1, (key, told)


def test_deleted_working_folder(python: Interpreter) -> None:
    """A program whose working folder is gone is traced all the same."""
    python.environment = {"AUTOTRACE_HOME": ""}
    names = python.json("""
        import json, os
        os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
        import autotrace.auto, acme, collecting
        autotrace.autolog(capture_content="truncated")
        acme.Client().complete("nowhere to go")
        autotrace.autolog(tracer_provider=collecting.provider)
        acme.Client().complete("hi")
        with autotrace.span("mine"):
            pass
        print(json.dumps(collecting.names()))
    """)
    assert names == ["chat acme-1", "mine"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(SETTINGS)), value=ANYTHING)
def test_any_value(name: str, value: Any) -> None:
    """Whatever a setting is given is read, or refused by a ConfigError."""
    with suppress(ConfigError):
        load({name: value}, environ={}, folder=Path(os.sep))


def test_the_plugin_of_a_framework(tmp_path: Path, write: Write) -> None:
    """`plugin` is found by any name of the framework, from the strongest source, and named as the user wrote it."""
    path = write('[tool.autotrace.llama_index]\nplugin = "a"\n')
    names = {"llama_index", "llama_index.core"}
    found = load(environ={}, folder=tmp_path)
    assert found.plugin_for({"openai"}) is None
    assert found.plugin_for(names) == ("tool.autotrace.llama_index.plugin", ("a", str(path)))
    found = load(environ={"AUTOTRACE_LLAMA_INDEX_CORE_PLUGIN": "b"}, folder=tmp_path)
    assert found.plugin_for(names) == ("AUTOTRACE_LLAMA_INDEX_CORE_PLUGIN", ("b", "environment"))
    found = load({}, {"llama_index": {"plugin": "c"}}, environ={"AUTOTRACE_LLAMA_INDEX_PLUGIN": "b"}, folder=tmp_path)
    assert found.plugin_for(names) == ("llama_index.plugin", ("c", "autolog()"))
    assert dict(found.framework("llama_index").settings) == {}


def test_a_plugin_that_is_no_name(tmp_path: Path) -> None:
    """A bad `plugin` is told, and nothing is chosen."""
    found = load({}, environ={"AUTOTRACE_OPENAI_PLUGIN": " "}, folder=tmp_path)
    assert problems(found) == [("AUTOTRACE_OPENAI_PLUGIN", "environment")]
    assert found.plugin_for({"openai"}) is None
    with pytest.raises(ConfigError, match=r"openai\.plugin"):
        load({}, {"openai": {"plugin": 5}}, environ={}, folder=tmp_path)


def test_a_file_that_cannot_be_parsed_captures_nothing(tmp_path: Path) -> None:
    """What a broken file says of content is not known, so none is captured; a stronger source still counts."""
    (tmp_path / "pyproject.toml").write_text('[tool.autotrace]\ncapture_content = "off"\nthis is no TOML')
    assert load(environ={}, folder=tmp_path).capture_content == "off"
    assert load(environ={"AUTOTRACE_CAPTURE_CONTENT": "full"}, folder=tmp_path).capture_content == "full"


@pytest.mark.parametrize("field", ["password", "user.api_key", "auth.accessToken", "client_secret"])
def test_no_credential_is_an_id(field: str) -> None:
    """A field that holds a credential cannot be named as somebody's id; one that merely is called alike can."""
    with pytest.raises(ValueError, match=re.escape(f"{field!r} holds a credential")):
        setting_values.id_paths(["user.name", field])
    assert setting_values.id_paths("secretary, token.owner") == ("secretary", "token.owner")
