"""Records as OTLP, and back."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from autotrace.delivery import otlp
from autotrace.delivery.destinations import WHOLE_TRACE, Record
from autotrace.delivery.otlp.spans import SCHEMA_URL
from autotrace.recording import semconv

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
RESOURCE = {"service.name": "test", "process.pid": 7, "list": ["a", "b"]}


def body(**changes: Any) -> dict[str, Any]:
    return {
        "parent_id": None,
        "root": True,
        "name": "chat gpt",
        "kind": "client",
        "start": 1_700_000_000_000_000_001,
        "end": 1_700_000_001_000_000_002,
        "status": "ok",
        "message": None,
        "scope": "autotrace.plugins.openai",
        "scope_version": "1.2",
        "attributes": {},
        "events": [],
        "links": [],
        **changes,
    }


def feedback(**changes: Any) -> dict[str, Any]:
    return {
        "id": "f" * 32,
        "type": "feedback",
        "name": "helpful",
        "value": True,
        "comment": "so it was",
        "source_type": "human",
        "source": "ann",
        "time": 1_700_000_002_000_000_000,
        "metadata": {"page": "3"},
        **changes,
    }


def back(request: ExportTraceServiceRequest) -> list[Record]:
    return [record for _, record in otlp.records(request)]


def only_span(record: Record, **arguments: Any) -> Any:
    encoded = otlp.encode(record, **arguments)
    assert encoded is not None
    return encoded.span


def test_a_span() -> None:
    """A span has all that the journal knows of it."""
    attributes = {"gen_ai.request.model": "gpt", "gen_ai.usage.input_tokens": 3, "t": 0.5, "on": True, "s": ["stop"]}
    record = Record(
        "E",
        TRACE,
        SPAN,
        body(
            parent_id=PARENT,
            root=False,
            status="error",
            message="it broke",
            attributes=attributes,
            events=[{"name": "exception", "time": 1_700_000_000_500_000_000, "attributes": {"exception.type": "E"}}],
            links=[{"trace_id": "1" * 32, "span_id": "2" * 16, "attributes": {"why": "retry"}}],
        ),
    )
    request = otlp.request([record], RESOURCE)
    [of_process] = request.resource_spans
    [group] = of_process.scope_spans
    [span] = group.spans
    assert (group.scope.name, group.scope.version, group.schema_url) == (
        "autotrace.plugins.openai",
        "1.2",
        semconv.SCHEMA_URL,
    )
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN, PARENT)
    assert (span.name, span.kind, span.flags) == ("chat gpt", 3, 0x101)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (record.body["start"], record.body["end"])
    assert (span.status.code, span.status.message) == (2, "it broke")
    assert {pair.key: pair.value.WhichOneof("value") for pair in span.attributes} == {
        "gen_ai.request.model": "string_value",
        "gen_ai.usage.input_tokens": "int_value",
        "t": "double_value",
        "on": "bool_value",
        "s": "array_value",
    }
    assert list(otlp.records(request)) == [(RESOURCE, record)]


def test_the_schema_is_the_conventions() -> None:
    """The URL that delivery writes down is the one that recording goes by."""
    assert SCHEMA_URL == semconv.SCHEMA_URL


def test_scopes() -> None:
    """Spans are grouped by scope and version; only our own are said to keep to our release of the conventions."""
    scopes = [("autotrace", "1"), ("other.tool", "2"), ("autotrace", "2"), (None, None), ("autotrace", "1")]
    records = [
        Record("E", TRACE, f"{number:016x}", body(scope=scope, scope_version=version))
        for number, (scope, version) in enumerate(scopes, 1)
    ]
    [of_process] = otlp.request(records, RESOURCE).resource_spans
    assert [(g.scope.name, g.scope.version, bool(g.schema_url), len(g.spans)) for g in of_process.scope_spans] == [
        ("autotrace", "1", True, 2),
        ("other.tool", "2", False, 1),
        ("autotrace", "2", True, 1),
        ("", "", False, 1),
    ]


@pytest.mark.parametrize(("status", "code"), [("ok", 1), ("unset", 0), ("error", 2)])
def test_statuses(status: str, code: int) -> None:
    """A status is what it was, and only an error has a message."""
    span = only_span(Record("E", TRACE, SPAN, body(status=status, message="said")))
    assert (span.status.code, span.status.message) == (code, "said" if status == "error" else "")


def test_a_remote_parent() -> None:
    """A root with a parent has one in another process, and the flags say so."""
    record = Record("E", TRACE, SPAN, body(parent_id=PARENT, root=True))
    assert only_span(record).flags == 0x301
    assert back(otlp.request([record], {})) == [record]


def test_an_interrupted_span() -> None:
    """A span that its process did not end ends where its last event is, as an error that says so."""
    record = Record(
        "I",
        TRACE,
        SPAN,
        body(
            end=None,
            status="unset",
            attributes={"a": 1},
            events=[{"name": "x", "time": 1_700_000_005_000_000_000, "attributes": {}}],
        ),
    )
    span = only_span(record)
    assert span.end_time_unix_nano == 1_700_000_005_000_000_000
    assert (span.status.code, span.status.message) == (2, "interrupted: its process ended before it did")
    assert {pair.key: pair.value.string_value for pair in span.attributes}["autotrace.outcome"] == "interrupted"
    assert only_span(Record("I", TRACE, SPAN, body(end=None))).end_time_unix_nano == record.body["start"]
    assert back(otlp.request([record], {})) == [record]


def test_what_is_no_span() -> None:
    """Starts and updates are passed over."""
    for kind in "SU":
        assert otlp.encode(Record(kind, TRACE, SPAN, body())) is None


@pytest.mark.parametrize(
    ("value", "score", "label"),
    [
        (True, 1.0, "true"),
        (False, 0.0, "false"),
        (3, 3.0, None),
        (0.25, 0.25, None),
        ("good", None, "good"),
    ],
)
def test_feedback(value: Any, score: float | None, label: str | None) -> None:
    """Feedback is a span without length beneath the one it judges, with the conventions' attributes."""
    record = Record("F", TRACE, SPAN, feedback(value=value))
    span = only_span(record)
    assert span.parent_span_id.hex() == SPAN
    assert span.start_time_unix_nano == span.end_time_unix_nano == record.body["time"]
    [event] = span.events
    assert event.name == "gen_ai.evaluation.result"
    for holder in (span, event):
        found = {pair.key: pair.value for pair in holder.attributes}
        assert found["gen_ai.evaluation.name"].string_value == "helpful"
        assert found["gen_ai.evaluation.explanation"].string_value == "so it was"
        for key, expected in (("score.value", score), ("score.label", label)):
            given_ = found.get(f"gen_ai.evaluation.{key}")
            assert (given_ and (given_.string_value or given_.double_value)) == (expected or (given_ and 0.0))
    assert only_span(record).span_id == span.span_id
    assert back(otlp.request([record], {})) == [record]


def test_feedback_on_a_trace() -> None:
    """Feedback on a whole trace hangs from the span that is named for it, and is of the whole trace all the same."""
    record = Record("F", TRACE, WHOLE_TRACE, feedback(comment=None, source=None))
    assert only_span(record).parent_span_id == b""
    encoded = otlp.encode(record, parent=PARENT)
    assert encoded is not None
    assert encoded.span.parent_span_id.hex() == PARENT
    assert back(otlp.assemble([encoded], {})) == [record]


def test_an_expectation() -> None:
    """What should have come out is no score, and any JSON."""
    record = Record("F", TRACE, SPAN, feedback(type="expectation", value={"facts": [1, None]}))
    assert not any("score" in pair.key for pair in only_span(record).attributes)
    assert back(otlp.request([record], {})) == [record]


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, str(2**63)),
        ([1, "a"], '[1,"a"]'),
        ([[1]], "[[1]]"),
        ([None], "[null]"),
        ({"a": {"b": [1, None]}}, '{"a":{"b":[1,null]}}'),
        ([], []),
        ([True, False], [True, False]),
        ([0.5, 1.5], [0.5, 1.5]),
        ([2**64], [str(2**64)]),
        ("\ud800 lone", "? lone"),
        ("\0", "\0"),
        ("", ""),
    ],
)
def test_values(value: Any, arrives: Any) -> None:
    """What OTLP has a type for keeps it; all else is text."""
    [record] = back(otlp.request([Record("E", TRACE, SPAN, body(attributes={"k": value}))], {}))
    assert record.body["attributes"] == {"k": arrives}
    assert type(record.body["attributes"]["k"]) is type(arrives)


def test_null_says_nothing() -> None:
    """An attribute that is null is left out."""
    [record] = back(otlp.request([Record("E", TRACE, SPAN, body(attributes={"k": None}))], {"r": None}))
    assert record.body["attributes"] == {}


def test_a_deep_value() -> None:
    """A value that is deeper than JSON's writer goes is a text all the same."""
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    [record] = back(otlp.request([Record("E", TRACE, SPAN, body(attributes={"k": deep}))], {}))
    assert record.body["attributes"]["k"].startswith("[[[[")


def test_attributes_of_a_dialect() -> None:
    """A span's attributes are what they are translated into; an interrupted one is still marked."""
    records = [Record(kind, TRACE, SPAN, body(attributes={"a": 1})) for kind in "EI"]
    request = otlp.request(records, {}, lambda record: {"b": record.body["attributes"]["a"] + 1})
    spans = request.resource_spans[0].scope_spans[0].spans
    assert [[pair.key for pair in span.attributes] for span in spans] == [["b"], ["b", "autotrace.outcome"]]


WRONG = [
    {"start": "yesterday"},
    {"start": -1},
    {"start": 2**64},
    {"start": None},
    {"end": None},
    {"end": 1.5},
    {"name": None},
    {"name": 3},
    {"kind": "friendly"},
    {"kind": []},
    {"status": "fine"},
    {"status": None},
    {"attributes": []},
    {"attributes": None},
    {"events": 3},
    {"events": [3]},
    {"events": [{"name": "x"}]},
    {"links": [{"trace_id": "zz", "span_id": "", "attributes": {}}]},
    {"parent_id": "12"},
    {"parent_id": 12},
    {"scope": ["x"]},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_one_bad_record(wrong: dict[str, Any]) -> None:
    """A record that is no span costs itself alone, and is told of."""
    rejected: list[tuple[Record, str]] = []
    records = [
        Record("E", TRACE, "1" * 16, body()),
        Record("E", TRACE, "2" * 16, body(**wrong)),
        Record("E", TRACE, "3" * 16, body()),
    ]
    request = otlp.request(records, {}, rejected=lambda record, error: rejected.append((record, str(error))))
    assert [record.span_id for record in back(request)] == ["1" * 16, "3" * 16]
    [(record, why)] = rejected
    assert record is records[1]
    assert why.startswith(f"span {'2' * 16} of trace {TRACE}: ")
    assert len(back(otlp.request(records, {}))) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ANY_BODY = st.fixed_dictionaries(dict.fromkeys(body(), JSON))


@given(st.sampled_from("SEIFU"), ANY_BODY | st.fixed_dictionaries(dict.fromkeys(feedback(), JSON)))
def test_any_body(kind: str, found: dict[str, Any]) -> None:
    """Whatever the journal's reader gives is a span, none, or told of; nothing else is raised."""
    rejected: list[Record] = []
    request = otlp.request([Record(kind, TRACE, SPAN, found)], {}, rejected=lambda record, _: rejected.append(record))
    assert len(back(ExportTraceServiceRequest.FromString(request.SerializeToString()))) + len(rejected) <= 1


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALAR = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
UNIFORM = st.one_of(
    *(st.lists(kind, max_size=3) for kind in (TEXT, st.booleans(), st.integers(-9, 9), st.floats(0, 9)))
)
ATTRIBUTES = st.dictionaries(TEXT.filter(lambda key: key != "autotrace.feedback.id"), SCALAR | UNIFORM, max_size=5)
TIME = st.integers(1, 2**63)
EVENT = st.fixed_dictionaries({"name": TEXT, "time": TIME, "attributes": ATTRIBUTES})
SPANS = st.builds(
    lambda changes: body(
        **{**changes, "message": (changes["message"] or None) if changes["status"] == "error" else None}
    ),
    st.fixed_dictionaries(
        {
            "name": TEXT,
            "kind": st.sampled_from(["internal", "server", "client", "producer", "consumer"]),
            "start": TIME,
            "end": TIME,
            "status": st.sampled_from(["ok", "unset", "error"]),
            "message": TEXT,
            "scope": TEXT.map(lambda text: text or None),
            "attributes": ATTRIBUTES,
            "events": st.lists(EVENT, max_size=3),
        }
    ),
)


@given(SPANS, ATTRIBUTES)
def test_round_trip(found: dict[str, Any], resource: dict[str, Any]) -> None:
    """A span comes back as it went, by protobuf and by JSON."""
    record = Record("E", TRACE, SPAN, found)
    request = otlp.request([record], resource)
    line = otlp.to_json(request)
    assert b"\n" not in line
    for again in (ExportTraceServiceRequest.FromString(request.SerializeToString()), otlp.from_json(line)):
        assert list(otlp.records(again)) == [(resource, record)]


def test_json_is_as_the_specification_wants_it() -> None:
    """Ids are hexadecimal digits, enums numbers, 64-bit integers texts."""
    records = [
        Record(
            "E", TRACE, SPAN, body(parent_id=PARENT, links=[{"trace_id": TRACE, "span_id": SPAN, "attributes": {}}])
        ),
        Record("E", TRACE, PARENT, body(attributes={"n": 1})),
    ]
    [of_process] = json.loads(otlp.to_json(otlp.request(records, RESOURCE)))["resourceSpans"]
    first, second = of_process["scopeSpans"][0]["spans"]
    assert (first["traceId"], first["spanId"], first["parentSpanId"]) == (TRACE, SPAN, PARENT)
    assert (first["links"][0]["traceId"], first["links"][0]["spanId"]) == (TRACE, SPAN)
    assert (first["kind"], first["status"]) == (3, {"code": 1})
    assert first["startTimeUnixNano"] == str(body()["start"])
    assert second["attributes"] == [{"key": "n", "value": {"intValue": "1"}}]


def test_json_of_others() -> None:
    """What another exporter wrote is read: names of enums, fields that are not known, ids in capitals."""
    span = {"traceId": TRACE.upper(), "spanId": SPAN, "kind": "SPAN_KIND_SERVER", "name": "x", "new": [1]}
    span["attributes"] = [
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 5}}]}}},
        {"key": "bytes", "value": {"bytesValue": "AAE="}},
        {"key": "nothing", "value": {}},
    ]
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}], "schemaUrl": "x"}]}
    [record] = back(otlp.from_json(json.dumps(request)))
    assert (record.trace_id, record.span_id, record.body["kind"]) == (TRACE, SPAN, "server")
    assert record.body["attributes"] == {"map": {"a": 5}, "bytes": "AAE=", "nothing": None}
    assert (record.body["root"], record.body["status"], record.body["end"]) == (True, "unset", 0)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"3",
        b"{",
        b"\xff",
        b'{"resourceSpans": 3}',
        b'{"resourceSpans": [3]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 3}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 3}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"links": [4]}]}]}]}',
    ],
)
def test_no_request(line: bytes) -> None:
    """A line that is no request is a ValueError."""
    with pytest.raises(ValueError, match="no OTLP request"):
        otlp.from_json(line)


@given(JSON)
def test_any_line(value: Any) -> None:
    """No JSON crashes the reader."""
    try:
        otlp.from_json(orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [value]}]}]}))
    except (ValueError, TypeError):
        pass


def test_spans_that_are_none() -> None:
    """A span without a valid id, or whose feedback is damaged, is told of and left out."""
    request = otlp.request([Record("E", TRACE, SPAN, body()), Record("F", TRACE, SPAN, feedback())], {})
    spans = [span for group in request.resource_spans[0].scope_spans for span in group.spans]
    spans[0].span_id = b"\0" * 8
    for pair in spans[1].attributes:
        if pair.key == "autotrace.feedback.value":
            pair.value.string_value = "{"
    request.resource_spans[0].scope_spans[0].spans.add(trace_id=b"1", span_id=b"2")
    rejected: list[str] = []
    assert list(otlp.records(request, rejected.append)) == []
    assert len(rejected) == 3
    assert list(otlp.records(request)) == []
