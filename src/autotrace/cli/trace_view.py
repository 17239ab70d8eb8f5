"""Traces as a person reads them. All text from a trace passes `visible` and is never read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from autotrace.store import messages, prices
from autotrace.store.feedback import Feedback
from autotrace.store.reader import Trace
from autotrace.store.spans import Payload, Span, exception
from autotrace.store.traces import TraceSummary, in_tree_order

from .figures import duration, local_time, money, tokens
from .terminal import console, first_line, visible

_STYLES = {"ok": "green", "error": "bold red", "running": "cyan"}

_TITLES = ("TIME", "ID", "NAME", "STATUS", "DURATION", "TOKENS", "COST")
#: Columns more: by which the traces differ, and where any trace has some; and how many characters of them are shown.
_DIFFERING, _FEEDBACK, _LONGEST = ("environment", "service", "release"), "FEEDBACK", 24
_NAME, _RIGHT = 2, (4, 5, 6)
_GAP = "  "

#: Columns that a query and a name need to tell anything.
_LEAST_QUERY, _LEAST_NAME = 20, 8
#: Columns that a name needs beside a query, and those that it may take from a longer query.
_SHORT_NAME, _LONG_NAME = 24, 40

#: Deeper spans are drawn at this depth: a line must keep room for its text.
_DEEPEST = 20


def print_table(traces: Sequence[TraceSummary]) -> None:
    """One line a trace; in a narrow terminal the query has a line of its own."""
    out = console()
    rows = [_row(trace) for trace in traces]
    titles: tuple[str, ...] = _TITLES
    for name in _DIFFERING:
        values = [getattr(trace, name) for trace in traces]
        if len(set(values)) > 1:
            titles += (name.upper(),)
            for cells, value in zip(rows, values, strict=True):
                cells.append(Text(first_line(value, _LONGEST) or "-"))
    if any(trace.feedback for trace in traces):
        titles += (_FEEDBACK,)
        for cells, trace in zip(rows, traces, strict=True):
            cells.append(_latest_feedback(trace))
    head = [Text(title, style="bold") for title in titles]
    queries = [Text("QUERY", style="bold"), *(Text(first_line(trace.request)) for trace in traces)]
    widths = [max(cell.cell_len for cell in column) for column in zip(head, *rows, strict=True)]
    # Only name and query give way: what the other columns leave is theirs.
    left = out.width - sum(widths) + widths[_NAME] - len(_GAP) * len(widths)
    has_room = left >= min(widths[_NAME], _SHORT_NAME) + _LEAST_QUERY
    most = _most_of_name(left, queries) if has_room else max(_LEAST_NAME, left + len(_GAP))
    widths[_NAME] = min(widths[_NAME], most)
    room = left - widths[_NAME]
    for cells, query in zip([head, *rows], queries, strict=True):
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            cell.truncate(width, overflow="ellipsis")
            cell.align("right" if number in _RIGHT else "left", width)
        line = Text(_GAP).join(cells)
        if not has_room:
            line.append(f"\n{_GAP}" if query.plain else "")
            query.truncate(out.width - len(_GAP), overflow="ellipsis")
        else:
            line.append(_GAP)
            query.truncate(room, overflow="ellipsis")
        out.print(line + query, soft_wrap=True)


def _most_of_name(left: int, queries: Iterable[Text]) -> int:
    """Columns that names may have of those left for them and the queries: what no query needs, and somewhat more."""
    longest_query = max(query.cell_len for query in queries)
    return max(left - longest_query, min(_LONG_NAME, left - _LEAST_QUERY))


def _row(trace: TraceSummary) -> list[Text]:
    return [
        Text(local_time(trace.start_ns)),
        Text(visible(trace.trace_id[:8])),
        Text(first_line(trace.name)),
        _status(trace),
        Text(duration(trace.duration_ms)),
        Text(tokens(trace.input_tokens, trace.output_tokens)),
        Text(money(trace.cost_usd)),
    ]


def _latest_feedback(trace: TraceSummary) -> Text:
    if not trace.feedback:
        return Text("")
    last = trace.feedback[-1]
    text = Text(first_line(f"{last.name}={messages.value_text(last.value)}"))
    text.truncate(_LONGEST, overflow="ellipsis")
    if len(trace.feedback) > 1:
        text.append(f" +{len(trace.feedback) - 1}")
    return text


def print_trace(trace: Trace) -> None:
    """The heading, the tree of spans, then what each span says."""
    out = console()
    for line in (*_heading(trace.summary), *map(_link_line, trace.linked)):
        _print(out, line)
    out.print()
    tree = list(in_tree_order(trace.spans))
    for branch, (depth, span) in zip(_branches([depth for depth, _ in tree]), tree, strict=True):
        _print(out, _tree_line(branch, depth, span))
    for _, span in tree:
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
    labels += [("release", trace.release)]
    labels += [(key, messages.value_text(value)) for key, value in trace.tags.items()]
    known = [f"{first_line(key)}={first_line(value)}" for key, value in labels if value is not None]
    if known:
        yield Text("  ".join(known), style="dim")
    for each in trace.feedback:
        yield _feedback_line(each)


def _feedback_line(each: Feedback) -> Text:
    line = Text.assemble(
        (f"{first_line(each.type)} ", "cyan"), first_line(f"{each.name}={messages.value_text(each.value)}")
    )
    giver = " ".join(first_line(word) for word in (each.source_type, each.source) if word)
    of = f" on span {first_line(each.span_id)}" if each.span_id else ""
    line.append(f"  {giver}{of}  {local_time(each.time_ns)}", style="dim")
    if each.comment:
        line.append(f"  {first_line(each.comment)}")
    return line


def _link_line(link: tuple[str, str | None]) -> Text:
    trace_id, name = link
    told = first_line(name) if name is not None else "not in this store"
    return Text.assemble(("linked to ", "cyan"), visible(trace_id), (f"  {told}", "dim"))


def _branches(depths: Sequence[int]) -> list[str]:
    """What is drawn before each span of a tree, by their depths in the order of the tree."""
    found: list[str] = []
    followed: set[int] = set()  # depths at which another sibling comes further down
    for depth in reversed(depths):
        drawn = min(depth, _DEEPEST)
        guides = "".join("│  " if level in followed else "   " for level in range(1, drawn))
        joint = "├─ " if drawn in followed else "└─ "
        found.append(guides + joint if drawn else "")
        followed = {level for level in followed if level < drawn} | {drawn}
    return found[::-1]


def _tree_line(branch: str, depth: int, span: Span) -> Text:
    indent = f"{branch}({depth}) " if depth > _DEEPEST else branch
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
