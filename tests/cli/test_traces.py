"""`autotrace traces` and `autotrace traces show`, as a person and as a program reads them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrace.delivery.destinations import Record
from autotrace.store.writer import Writer

from .conftest import BEGAN, SECOND, Command, Fill

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1234,
    "gen_ai.usage.output_tokens": 100,
    "gen_ai.response.time_to_first_chunk": 0.25,
}


def said(role: str, *parts: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": role, "parts": list(parts)}]


def text(content: str) -> dict[str, Any]:
    """A part of a message."""
    return {"type": "text", "content": content}


def test_no_store_yet(autotrace: Command, home: Path) -> None:
    """Without a store the one next step is told, and nothing is made."""
    result = autotrace("traces")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "import autotrace.auto" in result.stdout
    assert json.loads(autotrace("traces", "--json").stdout) == []
    assert not home.exists()


def test_table(autotrace: Command, write: Fill) -> None:
    """The table shows the newest trace first, one line each."""
    write("a", attributes={"input.value": "first\nsecond line"})
    write("b", start=60, name="chat", attributes={**CHAT, "gen_ai.input.messages": said("user", text("hello?"))})
    lines = autotrace("traces").stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["TIME", "ID", "NAME", "STATUS", "DURATION", "TOKENS", "COST", "QUERY"]
    assert " ".join(lines[1].split()[2:]) == "bbbbbbbb chat ok 1.00 s 1,234/100 $0.000245 hello?"
    assert " ".join(lines[2].split()[2:]) == "aaaaaaaa span 1 ok 1.00 s - $0 first"


def test_unknown_cost(autotrace: Command, write: Fill) -> None:
    """An unknown price is a question mark and null, never 0."""
    write(attributes={**CHAT, "gen_ai.request.model": "llama3.2"})
    assert " ? " in autotrace("traces").stdout
    assert json.loads(autotrace("traces", "--json").stdout)[0]["cost_usd"] is None


def test_list_options(autotrace: Command, write: Fill) -> None:
    """--limit, --errors, --session and --since choose."""
    write("a", attributes={"session.id": "s"})
    write("b", start=1, status="error", message="no")
    write("c", start=2)

    def ids(*options: str) -> list[str]:
        return [trace["trace_id"][0] for trace in json.loads(autotrace("traces", "--json", *options).stdout)]

    assert ids() == ["c", "b", "a"]
    assert ids("--limit", "2") == ["c", "b"]
    assert ids("--errors") == ["b"]
    assert ids("--session", "s") == ["a"]
    assert ids("--since", "2026-05-28T20:26:41Z") == ["c", "b"]
    assert ids("--since", "2026-05-28T22:26:42+02:00") == ["c"]
    assert ids("--since", "99999d") == ["c", "b", "a"]


def of(environment: str, service: str = "shop", release: str | None = None) -> dict[str, Any]:
    """What is said of a process."""
    found = {"deployment.environment.name": environment, "service.name": service, "service.version": release}
    return {name: value for name, value in found.items() if value is not None}


def test_options_of_processes_and_people(autotrace: Command, write: Fill) -> None:
    """--environment, --service, --release and --user choose too, each and together; traces tell them."""
    write("a", attributes={"user.id": "u"}, resource=of("development"))
    write("b", start=1, attributes={"user.id": "u"}, resource=of("production", "shop", "1.2"))
    write("c", start=2, resource=of("production", "till", "1.3"))

    def ids(*options: str) -> list[str]:
        return [trace["trace_id"][0] for trace in json.loads(autotrace("traces", "--json", *options).stdout)]

    assert ids("--environment", "production") == ["c", "b"]
    assert ids("--service", "shop") == ["b", "a"]
    assert ids("--release", "1.3") == ["c"]
    assert ids("--user", "u") == ["b", "a"]
    assert ids("--user", "u", "--environment", "production", "--service", "shop", "--release", "1.2") == ["b"]
    assert ids("--user", "u", "--release", "1.3") == []
    assert autotrace("traces", "--release", "1.3", "--user", "u").stdout == "No trace fits.\n"
    shown = {
        trace["trace_id"][0]: [trace[key] for key in ("environment", "service", "release")]
        for trace in json.loads(autotrace("traces", "--json").stdout)
    }
    assert shown == {
        "a": ["development", "shop", None],
        "b": ["production", "shop", "1.2"],
        "c": ["production", "till", "1.3"],
    }


def test_columns_where_traces_differ(autotrace: Command, write: Fill) -> None:
    """Environment, service and release have a column where the listed traces differ by them."""
    write("a", resource=of("development", release="1"))
    write("b", start=1, resource=of("production", release="\x1b[31m" + "2" * 50))
    lines = autotrace("traces").stdout.splitlines()
    assert lines[0].split()[6:] == ["COST", "ENVIRONMENT", "RELEASE", "QUERY"]
    assert lines[1].split()[-2:] == ["production", "\\x1b[31m" + "2" * 19]
    assert lines[2].split()[-2:] == ["development", "1"]
    assert "ENVIRONMENT" not in autotrace("traces", "--environment", "production").stdout
    assert "release=1\n" in autotrace("traces", "show", "aaaa").stdout


def test_since_span(autotrace: Command, write: Fill) -> None:
    """A span counts backwards from now."""
    write("a")
    assert autotrace("traces", "--since", "15m").stdout == "No trace fits.\n"


@pytest.mark.parametrize("value", ["soon", "15", "-3m", "3y", "9999999999999999d", "", "2026-13-01"])
def test_since_that_is_no_time(autotrace: Command, value: str) -> None:
    """What is neither a time nor a span is refused with an example of both."""
    result = autotrace("traces", "--since", value)
    assert result.exit_code == 2
    assert "15m" in result.stderr


def test_show(autotrace: Command, write: Fill) -> None:
    """A trace in full: heading, tree, what was said with tools and images, errors with their stack."""
    image = {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "size": 12345,
        "sha256": "ab12" * 16,
    }
    call = {"type": "tool_call", "id": "1", "name": "weather", "arguments": {"city": "Paris"}}
    result = {"type": "tool_call_response", "id": "1", "response": "sunny"}
    stack = {"exception.type": "Boom", "exception.stacktrace": "Traceback\n  line 1\nBoom: no\n"}
    write(
        "a",
        "1",
        attributes={"autotrace.trace.name": "trip", "user.id": "u", "autotrace.tags": {"plan": "pro"}},
    )
    write(
        "a",
        "2",
        "1",
        start=1,
        name="chat",
        attributes={
            **CHAT,
            "gen_ai.system_instructions": [text("be kind")],
            "gen_ai.input.messages": said("user", text("look:"), image) + said("tool", result),
            "gen_ai.output.messages": said("assistant", call),
        },
    )
    event = {"name": "exception", "time": BEGAN, "attributes": stack}
    write("a", "3", "2", start=2, name="weather", status="error", message="no", events=[event])
    lines = autotrace("traces", "show", "aaaa").stdout.splitlines()
    assert lines[0].startswith(f"trip  {'a' * 32}  ")
    assert lines[0].endswith("  ok, 1 failed  1.00 s  1,234/100 tokens  $0.000245")
    assert lines[1:] == [
        "user=u  plan=pro",
        "",
        "trip  ok  1.00 s",
        "└─ chat  ok  1.00 s  1,234/100 tokens  $0.000245  first chunk 250 ms",
        "   └─ weather  error  1.00 s",
        "",
        "── chat ",
        "system: be kind",
        "user: look:",
        "user: [image image/png 12 kB sha256:ab12…]",
        "tool result: sunny",
        'assistant calls: weather({"city": "Paris"})',
        "",
        "── weather ",
        "error Boom: no",
        "Traceback",
        "  line 1",
        "Boom: no",
    ]


def test_tree(autotrace: Command, write: Fill) -> None:
    """A span is joined to its next sibling, past all that lies between them; the last of its siblings ends the line."""
    for start, (span, parent) in enumerate(["1 ", "21", "32", "42", "54", "61", "76", "81"]):
        write("a", span, parent.strip() or None, start=start)
    write("a", "9", "0", start=9)
    lines = autotrace("traces", "show", "aaaa").stdout.splitlines()
    assert [line.partition("  ok")[0] for line in lines[2:]] == [
        "span 1",
        "├─ span 2",
        "│  ├─ span 3",
        "│  └─ span 4",
        "│     └─ span 5",
        "├─ span 6",
        "│  └─ span 7",
        "└─ span 8",
        "span 9",
    ]


def test_show_links(autotrace: Command, write: Fill) -> None:
    """Which traces led to this one, by what its root says; their names are anybody's text, and may not be known."""
    write(trace="b", name="POST /ask\x1b[31m")
    links = [{"trace_id": trace * 32, "span_id": "1" * 16, "attributes": {}} for trace in "bcba"]
    write(trace="a", links=links)
    write(trace="a", span="2", parent="1", links=[{"trace_id": "d" * 32, "span_id": "1" * 16, "attributes": {}}])
    lines = autotrace("traces", "show", "aaaa").stdout.splitlines()
    assert [line for line in lines if line.startswith("linked")] == [
        f"linked to {'b' * 32}  POST /ask\\x1b[31m",
        f"linked to {'c' * 32}  not in this store",
    ]
    shown = json.loads(autotrace("traces", "show", "aaaa", "--json").stdout)
    assert [span["links"] for span in shown["spans"]] == [
        links,
        [{"trace_id": "d" * 32, "span_id": "1" * 16, "attributes": {}}],
    ]


def test_show_json(autotrace: Command, write: Fill) -> None:
    """The object of the list, and the spans by start."""
    write("a", "2", "1", start=1)
    write("a", "1")
    (listed,) = json.loads(autotrace("traces", "--json").stdout)
    shown = json.loads(autotrace("traces", "show", "aaaa", "--json").stdout)
    assert [span["name"] for span in shown.pop("spans")] == ["span 1", "span 2"]
    assert shown == listed


def test_show_which(autotrace: Command, write: Fill) -> None:
    """An id that is unknown, ambiguous or too short is an error that says what to do."""
    write("aaaab")
    write("aaaac")
    for given, told in [
        ("aaaa", "several"),
        ("ffff", "no trace begins"),
        ("aaa", "too short"),
        ("'; --", "no trace"),
    ]:
        result = autotrace("traces", "show", given)
        assert (result.exit_code, result.stdout) == (1, "")
        assert told in result.stderr
    assert autotrace("traces", "show", "AAAAB").exit_code == 0


def test_show_without_store(autotrace: Command) -> None:
    """Nothing to show is an error here: an id was asked for."""
    result = autotrace("traces", "show", "aaaa", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "import autotrace.auto" in result.stderr


def test_newer_store(autotrace: Command, write: Fill, home: Path) -> None:
    """A store of a newer autotrace is an error, also when something waits to be delivered into it."""
    write()
    (home / "journal").mkdir()
    with contextlib.closing(sqlite3.connect(home / "traces.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    result = autotrace("traces", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "newer autotrace" in result.stderr


def test_damaged_store(autotrace: Command, home: Path) -> None:
    """A damaged store is an error, and is left as it is."""
    (home / "journal").mkdir(parents=True)
    path = home / "traces.db"
    path.write_bytes(b"something else" * 100)
    result = autotrace("traces")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "damaged" in result.stderr
    assert path.read_bytes() == b"something else" * 100


def test_home_that_is_a_file(autotrace: Command, home: Path) -> None:
    """A home that cannot hold a store is no crash."""
    home.write_text("")
    assert "Traceback" not in autotrace("traces").output


def test_problems_of_the_configuration(autotrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that cannot be used is told once, on stderr."""
    monkeypatch.setenv("AUTOTRACE_CONTENT_LIMIT", "x\x1b[2J")
    result = autotrace("traces", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert result.stderr.count("AUTOTRACE_CONTENT_LIMIT") == 1
    assert "\x1b" not in result.stderr


def test_running_clock(autotrace: Command, write: Fill) -> None:
    """Long and short durations are readable."""
    for digit, nanoseconds in (("a", 400_000), ("b", 340 * 10**6), ("c", 192 * SECOND), ("d", 7500 * SECOND)):
        write(digit, end=BEGAN + nanoseconds)
    shown = autotrace("traces").stdout
    for duration in ("0.4 ms", "340 ms", "3 m 12 s", "2 h 05 m"):
        assert duration in shown


@pytest.mark.parametrize("columns", [40, 80, 120, 300])
def test_any_width(autotrace: Command, write: Fill, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """However narrow the terminal: id, figures and the beginning of the query are shown."""
    monkeypatch.setenv("COLUMNS", str(columns))
    write("a", name="a name that is long " * 9, attributes={**CHAT, "input.value": "what is this? " * 99})
    lines = autotrace("traces").stdout.splitlines()
    shown = "\n".join(lines)
    for expected in ("aaaaaaaa", "a name", "1.00 s", "1,234/100", "$0.000245", "what is this?", "…"):
        assert expected in shown
    assert len(lines) == (2 if columns >= 120 else 4)
    assert columns < 80 or max(map(len, lines)) <= columns


@pytest.mark.parametrize(
    ("columns", "query", "width"),
    [
        (160, "why?", 49),
        (113, "?", 43),
        (160, "why? " * 20, 40),
        (120, "why? " * 20, 35),
        (100, "why? " * 20, 37),
        (80, "why? " * 20, 17),
    ],
)
def test_long_name(
    autotrace: Command, write: Fill, monkeypatch: pytest.MonkeyPatch, columns: int, query: str, width: int
) -> None:
    """A name has what the other columns leave, and says so where that is not enough; the query keeps its share."""
    monkeypatch.setenv("COLUMNS", str(columns))
    name = "a workflow whose name is longer than most of them"
    write("a", name=name, attributes={"input.value": query})
    shown = autotrace("traces").stdout
    expected = name if len(name) <= width else f"{name[: width - 1]}…"
    assert f"  aaaaaaaa  {expected}  ok  " in shown
    assert "QUERY" in shown
    assert shown.count("why?") >= min(3, query.count("why?"))
    assert max(map(len, shown.splitlines())) <= columns


def test_names_of_frameworks(autotrace: Command, write: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a framework calls a trace by default is shown whole beside the query."""
    monkeypatch.setenv("COLUMNS", "120")
    write("a", name="invoke_workflow LangGraph", attributes={"input.value": "why? " * 20})
    header, line = autotrace("traces").stdout.splitlines()
    assert header.endswith("  QUERY")
    assert "  invoke_workflow LangGraph  ok  " in line


@pytest.mark.parametrize("command", ["traces", "traces --json", "traces show aaaa", "traces show aaaa --json"])
def test_reader_that_leaves(write: Fill, command: str) -> None:
    """`| head` ends a command without a word."""
    write("a", attributes={"input.value": "a line\n" * 100_000})
    with subprocess.Popen(
        [sys.executable, "-m", "autotrace", *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_feedback_and_search(autotrace: Command, write: Fill, home: Path) -> None:
    """Feedback has a column where there is any, and a line in the heading; words are searched for."""
    write("a", attributes={"input.value": "about whales"})
    write("b", start=60, attributes={"input.value": "about fish"})
    writer = Writer(home / "traces.db")
    body = {"type": "feedback", "name": "thumbs", "comment": "wrong \x1b[31m", "source_type": "human", "source": "ann"}
    for number, value in enumerate((True, False)):
        given = {**body, "id": str(number) * 32, "value": value, "time": BEGAN + number, "metadata": {}}
        writer.write([Record("F", "a" * 32, "1" * 16, given)], {})
    writer.close()
    lines = autotrace("traces").stdout.splitlines()
    assert lines[0].split()[-2:] == ["FEEDBACK", "QUERY"]
    assert "thumbs=false +1" in lines[2]
    shown = autotrace("traces", "show", "aaaa").stdout
    assert "feedback thumbs=false  human ann on span 1111111111111111" in shown
    assert "\x1b" not in shown
    found = autotrace("traces", "--search", "WHALES").stdout
    assert "about whales" in found
    assert "about fish" not in found
    assert autotrace("traces", "--search", "nothing").stdout == "No trace fits.\n"
