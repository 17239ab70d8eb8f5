"""OTLP as a destination, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from autotrace.delivery.destinations import WHOLE_TRACE, Record, RetryLater
from autotrace.delivery.destinations.otlp import OtlpDestination
from autotrace.recording.guard import guard

Make = Callable[..., OtlpDestination]
TRACE = "0af7651916cd43dd8448eb211c80319c"
RESOURCE = {"service.name": "test"}


@pytest.fixture(autouse=True)
def nothing_told() -> Any:
    guard.reset()
    yield
    guard.reset()


def span(number: int = 1, kind: str = "E", trace_id: str = TRACE, **changes: Any) -> Record:
    body = {
        "parent_id": None,
        "root": True,
        "name": f"span {number}",
        "kind": "client",
        "start": 1_700_000_000_000_000_000,
        "end": 1_700_000_001_000_000_000,
        "status": "ok",
        "message": None,
        "scope": "autotrace",
        "scope_version": "1",
        "attributes": {},
        "events": [],
        "links": [],
        **changes,
    }
    return Record(kind, trace_id, f"{number:016x}", body)


def names(records: list[Record]) -> list[str]:
    return [record.body["name"] for record in records]


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_spans_arrive(receiver: Any, make_destination: Make, protocol: str, compression: str) -> None:
    """Spans arrive whole, with their process's attributes and our headers, packed or not, as protobuf or JSON."""
    destination = make_destination(
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
        OTEL_EXPORTER_OTLP_HEADERS="x-one=1,Authorization=Bearer%20a%2Cb",
    )
    records = [span(number, attributes={"text": "long " * 200}) for number in (1, 2)]
    destination.deliver(records, RESOURCE)
    assert receiver.records == records
    [received] = receiver.received
    assert received.path == "/v1/traces"
    assert received.headers["x-one"] == "1"
    assert received.headers["authorization"] == "Bearer a,b"
    assert ("content-encoding" in received.headers) == (compression == "gzip") == (received.size < 1000)
    assert destination.rejected == 0


def test_a_name(make_destination: Make) -> None:
    """The place in the journal is remembered under one name."""
    assert make_destination().name == "otlp"


def test_starts_and_updates_are_passed_over(receiver: Any, make_destination: Make) -> None:
    """Where there is nothing to send, nothing is."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    destination.deliver([span(kind="S"), Record("U", TRACE, WHOLE_TRACE, {"time": 1, "name": "x"})], RESOURCE)
    destination.deliver([], RESOURCE)
    assert receiver.received == []


def test_requests_are_bounded(receiver: Any, make_destination: Make) -> None:
    """A request holds at most 512 spans, and about 4 MB."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    small = [span(number) for number in range(1, 601)]
    destination.deliver(small, RESOURCE)
    assert [len(list(one.request.resource_spans[0].scope_spans[0].spans)) for one in receiver.received] == [512, 88]
    large = [span(number, attributes={"x": "x" * 1_500_000}) for number in range(1, 6)]
    receiver.received.clear()
    destination.deliver(large, RESOURCE)
    assert [len(list(one.request.resource_spans[0].scope_spans[0].spans)) for one in receiver.received] == [2, 2, 1]


def test_feedback_hangs_from_the_root(receiver: Any, make_destination: Make) -> None:
    """Feedback on a whole trace stands beneath its root, once that has passed."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    body = {"id": "f" * 32, "type": "feedback", "name": "good", "value": 1, "comment": None, "metadata": {}}
    given = Record("F", TRACE, WHOLE_TRACE, {**body, "source_type": "code", "source": None, "time": 5})
    destination.deliver([span(7), span(8, root=False)], RESOURCE)
    destination.deliver([given], RESOURCE)
    [sent] = receiver.received[-1].request.resource_spans[0].scope_spans[0].spans
    assert sent.parent_span_id.hex() == f"{7:016x}"
    assert receiver.records[-1] == given


def test_later(receiver: Any, make_destination: Make) -> None:
    """A server that is busy gets the rest later, after the time that it says, and nothing twice."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    records = [span(number) for number in range(1, 601)]
    receiver.replies.extend([(429, {"Retry-After": "3"}, b"")])
    with pytest.raises(RetryLater, match="429") as raised:
        destination.deliver(records, RESOURCE)
    assert raised.value.seconds == 3
    destination.deliver(records[:512], RESOURCE)
    receiver.replies.extend([(503, {}, b"")])
    with pytest.raises(RetryLater, match="503"):
        destination.deliver(records[512:], RESOURCE)
    destination.deliver(records[512:], RESOURCE)
    assert receiver.records == records


def test_what_got_through_is_not_sent_again(make_receiver: Any, make_destination: Make) -> None:
    """Of a batch whose second request fails the first is remembered."""
    receiver = make_receiver()
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    records = [span(number) for number in range(1, 601)]
    receiver.judge = _second_is_busy(receiver)
    with pytest.raises(RetryLater):
        destination.deliver(records, RESOURCE)
    destination.deliver(records, RESOURCE)
    assert receiver.records == records
    destination.deliver(records[:1], RESOURCE)
    assert receiver.records == [*records, records[0]]


def _second_is_busy(receiver: Any) -> Callable[[list[Record]], bool]:
    def judge(found: list[Record]) -> bool:
        if not receiver.received:
            receiver.replies.append((503, {}, b""))
        return False

    return judge


def test_a_server_that_hangs_up_on_what_is_large(make_receiver: Any, make_destination: Make) -> None:
    """Requests get smaller while none gets through."""
    receiver = make_receiver()
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    records = [span(number, attributes={"x": "x" * 100_000}) for number in range(1, 20)]
    for _ in range(5):
        receiver.replies.append((502, {}, b""))
        with pytest.raises(RetryLater):
            destination.deliver(records, RESOURCE)
    destination.deliver(records, RESOURCE)
    sizes = [len(one.request.resource_spans[0].scope_spans[0].spans) for one in receiver.received]
    assert sizes[0] == 1
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]
    assert receiver.records == records


def test_poison(receiver: Any, make_destination: Make, caplog: pytest.LogCaptureFixture) -> None:
    """What is refused for good stands alone in the end, is counted, and told of once with the server's words."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    receiver.judge = lambda found: bool({"span 7", "span 70"} & set(names(found)))
    records = [span(number) for number in range(1, 101)]
    with caplog.at_level(logging.WARNING, "autotrace"):
        destination.deliver(records, RESOURCE)
    assert sorted(names(receiver.records)) == sorted(set(names(records)) - {"span 7", "span 70"})
    assert destination.rejected == 2
    [told] = caplog.messages
    assert "400: poison" in told


@pytest.mark.parametrize("status", [413, 415, 422])
def test_refusals(receiver: Any, make_destination: Make, status: int) -> None:
    """A batch that is too large gets through in pieces."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    receiver.replies.append((status, {}, b""))
    destination.deliver([span(1), span(2)], RESOURCE)
    assert names(receiver.records) == ["span 1", "span 2"]
    assert destination.rejected == 0


@pytest.mark.parametrize("status", [400, 415, 422])
def test_a_server_that_refuses_all(receiver: Any, make_destination: Make, status: int) -> None:
    """Where a request without spans is refused in the same words, no span is to blame: they wait, whole."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    records = [span(number) for number in range(1, 101)]
    receiver.replies += [(status, {}, b"a header is missing")] * 2
    with pytest.raises(RetryLater, match=f"check OTEL_EXPORTER_OTLP_ENDPOINT and .*HEADERS: {status}: a header is"):
        destination.deliver(records, RESOURCE)
    assert not receiver.replies
    destination.deliver(records, RESOURCE)
    assert names(receiver.records) == names(records)
    assert destination.rejected == 0


def test_an_error_as_protobuf(receiver: Any, make_destination: Make) -> None:
    """The server's words are found in a google.rpc.Status."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    receiver.replies.append((400, {"Content-Type": "application/x-protobuf"}, b"\x08\x03\x12\x08too\x1bmany"))
    destination.deliver([span(1)], RESOURCE)
    assert destination.rejected == 1
    assert r"400: too\x1bmany" in guard.told[0]


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
def test_partial_success(receiver: Any, make_destination: Make, kind: str) -> None:
    """Spans that a server leaves out are counted, told of, and not sent again."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    partial = {"rejected_spans": 3, "error_message": "too old"}
    answer = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    if kind == "application/json":
        answer = b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}}'
    receiver.replies.append((200, {"Content-Type": kind}, answer))
    destination.deliver([span(number) for number in range(1, 6)], RESOURCE)
    assert destination.rejected == 3
    assert "too old" in guard.told[0]


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json", "text/html"])
@pytest.mark.parametrize("answer", [b"", b"\xff\xff", b"[3]", b"<p>ok</p>", b'{"partialSuccess": 3}'])
def test_any_answer_of_success(receiver: Any, make_destination: Make, kind: str, answer: bytes) -> None:
    """A server that takes the spans may say what it likes."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    receiver.replies.append((200, {"Content-Type": kind}, answer))
    destination.deliver([span(1)], RESOURCE)
    assert destination.rejected == 0


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "HEADERS"), (403, "HEADERS"), (404, "ENDPOINT"), (405, "ENDPOINT"), (302, "ENDPOINT")]
)
def test_a_wrong_address(receiver: Any, make_destination: Make, status: int, advice: str) -> None:
    """Spans wait while an address or a credential is wrong, and the error says what to mend, without the credential."""
    destination = make_destination(
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_EXPORTER_OTLP_HEADERS="authorization=Basic%20topsecret"
    )
    receiver.replies.append((status, {}, b"no topsecret here"))
    with pytest.raises(RetryLater, match=f"answers {status}: check OTEL_EXPORTER_OTLP_{advice}") as raised:
        destination.deliver([span(1)], RESOURCE)
    assert "topsecret" not in str(raised.value)
    assert "topsecret" not in repr(destination.settings)


def test_a_record_that_is_none(receiver: Any, make_destination: Make) -> None:
    """A damaged record costs itself alone."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    destination.deliver([span(1), span(2, start="yesterday"), span(3)], RESOURCE)
    assert names(receiver.records) == ["span 1", "span 3"]
    assert destination.rejected == 1


def test_a_rate(receiver: Any, make_destination: Make) -> None:
    """No more than a second's worth goes at once; the rest follows, nothing twice."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, AUTOTRACE_OTLP_MAX_RATE=50)
    records = [span(number) for number in range(1, 121)]
    with pytest.raises(RetryLater, match="no more than 50 spans a second") as raised:
        destination.deliver(records, RESOURCE)
    assert 0 < (raised.value.seconds or 0) <= 1
    assert 50 <= len(receiver.records) < 120
    while len(receiver.records) < 120:
        try:
            destination.deliver(records, RESOURCE)
        except RetryLater:
            pass
    assert receiver.records == records


def test_it_comes_back(receiver: Any, make_destination: Make) -> None:
    """A destination that was closed opens again."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    for number in (1, 2):
        destination.deliver([span(number)], RESOURCE)
        destination.close()
    destination.close()
    assert names(receiver.records) == ["span 1", "span 2"]


def test_tls(make_receiver: Any, certificates: Any, make_destination: Make) -> None:
    """Servers are judged by the authority that is named, and get our certificate where they want one."""
    receiver = make_receiver(certificates.server_tls())
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.authority,
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificates.client,
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": certificates.client_key,
    }
    make_destination(**variables).deliver([span(1)], RESOURCE)
    variables["SSL_CERT_FILE"] = variables.pop("OTEL_EXPORTER_OTLP_CERTIFICATE")
    make_destination(**variables).deliver([span(2)], RESOURCE)
    assert names(receiver.records) == ["span 1", "span 2"]
    del variables["SSL_CERT_FILE"]
    with pytest.raises(RetryLater, match="TLS"):
        make_destination(**variables).deliver([span(3)], RESOURCE)
    without = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.authority}
    with pytest.raises(RetryLater, match="localhost"):
        make_destination(**without).deliver([span(3)], RESOURCE)
    assert len(receiver.records) == 2


def test_gzip_is_the_default(receiver: Any, make_destination: Make) -> None:
    """Content is text, and text is packed."""
    make_destination(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url).deliver([span(1)], RESOURCE)
    assert receiver.received[0].headers["content-encoding"] == "gzip"


def test_it_costs_nothing_before_the_first_span(python: Any) -> None:
    """Making the destination imports neither protobuf nor an HTTP client."""
    code = """
        import json, sys
        from autotrace.config import load
        from autotrace.delivery.destinations.otlp import make
        make(load(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}))
        print(json.dumps([name for name in ("google.protobuf", "urllib3", "grpc", "ssl") if name in sys.modules]))
    """
    assert python.json(code) == []
