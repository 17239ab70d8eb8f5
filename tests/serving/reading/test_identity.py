"""Who asked, in which conversation, by which request: by headers, and by MLflow's context."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from autotrace.serving.reading import Identity, Names, databricks_request_id, identifier, identity_of, merged
from autotrace.setting_values import REQUEST_ID_HEADERS, SESSION_HEADERS, USER_HEADERS, headers


def test_headers_of_other_alphabets() -> None:
    """Servers read the bytes of a header as Latin-1: what was UTF-8 is told as it was meant."""
    for name in ("jürgen", "ジュン"):
        assert identity_of({"x-user-id": name.encode().decode("latin-1")}, Names()).user == name
    assert identity_of({"x-user-id": "jürgen"}, Names()).user == "jürgen"


def test_headers() -> None:
    """Of the headers that count the first that says something does."""
    given = {
        "x-session-id": " ",
        "x-conversation-id": "s-1",
        "x-chat-id": "s-2",
        "x-user-id": "Ann",
        "x-request-id": "r",
    }
    assert identity_of(given, Names()) == Identity("s-1", "Ann", "r")
    assert identity_of({}, Names()) == Identity()
    own = Names(("x-chat-id",), (), ("x-trace",))
    assert identity_of({**given, "x-trace": "t"}, own) == Identity("s-2", None, "t")


def test_no_credential_is_read() -> None:
    """No header that holds a right is among the defaults, and none can be set."""
    for name in (*SESSION_HEADERS, *USER_HEADERS, *REQUEST_ID_HEADERS):
        assert headers(name) == (name,)
    given = dict.fromkeys(
        ("authorization", "cookie", "x-api-key", "x-forwarded-email", "x-forwarded-access-token"), "x"
    )
    assert identity_of(given, Names()) == Identity()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("s-1", "s-1"),
        (" s 1 ", "s 1"),
        ("a\r\nb\x00c\x7f\u202ed", "abcd"),
        ("é😀", "é😀"),
        ("half \ud83d", "half \ufffd"),
        (17, "17"),
        (2**63, str(2**63)),
        (10**400, None),
        (True, None),
        (1.5, None),
        ("", None),
        ("\n\t ", None),
        (None, None),
        (["s"], None),
        ({"id": "s"}, None),
        (b"s", None),
    ],
)
def test_identifiers(value: object, expected: str | None) -> None:
    """An id is a line of text or a whole number, without what a terminal or a log could be fooled with."""
    assert identifier(value) == expected


def test_long_identifiers_stay_apart() -> None:
    """Two long ids that begin alike are two, each of no more than 250 characters."""
    one, other = identifier("x" * 300), identifier("x" * 300 + "y")
    assert one != other
    assert [len(one or ""), len(other or "")] == [250, 250]
    assert identifier("x" * 250) == "x" * 250


def test_merged() -> None:
    """What one says counts, what it does not say the other one does."""
    assert merged(Identity("a", None, "r"), Identity("b", "u", "q")) == Identity("a", "u", "r")


def context(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    module = ModuleType("mlflow.pyfunc.context")
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc.context", module)


def test_databricks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The id that Databricks' container tells MLflow is read where MLflow is, and nothing is imported for it."""
    monkeypatch.delitem(sys.modules, "mlflow.pyfunc.context", raising=False)
    before = set(sys.modules)
    assert databricks_request_id() is None
    assert set(sys.modules) == before
    context(
        monkeypatch, "class Context:\n    request_id = 'req-1'\n\ndef get_prediction_context():\n    return Context()"
    )
    assert databricks_request_id() == "req-1"
    for source in (
        "",
        "def get_prediction_context():\n    return None",
        "def get_prediction_context():\n    raise RuntimeError('half imported')",
        "get_prediction_context = 7",
    ):
        context(monkeypatch, source)
        assert databricks_request_id() is None
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc.context", None)
    assert databricks_request_id() is None
