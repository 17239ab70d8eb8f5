"""Traces as a person reads them. All text from a trace passes `visible` and is never read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autotrace.store import messages, prices
from autotrace.store.reader import Trace
from autotrace.store.spans import Payload, Span, exception
from autotrace.store.traces import TraceSummary, in_tree_order

from .figures import duration, local_time, money, tokens
from .terminal import console, first_line, visible

_STYLES = {"ok": "green", "error": "bold red", "running": "cyan"}

#: Deeper spans are drawn at this depth: a line must keep room for its text.
_DEEPEST = 20


def print_table(traces: Sequence[TraceSummary]) -> None:
    """One line a trace."""
    rows = [_row(trace) for trace in traces]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(("TIME", "ID", "NAME", "STATUS", "DURATION", "TOKENS", "COST")):
        width = max(row[number].cell_len for row in rows)
        table.add_column(
            title,
            no_wrap=True,
            # Only names give way to a narrow terminal; rich would take something from every column.
            min_width=min(width, 10) if title == "NAME" else width,
            max_width=max(width, len(title)),
            justify="right" if title in ("DURATION", "TOKENS", "COST") else "left",
        )
    table.add_column("QUERY", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _row(trace: TraceSummary) -> tuple[Text, ...]:
    return (
        Text(local_time(trace.start_ns)),
        Text(visible(trace.trace_id[:8])),
        Text(first_line(trace.name, 32)),
        _status(trace),
        Text(duration(trace.duration_ms)),
        Text(tokens(trace.input_tokens, trace.output_tokens)),
        Text(money(trace.cost_usd)),
        Text(first_line(trace.request)),
    )


def print_trace(trace: Trace) -> None:
    """The heading, the tree of spans, then what each span says."""
    out = console()
    for line in _heading(trace.summary):
        _print(out, line)
    out.print()
    for depth, span in in_tree_order(trace.spans):
        _print(out, _tree_line(depth, span))
    for _, span in in_tree_order(trace.spans):
        lines = list(_content(span, trace.payload(span)))
        if lines:
            out.print()
            _print(out, Text(f"── {first_line(span.name) or span.span_id} ", style="bold"))
            for line in lines:
                _print(out, line)


def _print(out: Console, line: Text) -> None:
    # In a pipe a line stays one line: whoever reads it may search it.
    out.print(line, soft_wrap=not out.is_terminal)


def _status(trace: TraceSummary) -> Text:
    text = Text(visible(trace.status), style=_STYLES.get(trace.status, "yellow"))
    if trace.status != "error" and trace.error_count:
        text.append(f", {trace.error_count} failed", style="red")
    return text


def _heading(trace: TraceSummary) -> Iterable[Text]:
    yield Text.assemble(
        (first_line(trace.name), "bold"),
        f"  {visible(trace.trace_id)}  {local_time(trace.start_ns)}  ",
        _status(trace),
        f"  {duration(trace.duration_ms)}  {tokens(trace.input_tokens, trace.output_tokens)} tokens",
        f"  {money(trace.cost_usd)}",
    )
    labels = [("session", trace.session), ("user", trace.user), ("environment", trace.environment)]
    labels += [(key, messages.value_text(value)) for key, value in trace.tags.items()]
    known = [f"{first_line(key)}={first_line(value)}" for key, value in labels if value is not None]
    if known:
        yield Text("  ".join(known), style="dim")


def _tree_line(depth: int, span: Span) -> Text:
    indent = "   " * (min(depth, _DEEPEST) - 1) + "└─ " if depth else ""
    if depth > _DEEPEST:
        indent += f"({depth}) "
    line = Text.assemble(
        (indent, "dim"),
        (first_line(span.name) or span.span_id, "bold"),
        "  ",
        (visible(span.status), _STYLES.get(span.status, "yellow")),
        f"  {duration(span.duration_ms)}",
    )
    if span.tokens.input is not None or span.tokens.output is not None:
        line.append(f"  {tokens(span.tokens.input, span.tokens.output)} tokens")
    cost_usd = prices.cost_usd(span)
    if cost_usd != 0:
        line.append(f"  {money(cost_usd)}")
    if span.ttft_ns is not None:
        line.append(f"  first chunk {duration(span.ttft_ns / 1e6)}")
    return line


def _content(span: Span, payload: Payload) -> Iterable[Text]:
    """What a span took, gave, and how it failed."""
    attributes = payload.attributes
    sent = messages.input_messages(attributes)
    yield from _said(sent)
    if not sent:
        yield from _value("input", attributes.get("input.value"))
    yield from _value("arguments", attributes.get("gen_ai.tool.call.arguments"))
    received = messages.output_messages(attributes)
    yield from _said(received)
    if not received:
        yield from _value("output", attributes.get("output.value"))
    yield from _value("result", attributes.get("gen_ai.tool.call.result"))
    error = span.error(payload)
    if error is not None:
        yield from _value(f"error {error['type'] or ''}".strip(), error["message"] or "", style="bold red")
        stack = exception(payload).get("exception.stacktrace")
        if isinstance(stack, str):
            yield Text(visible(stack.rstrip()), style="dim")


def _said(said: Iterable[messages.Message]) -> Iterable[Text]:
    for message in said:
        role = f"{message.role} ({message.name})" if message.name else message.role
        for part in message.parts:
            kind = part.get("type")
            label = {"tool_call": "calls", "tool_call_response": "result"}.get(str(kind), "")
            yield from _value(f"{role} {label}".strip(), messages.part_text(part))


def _value(label: str, value: object, style: str = "cyan") -> Iterable[Text]:
    text = messages.value_text(value)
    if text is not None:
        yield Text.assemble((f"{first_line(label)}: ", style), visible(text))
