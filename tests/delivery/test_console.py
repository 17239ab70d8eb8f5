"""The console destination."""

from __future__ import annotations

import io

from opentelemetry.trace import StatusCode

from autotrace.delivery.destinations.console import ConsoleDestination


def test_one_line_for_each_root(make_line):
    """Finished root spans are printed with what matters of them, children are not."""
    out = io.StringIO()
    line = make_line([ConsoleDestination(out)])
    with line.tracer.start_as_current_span("chat") as span:
        span.set_attributes({"gen_ai.request.model": "m-1", "gen_ai.usage.input_tokens": 3})
        line.tracer.start_span("child").end()
    line.tracer.start_span("open")
    assert line.drainer.flush(30)
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert out.getvalue().startswith("autotrace: chat  ok  0.0")
    assert out.getvalue().endswith(f" s  m-1  3 -> 0 tokens  trace {trace_id}\n")
    assert out.getvalue().count("\n") == 1


def test_control_characters(make_line):
    """Nothing in a span can move the cursor, colour the terminal, or begin a line."""
    out = io.StringIO()
    line = make_line([ConsoleDestination(out)])
    span = line.tracer.start_span("a\x1b[31m\nb\u202e\x9b")
    span.set_status(StatusCode.ERROR, "bad\r\nthing")
    span.end()
    assert line.drainer.flush(30)
    [text] = out.getvalue().splitlines()
    assert "autotrace: a\\x1b[31m\\nb\\u202e\\x9b  error" in text
    assert "bad\\r\\nthing" in text


def test_stderr(make_line, capsys):
    """Without a stream of its own it prints to what stderr is at that moment."""
    line = make_line([ConsoleDestination()])
    line.tracer.start_span("chat").end()
    assert line.drainer.flush(30)
    assert "autotrace: chat  ok" in capsys.readouterr().err
