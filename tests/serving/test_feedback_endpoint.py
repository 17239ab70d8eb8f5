"""Feedback over HTTP: what is taken, how often, from whose pages, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from autotrace.errors import FeedbackError
from autotrace.recording import feedback
from autotrace.recording.guard import guard
from autotrace.serving import verdict
from autotrace.serving.feedback_endpoint import Answer, FeedbackEndpoint

from .feedback_bodies import PAGE, SCHEMA

TRACE = "0af7651916cd43dd8448eb211c80319c"
JSON = {"content-type": "application/json"}
CHAT = "https://chat.example.org"


class Log:
    """Stands in for `log_feedback`, which has tests of its own."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, dict[str, Any]]] = []
        self.error: Exception | None = None

    def __call__(self, value: Any, **rest: Any) -> str:
        if self.error is not None:
            raise self.error
        self.calls.append((value, rest))
        return "f" * 32


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log() -> Log:
    return Log()


def make(log: Log, **more: Any) -> FeedbackEndpoint:
    """An endpoint of an application that has seen one request."""
    return FeedbackEndpoint("/autotrace/feedback", log, {"request-1": TRACE}.get, **more)


def post(endpoint: FeedbackEndpoint, body: Any, **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return endpoint.answer("POST", {**JSON, **given}, json.dumps(body).encode())


def said(answer: Answer) -> tuple[int, Any]:
    return answer.status, json.loads(answer.body)


def test_a_verdict(log: Log) -> None:
    """All that is said is logged; the answer is the id of the feedback."""
    given = {"trace_id": f"tr-{TRACE}", "value": False, "comment": "wrong\nprice", "name": "price", "user": "alice"}
    given |= {"span_id": "00F067AA0BA902B7", "metadata": {"page": "cart", "n": 1}}
    answer = post(make(log), given)
    assert said(answer) == (202, {"id": "f" * 32})
    assert sorted(answer.headers) == [
        ("cache-control", "no-store"),
        ("content-length", str(len(answer.body))),
        ("content-type", "application/json"),
        ("vary", "Origin"),
        ("x-content-type-options", "nosniff"),
    ]
    rest = {name: given[name] for name in ("trace_id", "comment", "name", "user", "metadata")}
    assert log.calls == [(False, {**rest, "span_id": "00f067aa0ba902b7"})]


def test_little_is_needed(log: Log) -> None:
    """A trace and a value are enough; empty fields of a form say nothing."""
    for more in ({}, {"comment": "", "user": " "}, {"comment": None, "user": None, "span_id": None, "metadata": None}):
        assert post(make(log), {"trace_id": TRACE, "value": 4, **more}).status == 202
    plain = {"trace_id": TRACE, "span_id": None, "name": "feedback", "comment": None, "user": None, "metadata": {}}
    assert log.calls == [(4, plain)] * 3


@pytest.mark.parametrize("value", [True, False, 0, -1.5, 2**63 - 1, "travel", "\U0001f44d"])
def test_values(log: Log, value: Any) -> None:
    """A value is logged as it was sent."""
    assert post(make(log), {"trace_id": TRACE, "value": value}).status == 202
    ((found, _),) = log.calls
    assert (found, type(found)) == (value, type(value))


def test_by_request(log: Log) -> None:
    """A request that this home knows stands for its trace; any other is unknown."""
    assert post(make(log), {"request_id": "request-1", "value": True}).status == 202
    assert log.calls[0][1]["trace_id"] == TRACE
    status, answer = said(post(make(log), {"request_id": "request-2", "value": True}))
    assert status == 404
    assert "request-2" not in answer["error"]
    assert len(log.calls) == 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ([], 400, "the body must be an object"),
        ({"value": True}, 422, "give either trace_id or request_id"),
        ({"trace_id": TRACE, "request_id": "request-1", "value": 1}, 422, "give either trace_id or request_id"),
        ({"trace_id": TRACE}, 422, "value is missing"),
        ({"trace_id": TRACE, "value": None}, 422, "value must be true, false, a number"),
        ({"trace_id": TRACE, "value": 1, "source": "code"}, 422, "there are trace_id, request_id, value, comment"),
        ({"trace_id": TRACE[1:], "value": 1}, 422, "trace_id must be 32 hexadecimal digits"),
        ({"trace_id": TRACE, "value": 1, "span_id": TRACE}, 422, "span_id must be 16 hexadecimal digits"),
        ({"trace_id": TRACE, "value": 1, "name": ""}, 422, "name must be a text of 1 to 250 characters"),
        ({"trace_id": TRACE, "value": 1, "user": "x" * 251}, 422, "user must be a text of at most 250 characters"),
        ({"trace_id": TRACE, "value": 1, "comment": "\x1b[2J"}, 422, "comment must be a text"),
        ({"trace_id": TRACE, "value": 1, "metadata": {"mlflow.user": "x"}}, 422, "metadata must be an object"),
    ],
)
def test_refusals_say_what_is_wrong(log: Log, body: Any, status: int, message: str) -> None:
    """Who wrote the page that posts is told what to mend."""
    found, answer = said(post(make(log), body))
    assert found == status
    assert answer["error"].startswith(message)
    assert log.calls == []


def test_length(log: Log) -> None:
    """A body of 64 KiB is taken, one byte more is not: by its length, or by what the header says of it."""
    endpoint = make(log)
    body = json.dumps({"trace_id": TRACE, "value": True}).encode()
    longest = body + b" " * (endpoint.limit - len(body))
    assert endpoint.limit == 64 * 1024
    assert endpoint.answer("POST", {**JSON, "content-length": str(len(longest))}, longest).status == 202
    assert endpoint.answer("POST", JSON, longest + b" ").status == 413
    assert endpoint.answer("POST", {**JSON, "content-length": str(endpoint.limit + 1)}, b"").status == 413
    assert endpoint.answer("POST", {**JSON, "content-length": "nonsense"}, body).status == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_methods(log: Log, method: str) -> None:
    """Only POST is taken, and nothing is read without it; HEAD has no body."""
    answer = make(log).answer(method, JSON, json.dumps({"trace_id": TRACE, "value": True}).encode())
    assert answer.status == 405
    assert dict(answer.headers)["allow"] == "POST"
    assert (answer.body == b"") is (method == "HEAD")
    assert log.calls == []


def test_path(log: Log) -> None:
    """It is at its path, and nowhere near."""
    endpoint = make(log)
    assert endpoint.is_at("/autotrace/feedback")
    assert not any(map(endpoint.is_at, ("/autotrace/feedback/", "/autotrace", "/", "", "/x/autotrace/feedback")))


def test_what_the_log_refuses(log: Log) -> None:
    """Words of an error never leave: they may hold what was sent."""
    log.error = FeedbackError("'secret' is no good")
    assert said(post(make(log), {"trace_id": TRACE, "value": 1})) == (422, {"error": "this feedback cannot be used"})


def test_nothing_is_kept() -> None:
    """Where nothing is kept nobody is told that it is."""
    endpoint = FeedbackEndpoint("/", lambda *_, **__: None, lambda _: None)
    assert said(post(endpoint, {"trace_id": TRACE, "value": 1})) == (503, {"error": "feedback is not kept here"})


def test_what_fails(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails here costs the application nothing; it is counted, and told without what was sent."""
    guard.reset()
    log.error = RuntimeError("secret")
    status, answer = said(post(make(log), {"trace_id": TRACE, "value": 1}))
    assert (status, answer) == (500, {"error": "feedback cannot be taken now"})
    assert guard.failures["feedback endpoint"].count == 1
    assert "secret" not in caplog.text
    guard.reset()


class TestRate:
    """So much feedback a second, and no more."""

    def test_burst_and_rate(self, log: Log) -> None:
        """Two seconds' worth at once, then one after another; what is too much is told when to come again."""
        clock = Clock()
        endpoint = make(log, rate=5.0, clock=clock)
        body = {"trace_id": TRACE, "value": True}
        assert [post(endpoint, body).status for _ in range(12)] == [202] * 10 + [429] * 2
        refused = post(endpoint, body)
        assert dict(refused.headers)["retry-after"] == "1"
        clock.now += 0.2
        assert [post(endpoint, body).status for _ in range(2)] == [202, 429]
        clock.now += 3600
        assert [post(endpoint, body).status for _ in range(12)] == [202] * 10 + [429] * 2
        assert len(log.calls) == 21

    def test_slow_rates(self, log: Log) -> None:
        """Less than one a second is possible; `Retry-After` says how long it takes."""
        clock = Clock()
        endpoint = make(log, rate=0.1, clock=clock)
        body = {"trace_id": TRACE, "value": True}
        assert post(endpoint, body).status == 202
        assert dict(post(endpoint, body).headers)["retry-after"] == "10"
        clock.now += 9.5
        assert dict(post(endpoint, body).headers)["retry-after"] == "1"
        clock.now += 0.6
        assert post(endpoint, body).status == 202

    def test_bad_posts_count(self, log: Log) -> None:
        """A post that is refused has cost a token too; another method costs none."""
        endpoint = make(log, rate=1.0, clock=Clock())
        assert endpoint.answer("GET", JSON, b"").status == 405
        assert [endpoint.answer("POST", JSON, b"{").status for _ in range(3)] == [400, 400, 429]

    def test_a_clock_that_goes_back(self, log: Log) -> None:
        """Nothing is gained, and nothing is lost for ever."""
        clock = Clock()
        endpoint = make(log, rate=1.0, clock=clock)
        body = {"trace_id": TRACE, "value": True}
        assert [post(endpoint, body).status for _ in range(3)] == [202, 202, 429]
        clock.now -= 500
        assert post(endpoint, body).status == 429
        clock.now += 1
        assert post(endpoint, body).status == 202

    def test_no_limit(self, log: Log) -> None:
        """With 0 all are taken."""
        endpoint = make(log, rate=0.0, clock=Clock())
        assert {post(endpoint, {"trace_id": TRACE, "value": True}).status for _ in range(1000)} == {202}


class TestOrigins:
    """Whose pages may post from another origin."""

    ASKING: Mapping[str, str] = {
        "origin": CHAT,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }

    def test_none_by_default(self, log: Log) -> None:
        """A browser is allowed nothing, and so sends nothing."""
        answer = make(log).answer("OPTIONS", self.ASKING, b"")
        assert answer.status == 405
        assert not any(name.startswith("access-control") for name, _ in answer.headers)

    def test_preflight(self, log: Log) -> None:
        """A page of an origin that the settings name may post JSON, without credentials."""
        answer = make(log, origins=[CHAT, "https://other"]).answer("OPTIONS", self.ASKING, b"")
        assert (answer.status, answer.body) == (204, b"")
        assert dict(answer.headers) == {
            "access-control-allow-origin": CHAT,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "content-type",
            "access-control-expose-headers": "retry-after",
            "access-control-max-age": "600",
            "cache-control": "no-store",
            "vary": "Origin",
            "x-content-type-options": "nosniff",
        }

    @pytest.mark.parametrize("origin", ["https://evil", CHAT + ".evil", CHAT[:-1], "http" + CHAT[5:], "null", ""])
    def test_others(self, log: Log, origin: str) -> None:
        """A page of another origin may not, and is not told of those that may."""
        answer = make(log, origins=[CHAT]).answer("OPTIONS", {**self.ASKING, "origin": origin}, b"")
        assert answer.status == 403
        assert not any(name.startswith("access-control") for name, _ in answer.headers)
        assert CHAT not in answer.body.decode()

    @pytest.mark.parametrize(("origins", "allowed"), [([CHAT], CHAT), (["*"], "*")])
    def test_answers_can_be_read(self, log: Log, origins: list[str], allowed: str) -> None:
        """Answers, errors too, tell the browser that the page may read them."""
        endpoint = make(log, origins=origins)
        good = post(endpoint, {"trace_id": TRACE, "value": True}, origin=CHAT)
        bad = post(endpoint, {}, origin=CHAT)
        wrong_type = endpoint.answer("POST", {"origin": CHAT}, b"")
        for answer, status in ((good, 202), (bad, 422), (wrong_type, 415)):
            headers = dict(answer.headers)
            assert (answer.status, headers["access-control-allow-origin"], headers["vary"]) == (
                status,
                allowed,
                "Origin",
            )
            assert "access-control-allow-credentials" not in headers

    def test_without_an_origin(self, log: Log) -> None:
        """Who is no browser needs none."""
        assert post(make(log, origins=[CHAT]), {"trace_id": TRACE, "value": True}).status == 202


class TestPublishedSchema:
    """docs/feedback.openapi.json says what the code does."""

    def test_fields_and_limits(self) -> None:
        """Its fields and bounds are those that bodies are checked by, none of which `log_feedback` would cut."""
        properties = SCHEMA["properties"]
        for name in properties:
            with pytest.raises(verdict.Refused, match=f"^{name} must be"):
                verdict.read(json.dumps({name: [], "value": 1} if name != "value" else {name: []}).encode())
        assert properties["comment"]["maxLength"] == verdict.TEXT_LIMIT <= feedback.TEXT_LIMIT
        assert properties["name"]["maxLength"] == verdict.NAME_LIMIT <= feedback.NAME_LIMIT
        assert properties["request_id"]["maxLength"] == verdict.REQUEST_ID_LIMIT
        assert properties["metadata"]["maxProperties"] == verdict.METADATA_LIMIT
        number = next(one for one in properties["value"]["oneOf"] if one["type"] == "number")
        assert number["exclusiveMaximum"] == verdict.NUMBER_LIMIT <= feedback.NUMBER_LIMIT

    def test_answers(self, log: Log) -> None:
        """It names every status that there may be."""
        ((path, methods),) = PAGE["paths"].items()
        assert make(log).is_at(path)
        assert set(methods["post"]["responses"]) == {
            *("202", "400", "404", "405", "413", "415", "422", "429", "500", "503"),
        }
        assert set(methods["options"]["responses"]) == {"204", "403", "405"}
