"""The destination `mlflow` against a server that misbehaves, and against a fake of Databricks."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from autotrace.delivery.destinations import RetryLater
from autotrace.delivery.destinations.mlflow import MlflowDestination, assessments

from .mlflow_server import RESOURCE, chat, feedback, new_trace, span

Make = Callable[..., MlflowDestination]
SECRET = "s3cret-s3cret"
MISSING = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "it is not there"}


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Fake:
    """Answers as `answer` says, and remembers what it was asked.

    Attributes:
        asked: The requests, in order.
        answer: Status and body for a request; None: what MLflow's server says where all is well.
        experiment: The id of the only experiment.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], tuple[int, Any] | None] = lambda asked: None
        self.experiment = "1"
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                fake.asked.append(asked)
                status, body = fake.answer(asked) or fake.well(asked)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def well(self, asked: Asked) -> tuple[int, Any]:
        """What MLflow's server answers where all is well."""
        if "experiments/" in asked.path:
            return 200, {"experiment": {"experiment_id": self.experiment, "lifecycle_stage": "active"}}
        if asked.path == "/v1/traces":
            return 200, b""
        info = asked.json["trace"]["trace_info"] if asked.method == "POST" else {"state": "OK"}
        return 200, {"trace": {"trace_info": info}}

    def paths(self, part: str) -> list[str]:
        return [asked.path for asked in self.asked if part in asked.path]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


@pytest.fixture
def fake() -> Iterator[Fake]:
    started = Fake()
    yield started
    started.close()


def trace_ids(asked: Asked) -> set[str]:
    """The traces whose spans a request holds."""
    request = ExportTraceServiceRequest.FromString(asked.body)
    groups = [group for of_process in request.resource_spans for group in of_process.scope_spans]
    return {span.trace_id.hex() for group in groups for span in group.spans}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"message": f"no {SECRET}"}, "answers 401: check MLFLOW_TRACKING_USERNAME"),
        (403, {"message": "no"}, "answers 403: check MLFLOW_TRACKING_USERNAME"),
        (404, {"detail": "Not Found"}, "answers 404: check MLFLOW_TRACKING_URI"),
        (429, {}, "answers 429"),
        (503, {"message": "busy"}, "answers 503: busy"),
        (200, b"<html>", "something else than MLflow's JSON: check MLFLOW_TRACKING_URI"),
    ],
)
def test_nothing_is_lost_on_a_bad_day(make_mlflow: Make, fake: Fake, status: int, body: Any, words: str) -> None:
    """Whatever is wrong with the server or the way to it, everything comes again, and no secret is told."""
    fake.answer = lambda asked: (status, body)
    destination = make_mlflow(MLFLOW_TRACKING_URI=fake.url, MLFLOW_TRACKING_TOKEN=SECRET)
    with pytest.raises(RetryLater) as caught:
        destination.deliver([chat(new_trace(), 1)], RESOURCE)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert destination.rejected == 0
    assert fake.asked[0].headers["authorization"] == f"Bearer {SECRET}"


def test_no_server_is_named(make_mlflow: Make) -> None:
    """Without an address nothing is lost, and what to do is told."""
    with pytest.raises(RetryLater, match="set MLFLOW_TRACKING_URI"):
        make_mlflow().deliver([chat(new_trace(), 1)], RESOURCE)


@pytest.mark.parametrize("status", [404, 501])
def test_a_server_without_spans(make_mlflow: Make, fake: Fake, status: int) -> None:
    """A server that is too old, or keeps files, is told of, and no trace is blamed."""
    fake.answer = lambda asked: (status, {"detail": "Not Found"}) if asked.path == "/v1/traces" else None
    destination = make_mlflow(MLFLOW_TRACKING_URI=fake.url)
    with pytest.raises(RetryLater, match=r"traces need MLflow 3\.4 or newer, and a database"):
        destination.deliver([chat(new_trace(), 1)], RESOURCE)
    assert destination.rejected == 0


def test_an_experiment_that_is_gone(make_mlflow: Make, fake: Fake) -> None:
    """When the server knows the experiment no more, it is looked up anew."""
    destination = make_mlflow(MLFLOW_TRACKING_URI=fake.url, MLFLOW_EXPERIMENT_NAME="shop")
    destination.deliver([chat(new_trace(), 1)], RESOURCE)
    fake.answer = lambda asked: (404, MISSING) if asked.path == "/v1/traces" else None
    with pytest.raises(RetryLater, match="the experiment is gone: it is not there"):
        destination.deliver([chat(new_trace(), 1)], RESOURCE)
    fake.answer, fake.experiment = (lambda asked: None), "2"
    destination.deliver([chat(new_trace(), 1)], RESOURCE)
    assert fake.asked[-1].headers["x-mlflow-experiment-id"] == "2"
    assert len(fake.paths("experiments/get-by-name")) == 2


def test_a_trace_that_breaks_the_server(make_mlflow: Make, fake: Fake) -> None:
    """A server that stumbles over one trace gets the others; that one comes again, and only for a day."""
    good, bad = [new_trace() for _ in range(3)], new_trace()

    def answer(asked: Asked) -> tuple[int, Any] | None:
        return (500, {"message": "oh"}) if asked.path == "/v1/traces" and bad in trace_ids(asked) else None

    fake.answer = answer
    destination = make_mlflow(MLFLOW_TRACKING_URI=fake.url)
    broken = chat(bad, 1)
    left = destination.deliver([*(chat(trace, 1) for trace in good), broken], RESOURCE)
    assert left == [broken]
    assert destination.rejected == 0
    old = span(bad, 1, None, {}, start=10**18)
    assert destination.deliver([old, chat(new_trace(), 1)], RESOURCE) == []
    assert destination.rejected == 1
    with pytest.raises(RetryLater, match="the server answers 500: oh"):
        destination.deliver([broken], RESOURCE)


def test_a_server_that_breaks_over_everything(make_mlflow: Make, fake: Fake) -> None:
    """A server that answers 500 to whatever it is sent is soon left in peace, and no trace is blamed."""
    fake.answer = lambda asked: (500, {"message": "oh"}) if asked.path == "/v1/traces" else None
    destination = make_mlflow(MLFLOW_TRACKING_URI=fake.url)
    with pytest.raises(RetryLater, match="the server answers 500: oh"):
        destination.deliver([chat(new_trace(), 1) for _ in range(64)], RESOURCE)
    assert len(fake.paths("/v1/traces")) < 24
    assert destination.rejected == 0


def test_an_experiment_that_was_made_anew(make_mlflow: Make, fake: Fake) -> None:
    """When a trace's info names an experiment that is gone, the traces go to the one of that name that is there now."""

    def answer(asked: Asked) -> tuple[int, Any] | None:
        if asked.path.endswith("mlflow/traces") and fake.experiment == "1":
            fake.experiment = "2"
            return 404, MISSING
        return None

    fake.answer = answer
    destination = make_mlflow(MLFLOW_TRACKING_URI=fake.url, MLFLOW_EXPERIMENT_NAME="shop")
    record = chat(new_trace(), 1)
    with pytest.raises(RetryLater, match="made anew"):
        destination.deliver([record], RESOURCE)
    assert destination.deliver([record], RESOURCE) == []
    assert fake.asked[-1].headers["x-mlflow-experiment-id"] == "2"


def test_over_tls(make_mlflow: Make, certificates: Any, tmp_path: Path) -> None:
    """MLflow's variables name the certificates; spans are compressed, and sent plain to a server that knows it not."""
    fake = Fake(certificates.server_tls())
    mine = tmp_path / "mine.pem"
    mine.write_bytes(Path(certificates.client_key).read_bytes() + Path(certificates.client).read_bytes())
    variables = {
        "MLFLOW_TRACKING_URI": fake.url,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": certificates.authority,
        "MLFLOW_TRACKING_CLIENT_CERT_PATH": str(mine),
    }
    try:
        destination = make_mlflow(**variables)
        trace = new_trace()
        destination.deliver([chat(trace, 1, note="x" * 2000)], RESOURCE)
        (sent,) = (asked for asked in fake.asked if asked.path == "/v1/traces")
        assert sent.headers["content-encoding"] == "gzip"
        assert trace_ids(sent._replace(body=gzip.decompress(sent.body))) == {trace}
        fake.answer = lambda asked: (400, {"detail": "Invalid"}) if "content-encoding" in asked.headers else None
        destination.deliver([chat(trace, 1, note="x" * 2000)], RESOURCE)
        destination.deliver([chat(trace, 1, note="x" * 2000)], RESOURCE)
        encodings = [asked.headers.get("content-encoding") for asked in fake.asked if asked.path == "/v1/traces"]
        assert encodings == ["gzip", "gzip", None, None]
        assert destination.rejected == 0
        with pytest.raises(RetryLater, match="TLS: "):
            make_mlflow(MLFLOW_TRACKING_URI=fake.url).deliver([chat(trace, 1)], RESOURCE)
    finally:
        fake.close()


def test_feedback_is_created_once(make_mlflow: Make, fake: Fake) -> None:
    """Where an answer to the creation got lost, the assessment is found by our id and not made a second time."""
    trace = new_trace()
    given = feedback(trace)
    stored: list[Any] = []

    def answer(asked: Asked) -> tuple[int, Any] | None:
        if asked.method == "POST" and asked.path.endswith("/assessments"):
            stored.append(asked.json["assessment"])
            return 503, {"message": "the answer is lost"}
        if asked.method == "GET" and "/traces/tr-" in asked.path:
            return 200, {"trace": {"trace_info": {"state": "OK", "assessments": stored}}}
        return None

    fake.answer = answer
    destination = make_mlflow(MLFLOW_TRACKING_URI=fake.url)
    with pytest.raises(RetryLater):
        destination.deliver([given], RESOURCE)
    assert destination.deliver([given], RESOURCE) == []
    assert len(stored) == 1


@pytest.mark.parametrize("later", [0, 5])
def test_another_process_was_faster(make_mlflow: Make, fake: Fake, later: int) -> None:
    """Where two create an assessment at once and the server fails one, that one finds it; the later word counts."""
    trace = new_trace()
    given = feedback(trace)
    theirs = feedback(trace, id=given.body["id"], time=given.body["time"] - later)
    stored: list[Any] = []

    def answer(asked: Asked) -> tuple[int, Any] | None:
        if asked.method == "POST" and asked.path.endswith("/assessments"):
            stored.append(assessments.assessment(theirs))
            return 500, {"message": "a constraint violation"}
        if asked.method == "GET" and "/traces/tr-" in asked.path:
            return 200, {"trace": {"trace_info": {"state": "OK", "assessments": stored}}}
        return None

    fake.answer = answer
    assert make_mlflow(MLFLOW_TRACKING_URI=fake.url).deliver([given], RESOURCE) == []
    assert len(stored) == 1
    assert [asked.method for asked in fake.asked].count("PATCH") == bool(later)


def test_requests_are_bounded(make_mlflow: Make, fake: Fake) -> None:
    """Many traces share a request, no trace is cut in two, and no request holds more than four megabytes of several."""
    traces = [new_trace() for _ in range(10)]
    records = [
        chat(trace, number, None if number == 1 else 1, note="x" * 500_000) for trace in traces for number in (1, 2)
    ]
    make_mlflow(MLFLOW_TRACKING_URI=fake.url).deliver(records, RESOURCE)
    sent = [asked for asked in fake.asked if asked.path == "/v1/traces"]
    assert [len(trace_ids(asked)) for asked in sent] == [3, 3, 3, 1]
    assert max(len(asked.body) for asked in sent) < 4_000_000


class Databricks:
    """What of Databricks' API traces need, as MLflow's own client uses it; a fake, in want of the real one."""

    def __init__(self, fake: Fake) -> None:
        self.infos: dict[str, Any] = {}
        self.files: dict[str, Any] = {}
        self.kind = "AWS_PRESIGNED_URL"
        self._url = fake.url
        fake.answer = self.answer

    def answer(self, asked: Asked) -> tuple[int, Any] | None:
        path, _, query = asked.path.partition("?")
        if path == "/oidc/v1/token":
            return 200, {"access_token": "t-1", "expires_in": 3600}
        if path.startswith("/storage/"):
            return self._storage(asked, path.rpartition("/")[2], query)
        if asked.headers.get("authorization") not in (f"Bearer {SECRET}", "Bearer t-1"):
            return 401, {}
        if path == "/api/3.0/mlflow/traces":
            info = asked.json["trace"]["trace_info"]
            self.infos[info["trace_id"]] = {**self.infos.get(info["trace_id"], {}), **info}
            return 200, {"trace": {"trace_info": info}}
        if "/traces/" in path:
            return self._trace(path)
        return None

    def _trace(self, path: str) -> tuple[int, Any]:
        parts = path.split("/")
        trace_id = parts[5]
        if trace_id not in self.infos:
            return 404, MISSING
        if len(parts) == 6:
            return 200, {"trace": {"trace_info": self.infos[trace_id]}}
        headers = [{"name": "x-signed", "value": "yes"}]
        address = f"{self._url}/storage/{trace_id}?signature=abc"
        return 200, {"credential_info": {"signed_uri": address, "headers": headers, "type": self.kind}}

    def _storage(self, asked: Asked, trace_id: str, query: str) -> tuple[int, Any]:
        assert "authorization" not in asked.headers
        assert asked.headers["x-signed"] == "yes"
        if asked.method == "GET":
            return (200, self.files[trace_id]) if trace_id in self.files else (404, {})
        if "resource=file" not in query:
            self.files[trace_id] = asked.json
        return 200, b""


def decoded(text: str) -> str:
    return base64.b64decode(text).hex()


@pytest.mark.parametrize("kind", ["AWS_PRESIGNED_URL", "AZURE_SAS_URI", "AZURE_ADLS_GEN2_SAS_URI"])
def test_databricks(make_mlflow: Make, fake: Fake, kind: str) -> None:
    """A trace is its info, with tags and sums, and a file of spans in the cloud, to which later spans are added."""
    databricks = Databricks(fake)
    databricks.kind = kind
    trace = new_trace()
    destination = make_mlflow(DATABRICKS_HOST=fake.url, DATABRICKS_TOKEN=SECRET, MLFLOW_EXPERIMENT_ID="1")
    root = span(trace, 1, None, {"gen_ai.operation.name": "invoke_agent", "input.value": "Why?", "session.id": "s"})
    assert destination.deliver([chat(trace, 2, 1), root], RESOURCE) == []
    info = databricks.infos[f"tr-{trace}"]
    assert (info["state"], info["request_preview"]) == ("OK", "Why?")
    assert (info["tags"]["mlflow.traceName"], info["tags"]["service.name"]) == ("span 1", "shop")
    assert json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])["total_tokens"] == 110
    assert destination.deliver([chat(trace, 3, 1)], RESOURCE) == []
    spans = {decoded(found["span_id"]): found for found in databricks.files[f"tr-{trace}"]["spans"]}
    assert sorted(spans) == [f"{number:016x}" for number in (1, 2, 3)]
    second = spans[f"{2:016x}"]
    assert (decoded(second["trace_id"]), decoded(second["parent_span_id"])) == (trace, f"{1:016x}")
    attributes = {key: json.loads(text) for key, text in second["attributes"].items()}
    assert attributes["mlflow.spanType"] == "CHAT_MODEL"
    assert attributes["mlflow.spanInputs"]["messages"] == [{"role": "user", "content": "Why?"}]
    assert second["status"] == {"code": "STATUS_CODE_OK", "message": ""}


def test_databricks_without_a_root(make_mlflow: Make, fake: Fake) -> None:
    """Spans of a trace that Databricks does not know wait; one whose root is elsewhere is made known."""
    databricks = Databricks(fake)
    destination = make_mlflow(DATABRICKS_HOST=fake.url, DATABRICKS_TOKEN=SECRET, MLFLOW_EXPERIMENT_ID="1")
    early = chat(new_trace(), 2, 1)
    assert destination.deliver([early], RESOURCE) == [early]
    remote = chat(new_trace(), 2, 77)
    remote.body["root"] = True
    assert destination.deliver([remote], RESOURCE) == []
    assert databricks.infos[f"tr-{remote.trace_id}"]["state"] == "OK"


def test_databricks_for_a_service_principal(make_mlflow: Make, fake: Fake) -> None:
    """Id and secret of a service principal get a token, once."""
    databricks = Databricks(fake)
    destination = make_mlflow(
        DATABRICKS_HOST=fake.url,
        DATABRICKS_CLIENT_ID="robot",
        DATABRICKS_CLIENT_SECRET=SECRET,
        MLFLOW_EXPERIMENT_ID="1",
    )
    trace = new_trace()
    destination.deliver([chat(trace, 1)], RESOURCE)
    destination.deliver([chat(trace, 1)], RESOURCE)
    assert len(fake.paths("/oidc/v1/token")) == 1
    assert f"tr-{trace}" in databricks.files


def test_databricks_wants_an_experiment(make_mlflow: Make, fake: Fake) -> None:
    """Without an experiment's name or id, which Databricks has no default for, what to set is told."""
    destination = make_mlflow(DATABRICKS_HOST=fake.url, DATABRICKS_TOKEN=SECRET)
    with pytest.raises(RetryLater, match="set MLFLOW_EXPERIMENT_NAME or MLFLOW_EXPERIMENT_ID"):
        destination.deliver([chat(new_trace(), 1)], RESOURCE)


def test_a_databricks_profile_that_is_not_there(make_mlflow: Make, tmp_path: Path) -> None:
    """A profile that nobody has written is told, with what to do instead."""
    destination = make_mlflow(
        MLFLOW_TRACKING_URI="databricks://nobody-of-that-name", DATABRICKS_CONFIG_FILE=str(tmp_path / "none")
    )
    with pytest.raises(RetryLater, match="set DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile"):
        destination.deliver([chat(new_trace(), 1)], RESOURCE)
