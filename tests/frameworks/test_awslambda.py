"""AWS Lambda's own runtime against a runtime API on loopback: what an event led to is delivered before its answer."""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from autotrace import HttpRequest, HttpResponse
from autotrace.frameworks.awslambda import answer, http_request
from autotrace.store.reader import Reader, Trace

from ..conftest import by_hand

pytest.importorskip("awslambdaric", reason="Lambda's runtime has wheels for Linux alone")

FUNCTION = """
import json
import autotrace

def handler(event, context):
    kind = event.get("kind")
    if kind == "plain":
        return {"sum": 3}
    with autotrace.span("chat", input=str(kind)):
        if kind == "fails":
            raise LookupError("no answer")
    if "body" in event:
        question = json.loads(event["body"])["question"]
        return {
            "statusCode": 503 if question == "too much" else 200,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps({"answer": f"because {question}"}),
        }
    return {"answer": "because"}
"""
CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


class RuntimeApi:
    """What Lambda's runtime asks for events and tells its answers."""

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[bytes, dict[str, str]]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        #: Called when an answer has come, before the runtime hears that it has.
        self.on_answer: list[Any] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body, headers = api.events.get()
                # Without a content type the runtime's own client crashes.
                self._reply(200, body, {"Content-Type": "application/json", **headers})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for call in api.on_answer:
                    call()
                api.answers.put((self.path.rpartition("/")[2], body))
                self._reply(202, b"", {})

            def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def invoke(self, event: Any, id: str, seconds: float = 30.0, **headers: str) -> tuple[str, Any]:  # noqa: A002
        """Hands over an event; `response` or `error`, and what was answered."""
        told = {
            "Lambda-Runtime-Aws-Request-Id": id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:1:function:answers",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self.events.put((json.dumps(event).encode(), told))
        kind, body = self.answers.get(timeout=60)
        return kind, json.loads(body)

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()


class Function:
    """A function that is deployed, and its store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "function.py").write_text(FUNCTION)

    def start(self, *run: str, **environment: str) -> None:
        """Starts Lambda's runtime, with an API of its own: one that was ended may still wait for an event."""
        self.api = RuntimeApi()
        self.process = subprocess.Popen(
            [sys.executable, *run, "-m", "awslambdaric", "function.handler"],
            cwd=self.folder,
            env={
                **by_hand(),
                "AUTOTRACE_HOME": str(self.folder / "home"),
                "AWS_LAMBDA_RUNTIME_API": self.api.address,
                "AWS_LAMBDA_FUNCTION_NAME": "answers",
                **environment,
            },
        )

    def traces(self) -> dict[str, Trace]:
        """What is in the store at this moment, by name."""
        path = self.folder / "home" / "traces.db"
        if not path.exists():
            return {}
        with Reader(path) as reader:
            found = [reader.trace(trace_id) for trace_id in reader.trace_ids()]
        return {trace.summary.name: trace for trace in found if trace is not None}

    def stop(self) -> None:
        """Ends it, frozen or not."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.api.close()
            self.process = None


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Function]:
    """A function; not started."""
    found = Function(tmp_path)
    yield found
    found.stop()


def request_event(question: str, **headers: str) -> dict[str, Any]:
    """What an HTTP API makes of a request."""
    return {
        "version": "2.0",
        "routeKey": "POST /ask/{topic}",
        "rawPath": "/ask/life",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **headers},
        "requestContext": {"http": {"method": "POST", "path": "/ask/life"}, "requestId": "r-1"},
        "body": json.dumps({"question": question}),
        "isBase64Encoded": False,
    }


def test_delivered_before_the_answer(function: Function) -> None:
    """When the answer arrives the trace is in the store, whole: the process is frozen at that moment."""
    function.start("-m", "autotrace", "run")
    assert function.api.invoke({"kind": "plain"}, "i-0") == ("response", {"sum": 3})
    assert function.traces() == {}
    pid = function.process.pid if function.process is not None else 0
    function.api.on_answer.append(lambda: os.kill(pid, signal.SIGSTOP))
    assert function.api.invoke({"kind": "why"}, "i-1") == ("response", {"answer": "because"})
    (trace,) = function.traces().values()
    summary, root = trace.summary, trace.payload(trace.spans[0])
    assert (summary.name, summary.status, summary.span_count) == ("answers", "ok", 2)
    assert (summary.request, summary.response) == ('{"kind":"why"}', '{"answer":"because"}')
    assert summary.environment == "production"
    assert root.kind == "server"
    assert {key: value for key, value in root.attributes.items() if key.startswith(("faas", "cloud", "autotrace"))} == {
        "faas.name": "answers",
        "faas.invocation_id": "i-1",
        "faas.trigger": "other",
        "cloud.resource_id": "arn:aws:lambda:eu-central-1:1:function:answers",
        "autotrace.request.id": "i-1",
    }


def test_events(function: Function) -> None:
    """Requests are read as any other, within what called them; messages are linked; failures are told to both."""
    function.start("-m", "autotrace", "run")
    asked = request_event("why", traceparent=CALLER, **{"x-session-id": "s-1", "x-user-id": "ann"})
    kind, response = function.api.invoke(asked, "i-1")
    assert (kind, response["body"]) == ("response", '{"answer": "because why"}')
    assert function.api.invoke(request_event("too much"), "i-2")[1]["statusCode"] == 503
    assert function.api.invoke({"kind": "fails"}, "i-3")[1]["errorType"] == "LookupError"
    message = {"body": "{}", "messageAttributes": {"traceparent": {"dataType": "String", "stringValue": CALLER}}}
    batch = {"Records": [{"eventSource": "aws:sqs", **message}, {"eventSource": "aws:sqs", "body": "{}"}]}
    function.api.invoke(batch, "i-4")
    context = json.dumps({"custom": {}, "w3c": {"traceparent": f"00-{'c' * 32}-{'d' * 16}-01"}})
    function.api.invoke({"kind": "direct"}, "i-5", Lambda_Runtime_Client_Context=context)
    found = {trace.payload(trace.spans[0]).attributes["autotrace.request.id"]: trace for trace in every_trace(function)}

    answered = found["i-1"]
    assert (answered.summary.name, answered.summary.trace_id) == ("POST /ask/{topic}", "a" * 32)
    assert (answered.summary.request, answered.summary.response) == ("why", "because why")
    assert (answered.summary.session, answered.summary.user) == ("s-1", "ann")
    assert answered.spans[0].parent_id == "b" * 16
    assert answered.payload(answered.spans[0]).attributes["http.response.status_code"] == 200
    assert (found["i-2"].summary.status, found["i-2"].spans[0].error_type) == ("error", "503")
    assert found["i-3"].summary.error == {"type": "LookupError", "message": "no answer"}
    told = found["i-4"].payload(found["i-4"].spans[0])
    assert [link["trace_id"] for link in told.links] == ["a" * 32]
    assert (told.kind, told.attributes["faas.trigger"]) == ("consumer", "pubsub")
    assert (found["i-5"].summary.trace_id, found["i-5"].spans[0].parent_id) == ("c" * 32, "d" * 16)


def test_switched_on_by_the_handlers_module(function: Function) -> None:
    """The import in the module of the handler, which the runtime is about to look up: its first event is a trace."""
    (function.folder / "function.py").write_text("import autotrace.auto\n" + FUNCTION)
    function.start()
    function.api.invoke({"kind": "why"}, "i-1")
    assert list(function.traces()) == ["answers"]


def every_trace(function: Function) -> list[Trace]:
    """All traces of a function, two of which go by one name."""
    with Reader(function.folder / "home" / "traces.db") as reader:
        found = [reader.trace(trace_id) for trace_id in reader.trace_ids()]
    return [trace for trace in found if trace is not None]


def test_answers_are_as_without_us(function: Function, tmp_path: Path) -> None:
    """What the runtime answers is the same, byte for byte, but for our own frames in no place of it."""
    events = [{"kind": "plain"}, {"kind": "fails"}, {"kind": "why"}, request_event("why"), [1], "text", None]
    (tmp_path / "function.py").write_text(FUNCTION.replace("event.get", "event and event.get"))
    answers = []
    for run in ((), ("-m", "autotrace", "run")):
        function.start(*run)
        answers.append([function.api.invoke(event, f"i-{number}") for number, event in enumerate(events)])
        function.stop()
    bare, traced = answers
    assert [kind for kind, _ in bare] == [kind for kind, _ in traced]
    for (kind, before), (_, after) in zip(bare, traced, strict=True):
        if kind == "error":  # a stack names the wrapper, once
            assert (before.pop("stackTrace")[-1:], before) == (after.pop("stackTrace")[-1:], after)
        assert before == after


def test_a_destination_that_is_gone(function: Function) -> None:
    """Who does not take it delays the answer until shortly before the function would be stopped, at most."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        function.start(
            *("-m", "autotrace", "run"),
            AUTOTRACE_DESTINATION="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            AUTOTRACE_EXIT_TIMEOUT="600",
        )
        assert function.api.invoke({"kind": "why"}, "i-1", seconds=4)[0] == "response"


PLAIN = {"httpMethod": "POST", "path": "/ask"}


@pytest.mark.parametrize(
    ("event", "request_"),
    [
        (
            {
                **PLAIN,
                "resource": "/{proxy+}",
                "headers": {"Content-Type": "application/json", "X-None": None},
                "multiValueHeaders": {"Content-Type": ["application/json"], "Accept": ["a", "b"]},
                "queryStringParameters": {"a": "1", "b": "x y"},
                "body": base64.b64encode(b'{"question": "why"}').decode(),
                "isBase64Encoded": True,
            },
            HttpRequest(
                "POST",
                "/ask",
                {"content-type": "application/json", "accept": "b"},
                b'{"question": "why"}',
                b"a=1&b=x+y",
                "/{proxy+}",
            ),
        ),
        (
            {**PLAIN, "multiValueQueryStringParameters": {"a": ["1", "2"]}, "requestContext": {"elb": {}}},
            HttpRequest("POST", "/ask", query=b"a=1&a=2"),
        ),
        (
            {"requestContext": {"http": {"method": "GET", "path": "/x"}}, "rawPath": "/x", "routeKey": "$default"},
            HttpRequest("GET", "/x"),
        ),
        ({**PLAIN, "body": "no base64", "isBase64Encoded": True}, HttpRequest("POST", "/ask")),
        ({**PLAIN, "headers": "odd", "body": 3, "resource": 4}, HttpRequest("POST", "/ask")),
        ({"path": "/ask"}, None),
        ({"requestContext": None}, None),
        ([], None),
        ("text", None),
        (None, None),
    ],
)
def test_requests_in_events(event: Any, request_: HttpRequest | None) -> None:
    """What gateways, load balancers and function URLs make of a request; anything else is none."""
    assert http_request(event) == request_


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"statusCode": 201, "body": "ok"}, HttpResponse(201, {"content-type": "application/json"}, b"ok")),
        ({"statusCode": "404", "headers": {"A": 1}}, HttpResponse(404, {"content-type": "application/json", "a": "1"})),
        ({"statusCode": "many"}, {"output_value": {"statusCode": "many"}}),
        ("text", {"output_value": "text"}),
        (None, {"output_value": None}),
    ],
)
def test_what_is_returned(result: Any, told: Any) -> None:
    """A response as gateways want it, or any value."""
    assert answer(result) == told
