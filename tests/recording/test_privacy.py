"""What of a call's content reaches a span: cut, redacted, or nothing; and nothing of it reaches the log."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import StatusCode

import autotrace
from autotrace import Message, Part, ToolCall, activation
from autotrace.recording.guard import guard
from autotrace.recording.privacy import ATTRIBUTE_LIMIT, DROPPED, TEXT_LIMIT, Policy

from ..conftest import Collected


def everything(span: Any) -> str:
    """All that a span says, as one text."""
    events = [(event.name, dict(event.attributes)) for event in span.events]
    return repr((span.name, dict(span.attributes), events, span.status.description))


def test_off_leaves_nothing(acme: Any, spans: Collected, caplog: pytest.LogCaptureFixture) -> None:
    """With content off no text of the user's is anywhere; the figures stay (law L41)."""
    autotrace.autolog(capture_content="off")
    client = acme.Client()

    def fail() -> None:
        raise ValueError("secret cause")

    client.complete("secret prompt")
    list(client.stream("secret words"))
    client.search("secret query")
    with pytest.raises(ValueError, match="secret cause"):
        client.complete("secret prompt", work=fail)
    with autotrace.span("mine", input="secret input") as span:
        span.set(output="secret output")
    _traced("secret argument")
    assert len(spans.finished) == 6
    for span in spans.finished:
        assert "secret" not in everything(span)
    assert "secret" not in caplog.text
    assert spans.finished[0].attributes["gen_ai.usage.input_tokens"] == 10
    failed = spans.finished[3]
    assert failed.attributes["error.type"] == "ValueError"
    assert failed.status.status_code is StatusCode.ERROR
    assert "fail" in failed.events[0].attributes["exception.stacktrace"]


@autotrace.trace
def _traced(argument: str) -> str:
    return argument


def test_per_framework(acme: Any, spans: Collected) -> None:
    """Content can be switched off for one framework, and back on, at once."""
    autotrace.autolog("acme", capture_content="off")
    acme.complete("one")
    with autotrace.span("mine", input="kept"):
        pass
    autotrace.autolog("acme", capture_content="full")
    acme.complete("two")
    first, mine, second = spans.finished
    assert "gen_ai.input.messages" not in first.attributes
    assert mine.attributes["input.value"] == "kept"
    assert '"two"' in second.attributes["gen_ai.input.messages"]


def test_truncated(acme: Any, spans: Collected) -> None:
    """Truncated content is valid JSON, each text cut with a marker (law L42)."""
    autotrace.autolog(capture_content="truncated", content_limit=10)
    acme.complete("a" * 25)
    (message,) = json.loads(spans.one().attributes["gen_ai.input.messages"])
    assert message["parts"][0]["content"] == "a" * 10 + "… [15 more characters]"


CONTENT = st.recursive(
    st.text() | st.integers() | st.none() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(CONTENT, st.sampled_from(["full", "truncated"]), st.integers(1, 20))
def test_any_content_is_json(content: Any, capture: Any, limit: int) -> None:
    """However content is cut, what stands on the span is valid JSON."""
    policy = Policy(capture, limit)
    parts = (Part("text", content), ToolCall("f", content, id="1"), Part.tool_result(content), Part("own", content))
    json.loads(policy.messages([Message("user", parts)]) or "")
    json.loads(policy.json(content))
    text, kind = policy.value(content) or ("", "")
    assert kind == ("text/plain" if isinstance(content, str) else "application/json")
    if kind == "application/json":
        json.loads(text)


def test_large_content() -> None:
    """Ten megabytes of text or of an image end as a valid attribute of bounded size (law L42)."""
    policy = Policy()
    data = b"\x89" * 10_000_000
    image = Part.blob(data, "image/png", "image")
    (message,) = json.loads(policy.messages([Message.user([Part.text("x" * 10_000_000), image])]) or "")
    text, blob = message["parts"]
    assert text["content"].startswith("x" * TEXT_LIMIT + "… [")
    assert (blob["size"], blob["sha256"], blob["content"]) == (len(data), hashlib.sha256(data).hexdigest(), "")
    many = [Message.user("y" * 900_000) for _ in range(50)]
    found = policy.messages(many) or ""
    assert len(found) <= ATTRIBUTE_LIMIT
    assert len(json.loads(found)) == 50
    deep = policy.json([{"text": "z" * 100_000}] * 100)
    assert len(deep) <= ATTRIBUTE_LIMIT
    assert json.loads(deep)
    crowd = policy.messages([Message.user("w" * 200) for _ in range(50_000)]) or ""
    assert len(crowd) <= ATTRIBUTE_LIMIT
    assert json.loads(crowd)


@pytest.mark.parametrize("url", ["data:image/png;base64,iVBORw0=", "data:,", "data:image/png;base64,!!!"])
def test_data_urls(url: str) -> None:
    """Media in a `data:` address are told by size and hash, whether or not they can be decoded."""
    text = Policy().messages([Message.user([Part.media(url, "image")])]) or ""
    (part,) = json.loads(text)[0]["parts"]
    assert part["type"] == "blob"
    assert "iVBOR" not in text
    assert part["size"] >= 0


def redact(text: str) -> str | None:
    """A plugin's redactor."""
    if "bomb" in text:
        raise ValueError(text)
    return None if "gone" in text else text.replace("secret", "***")


@pytest.fixture
def redacted(acme: Any, spans: Collected) -> Any:
    """The framework with a redactor at work."""
    activation.active().host.redactors.append(redact)
    return acme


def test_redaction(redacted: Any, spans: Collected) -> None:
    """Every text of a framework's and of one's own spans goes through the redactors."""
    redacted.complete("my secret")
    list(redacted.Client().stream("a secret stream"))
    with autotrace.span("mine", input={"deep": ["secret"]}) as span:
        span.set(output="secret")
    with pytest.raises(OSError, match="secret"), autotrace.span("failing"):
        raise OSError("secret")
    for span in spans.finished:
        assert "secret" not in everything(span)
        assert "***" in everything(span)


def test_a_redactor_that_raises(redacted: Any, spans: Collected, caplog: pytest.LogCaptureFixture) -> None:
    """A redactor that raises costs the text, not the figures; it is counted, and told once without the text."""
    caplog.set_level(logging.WARNING, "autotrace")
    for _ in range(2):
        redacted.complete("a bomb")
        redacted.Client().search("all gone")
    chat, search = spans.finished[:2]
    assert DROPPED in chat.attributes["gen_ai.input.messages"]
    assert chat.attributes["gen_ai.usage.output_tokens"] == 5
    assert search.attributes["input.value"] == "<redacted>"
    assert "bomb" not in everything(chat)
    assert [failure.count for failure in guard.failures.values()] == [2]
    assert len(caplog.messages) == 1
    assert "bomb" not in caplog.text
    guard.reset()


def test_keys_in_errors(acme: Any, spans: Collected) -> None:
    """A key that stands in an error's message does not reach the span."""
    message = "wrong key sk-proj-abcdefgh12345678, Authorization: Bearer abc.def, api_key=hunter2"

    def fail() -> None:
        raise ValueError(message)

    with pytest.raises(ValueError):
        acme.Client().complete("hi", work=fail)
    told = spans.one().events[0].attributes["exception.message"]
    for secret in ("sk-proj", "abc.def", "hunter2"):
        assert secret not in everything(spans.one()), told


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("AIza" + "SyA1234567890abcdefghijklmnopqrstuv", "SyA123"),
        ("dapi" + "0123456789abcdef0123456789abcdef", "0123456"),
        ("ghp_" + "abcdefghij0123456789abcdefghij012345", "abcdefghij"),
        ("gho_" + "abcdefghij0123456789abcdefghij012345", "abcdefghij"),
        ("Authorization: Basic dXNlcjpwdw==", "dXNl"),
        ("{'authorization': 'Basic dXNlcjpwdw=='}", "dXNl"),
        ("[(b'Authorization', b'Basic dXNlcjpwdw==')]", "dXNl"),
        ("cannot reach https://user:hunter2@example.com/v1", "hunter2"),
        ("cannot reach redis://:hunter2@example.com", "hunter2"),
        ("login(password='hunter2')", "hunter2"),
    ],
)
def test_kinds_of_keys(said: str, secret: str) -> None:
    """Keys of many makers, and passwords in headers and addresses, are taken out of an error's message."""
    told = Policy().error(ValueError(said))
    assert secret not in told
    assert "<secret>" in told


def test_errors_without_keys() -> None:
    """A message that names no key stays as it is."""
    said = "basic plan: max_tokens=5, see https://example.com:8080/a@b or write to me@example.com"
    assert Policy().error(ValueError(said)) == said


def test_keys_in_source_lines(acme: Any, spans: Collected) -> None:
    """A key that stands in a source line of the stack does not reach the span; the line's place does."""

    def fail() -> None:
        raise ValueError(Login(user="me", password="sk-proj-abcdefgh12345678").user)

    with pytest.raises(ValueError):
        acme.Client().complete("hi", work=fail)
    stack = spans.one().events[0].attributes["exception.stacktrace"]
    assert "in fail" in stack
    assert "<secret>" in stack
    assert "sk-proj" not in everything(spans.one())


@dataclasses.dataclass
class Login:
    """What an app may hand around."""

    user: str
    password: str


POLICIES = pytest.mark.parametrize(
    "policy", [Policy(), Policy("truncated", 500), Policy(redactors=[str])], ids=["full", "truncated", "redacted"]
)


@POLICIES
@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Proxy-Authorization", "api_key", "apikey", "X-API-Key", "password", "passwd"),
        *("secret", "client_secret", "access_token", "refresh-token", "TOKEN", "cookie", "Set-Cookie"),
    ],
)
def test_values_of_secret_keys(policy: Policy, name: str) -> None:
    """What stands under the name of a secret is not kept, however deep, whatever it is; what stands beside it is."""
    value = {"kept": 1, "list": [{"headers": {name: "HIDDEN", "accept": "json"}, name: ["HIDDEN"]}]}
    expected = {"kept": 1, "list": [{"headers": {name: "<secret>", "accept": "json"}, name: "<secret>"}]}
    assert json.loads(policy.json(value)) == expected
    parts = (ToolCall("f", json.dumps(value)), ToolCall("f", value), Part.tool_result(value), Part("own", value))
    (message,) = json.loads(policy.messages([Message.user(parts)]) or "")
    call, same, result, own = message["parts"]
    assert [call["arguments"], same["arguments"], result["response"], own["content"]] == [expected] * 4


@POLICIES
def test_names_like_those_of_secrets(policy: Policy) -> None:
    """Counts of tokens, secrets that are not given, and schemas of parameters named like secrets stay."""
    value = {
        "max_tokens": 5,
        "token": None,
        "api_key": "",
        "password": False,
        "parameters": {"properties": {"password": {"type": "string"}, "token": {"type": "string"}}},
        "$defs": {"Secret": {"type": "string"}},
        "required": ["password", "token"],
    }
    assert json.loads(policy.json(value)) == value


def test_secrets_of_a_dataclass() -> None:
    """Objects that are told by their fields do not tell their secrets."""
    assert json.loads(Policy().json([Login("me", "hunter2")])) == [{"user": "me", "password": "<secret>"}]


@autotrace.trace
def _login(api_key: str, password: str, headers: dict[str, str]) -> dict[str, str]:
    return {"access_token": api_key + password, "for": "me"}


def test_secrets_of_a_traced_function(spans: Collected) -> None:
    """A traced function's arguments and result are told without the secrets among them."""
    _login("KEY1", "KEY2", headers={"Authorization": "Bearer KEY3"})
    told = spans.one().attributes
    expected = {"api_key": "<secret>", "password": "<secret>", "headers": {"Authorization": "<secret>"}}
    assert json.loads(told["input.value"]) == expected
    assert json.loads(told["output.value"]) == {"access_token": "<secret>", "for": "me"}


PIXELS = b"\x89PNG" + bytes(300)
PICTURE = "data:image/png;base64," + base64.b64encode(PIXELS).decode()
TOLD = f"<image/png of {len(PIXELS)} bytes, sha256:{hashlib.sha256(PIXELS).hexdigest()}>"


@POLICIES
def test_media_in_values(policy: Policy) -> None:
    """A `data:` address anywhere in a value is told by size and hash; a text that only talks of one is kept."""
    about = "what does data:image/png;base64, mean?"
    assert json.loads(policy.json({"a": [PICTURE], "b": about})) == {"a": [TOLD], "b": about}
    assert policy.value(PICTURE) == (TOLD, "text/plain")
    parts = (ToolCall("f", {"a": PICTURE}), Part.tool_result(PICTURE), Part.tool_result([{"a": PICTURE}]))
    (message,) = json.loads(policy.messages([Message("tool", parts)]) or "")
    call, text, result = message["parts"]
    assert [call["arguments"], text["response"], result["response"]] == [{"a": TOLD}, TOLD, [{"a": TOLD}]]


def test_media_that_were_cut_off() -> None:
    """Of data of which a part alone came in, no figures are told: they would be those of nothing."""
    torn = PICTURE[:100] + "…"
    assert Policy().value(torn) == ("<image/png, cut off>", "text/plain")
    (message,) = json.loads(Policy().messages([Message("user", (Part.media(torn, "image"),))]) or "")
    (picture,) = message["parts"]
    assert (picture["mime_type"], picture["size"], picture["sha256"]) == ("image/png", None, None)


def test_parts_of_a_tool_result() -> None:
    """A tool's result may itself be parts: they are told as those of a message are."""
    result = Part.tool_result([Part.text("look"), Part.media(PICTURE, "image"), {"more": 1}], "call_1")
    (message,) = json.loads(Policy().messages([Message("tool", (result,))]) or "")
    text, picture, more = message["parts"][0]["response"]
    assert text == {"type": "text", "content": "look"}
    assert (picture["type"], picture["size"]) == ("blob", len(PIXELS))
    assert more == {"more": 1}


def test_an_error_that_cannot_be_printed(acme: Any, spans: Collected) -> None:
    """An exception whose own text raises passes through, and its type is told."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    def fail() -> None:
        raise Mute

    with pytest.raises(Mute):
        acme.Client().complete("hi", work=fail)
    assert spans.one().attributes["error.type"].endswith("Mute")
    assert spans.one().status.status_code is StatusCode.ERROR


_PARTS = st.one_of(
    st.builds(Part.text, st.text(max_size=30)),
    st.builds(Part, st.sampled_from(["text", "refusal", "note"]), st.one_of(st.none(), st.text(), st.integers())),
    st.just(ToolCall("f", "{}")),
)


@given(
    message=st.builds(
        Message,
        st.sampled_from(["user", "assistant", "tool"]),
        st.lists(_PARTS, max_size=2).map(tuple),
        st.one_of(st.none(), st.text(max_size=5)),
        st.one_of(st.none(), st.just("stop")),
    ),
    policy=st.sampled_from([Policy(), Policy("truncated", 10), Policy(redactors=[str.upper])]),
)
def test_the_short_way_of_the_usual_message(message: Message, policy: Policy) -> None:
    """A message that takes the short way becomes what it would have become on the long one."""
    short = policy._usual(message)
    assert short is None or short == policy._message(message, policy.text)


def test_the_usual_message_takes_the_short_way() -> None:
    """One text, to be kept as it is."""
    assert Policy()._usual(Message.user("hello")) == {"role": "user", "parts": [{"type": "text", "content": "hello"}]}
