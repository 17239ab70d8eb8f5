"""`autotrace export` and `autotrace import`: what goes out comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from click.testing import CliRunner

from autotrace.cli import main
from autotrace.delivery.destinations import WHOLE_TRACE, Record
from autotrace.store.writer import Writer

from .conftest import BEGAN, SECOND, Command

SAID = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hello “there”?"}]}])
FEEDBACK = {
    "id": "1" * 32,
    "type": "feedback",
    "name": "thumbs",
    "value": False,
    "comment": "no",
    "source_type": "human",
    "source": "ann",
    "time": BEGAN,
    "metadata": {"k": "v"},
}
UPDATE = {"time": BEGAN + 1, "name": "renamed", "session": "s", "user": None, "tags": {"plan": "pro", "n": [1, None]}}


def span(kind: str, trace: str, span: str, parent: str | None = None, **changes: Any) -> Record:
    body = {
        "parent_id": parent and parent * 16,
        "root": parent is None,
        "name": f"span {span}",
        "kind": "client",
        "start": BEGAN + int(span) * SECOND,
        "end": BEGAN + int(span) * SECOND + 7 if kind == "E" else None,
        "status": "unset",
        "message": None,
        "scope": "autotrace.plugins.openai",
        "scope_version": "1",
        "attributes": {"gen_ai.input.messages": SAID, "number": 7, "share": 0.5, "yes": True, "list": ["a", "b"]},
        "events": [],
        "links": [],
        **changes,
    }
    return Record(kind, trace * 32, span * 16, body)


RECORDS = (
    span("E", "a", "1", status="ok", attributes={"autotrace.trace.name": "own", "gen_ai.tool.name": "t"}),
    span(
        "E",
        "a",
        "2",
        "1",
        status="error",
        message="it broke",
        events=[{"name": "exception", "time": BEGAN, "attributes": {"exception.type": "V"}}],
        links=[{"trace_id": "e" * 32, "span_id": "f" * 16, "attributes": {"x": 1}}],
    ),
    Record("F", "a" * 32, WHOLE_TRACE, FEEDBACK),
    Record("F", "a" * 32, "2" * 16, {**FEEDBACK, "id": "2" * 32, "value": {"any": [1]}, "type": "expectation"}),
    Record("U", "a" * 32, WHOLE_TRACE, UPDATE),
    span("I", "b", "1", attributes={"session.id": "s"}),
    span("S", "c", "2", scope="autotrace"),
    span("E", "d", "3", "9", root=True, attributes={"autotrace.outcome": "closed"}),
)


@pytest.fixture
def filled(home: Path) -> Path:
    """A store with everything in it that there can be."""
    writer = Writer(home / "traces.db")
    writer.write(RECORDS[:6], {"service.name": "shop", "count": 3})
    writer.write(RECORDS[6:], {"service.name": "other"})
    # One trace from two processes.
    writer.write([span("E", "a", "5", "1", root=True)], {"service.name": "other"})
    writer.close()
    return home


def shown(autotrace: Command) -> dict[str, Any]:
    """All traces as `traces show --json` prints them."""
    return {trace: json.loads(autotrace("traces", "show", trace * 32, "--json").stdout) for trace in "abcd"}


def test_round_trip(autotrace: Command, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported and imported into an empty store is shown to the letter as before; again, nothing changes."""
    before = shown(autotrace)
    assert autotrace("export", "-o", "out.jsonl").exit_code == 0
    monkeypatch.setenv("AUTOTRACE_HOME", str(tmp_path / "second"))
    result = autotrace("import", "out.jsonl")
    assert (result.exit_code, result.stdout) == (0, "6 spans, 3 pieces of feedback and updates taken\n")
    assert shown(autotrace) == before
    assert before["a"]["name"] == "renamed"
    assert autotrace("import", "out.jsonl", "out.jsonl").exit_code == 0
    assert shown(autotrace) == before
    autotrace("export", "-o", "again.jsonl")
    assert Path("again.jsonl").read_bytes() == Path("out.jsonl").read_bytes()


def test_lines_are_otlp(autotrace: Command, filled: Path) -> None:
    """A line is one trace as OTLP's file exporter writes it: ids in hexadecimal digits, enums as numbers."""
    lines = [json.loads(line) for line in autotrace("export").stdout.splitlines()]
    assert len(lines) == 4
    spans = [one for process in lines[0]["resourceSpans"] for group in process["scopeSpans"] for one in group["spans"]]
    assert {one["traceId"] for one in spans} == {"a" * 32}
    first = next(one for one in spans if one["spanId"] == "1" * 16)
    assert (first["kind"], first["startTimeUnixNano"]) == (3, str(BEGAN + SECOND))
    failed = next(one for one in spans if one["spanId"] == "2" * 16)
    assert failed["status"] == {"code": 2, "message": "it broke"}
    assert failed["links"][0]["traceId"] == "e" * 32


def test_choice(autotrace: Command, filled: Path) -> None:
    """--trace and --since choose; a trace that is not there is an error."""

    def exported(*options: str) -> list[str]:
        lines = autotrace("export", *options).stdout.splitlines()
        return [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"][0] for line in lines]

    assert exported() == ["a", "b", "c", "d"]
    assert exported("--trace", "bbbb", "--trace", "dddd") == ["b", "d"]
    assert exported("--since", "2026-05-28T20:26:42Z") == ["c", "d"]
    result = autotrace("export", "--trace", "ffff")
    assert result.exit_code == 1
    assert "no trace begins with" in result.stderr


def test_file_is_private(autotrace: Command, filled: Path) -> None:
    """Only its owner can read an exported file."""
    autotrace("export", "-o", "out.jsonl")
    assert Path("out.jsonl").stat().st_mode & 0o777 == 0o600


def test_impossible_file(autotrace: Command, filled: Path) -> None:
    """A file that cannot be written or read is an error that names it."""
    for command in (("export", "-o", "no/such"), ("import", "no/such"), ("export", "--format=parquet", "-o", "no/x")):
        result = autotrace(*command)
        assert result.exit_code == 1
        assert "no/" in result.stderr


def test_nothing_to_export(autotrace: Command, home: Path) -> None:
    """Without a store there is nothing to export, and none is made."""
    assert autotrace("export").exit_code == 1
    assert not home.exists()


COLLECTOR = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "foreign"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "someone.else", "version": "2"},
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "EEE19B7EC3C1B174",
                            "parentSpanId": "",
                            "name": "I'm a server span",
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": "1544712661000000000",
                            "kind": 2,
                            "attributes": [
                                {"key": "my.span.attr", "value": {"stringValue": "some value"}},
                                {"key": "int", "value": {"intValue": "9"}},
                            ],
                            "futureField": {"x": 1},
                        }
                    ],
                }
            ],
        }
    ]
}


def test_what_collectors_write(autotrace: Command, home: Path) -> None:
    """Spans of others keep their attributes, whatever they are."""
    Path("in.jsonl").write_text(json.dumps(COLLECTOR) + "\n\n" + '{"resourceLogs": []}\n')
    assert autotrace("import", "in.jsonl").exit_code == 0
    trace = json.loads(autotrace("traces", "show", "5b8e", "--json").stdout)
    assert trace["name"] == "I'm a server span"
    assert trace["duration_ms"] == 1000.0
    assert trace["spans"][0]["attributes"] == {"my.span.attr": "some value", "int": 9}
    assert trace["spans"][0]["resource"] == {"service.name": "foreign"}


def test_bad_lines(autotrace: Command, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad lines are told by their numbers and counted; all others are taken; the status is 1."""
    good = autotrace("export").stdout.splitlines()
    no_id = json.dumps(COLLECTOR).replace("EEE19B7EC3C1B174", "")
    odd_id = json.dumps(COLLECTOR).replace("EEE19B7EC3C1B174", "xyz")
    text = "\n".join([good[0], "nonsense", good[1], no_id, "[1]", odd_id, good[2] + good[3], "\x1b[31m", good[3]])
    monkeypatch.setenv("AUTOTRACE_HOME", str(tmp_path / "second"))
    result = CliRunner().invoke(main, ["import", "-"], input=text)
    assert result.exit_code == 1
    told = [line.split(":")[2] for line in result.stderr.splitlines() if line.startswith("autotrace: -:")]
    assert told == ["2", "4", "5", "6", "7", "8"]
    assert "6 lines or spans could not be taken" in result.stderr
    assert "\x1b" not in result.stderr
    assert len(json.loads(autotrace("traces", "--json").stdout)) == 3


def test_many_bad_lines(autotrace: Command, home: Path) -> None:
    """Of very many bad lines the first are told, and all are counted."""
    Path("in.jsonl").write_text("nonsense\n" * 500)
    result = autotrace("import", "in.jsonl")
    assert len(result.stderr.splitlines()) < 30
    assert "500 lines" in result.stderr


def test_parquet(autotrace: Command, filled: Path) -> None:
    """A Parquet file has a row a span: columns for what is filtered, JSON for the rest."""
    assert autotrace("export", "--format", "parquet", "-o", "out.parquet").exit_code == 0
    table = pyarrow.parquet.read_table("out.parquet")
    assert str(table.schema.field("start_time").type) == "timestamp[ns, tz=UTC]"
    assert table["end_time"].null_count == 2
    rows = table.drop_columns(["start_time", "end_time"]).to_pylist()
    assert len(rows) == 6
    first = next(row for row in rows if row["trace_id"] == "a" * 32 and row["span_id"] == "1" * 16)
    assert (first["name"], first["status"], first["root"], first["duration_ms"]) == ("own", "ok", True, 7e-6)
    assert json.loads(first["attributes"]) == RECORDS[0].body["attributes"]
    assert json.loads(first["resource"]) == {"service.name": "shop", "count": 3}
    assert json.loads(first["feedback"])[0]["name"] == "thumbs"
    assert json.loads(first["updates"]) == [UPDATE]


def test_parquet_without_pyarrow(autotrace: Command, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the error names the extra to install."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = autotrace("export", "--format", "parquet", "-o", "out.parquet")
    assert result.exit_code == 1
    assert "autotrace-ai[parquet]" in result.stderr


def test_parquet_is_no_text(autotrace: Command, filled: Path) -> None:
    """Parquet on standard output is wrong usage."""
    assert autotrace("export", "--format", "parquet").exit_code == 2
