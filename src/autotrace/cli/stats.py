"""`autotrace stats`: how an agent is doing; the overview of the page in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from autotrace.insights.overview import overview
from autotrace.insights.scope import Scope

from .figures import duration, money
from .scoped import insights, scoped
from .terminal import console, first_line, print_json, visible

_ROWS = (
    ("Traces", "traces"),
    ("Failed", "error_rate"),
    ("Latency p50 / p90 / p99", "latency"),
    ("First token p50 / p90", "ttft"),
    ("Tokens in / out", "tokens"),
    ("Cached / reasoning", "cached"),
    ("Cost", "cost_usd"),
    ("Cost a trace", "cost_per_trace_usd"),
    ("Thumbs up / down", "thumbs"),
)
_MOST = 10


@click.command()
@scoped
def stats(scope: Scope, as_json: bool) -> None:
    """Tell how traces did: how many, errors, latency, tokens, cost, feedback.

    Each figure stands beside its change against the period before, of the same length.
    """
    with insights(as_json) as found:
        if found is None:
            if as_json:
                print_json(None)
            return
        told = overview(*found, scope)
        if as_json:
            print_json(told)
        else:
            _print(told)


def _print(told: Mapping[str, Any]) -> None:
    from rich.table import Table

    out = console()
    now = told["now"]
    if told["counted"]:
        all_ = told["counted"]
        out.print(f"Of all traces, kept or not: {all_['traces']:,}, {share(all_['error_rate'])} failed.")
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, name in _ROWS:
        table.add_row(label, written(now, name), _change(told["change"].get(_CHANGES.get(name, name))))
    out.print(table)
    _list(out, "Models", told["models"], ("model", "calls", "errors", "input_tokens", "output_tokens", "cost_usd"))
    _list(out, "Tools", told["tools"], ("tool", "calls", "success_rate", "latency_p50_ms", "latency_p90_ms"))
    if told["comments"]:
        out.print("\nLatest comments", style="bold")
    for each in told["comments"][:3]:
        thumb = {True: "up", False: "down"}.get(each["value"], "-") if isinstance(each["value"], bool) else "-"
        out.print(f"{thumb}: {first_line(each['comment'], 100)}")


#: Whose change stands beside a row of several figures.
_CHANGES = {"latency": "latency_p50_ms", "ttft": "ttft_p50_ms", "cached": "cache_read_tokens", "thumbs": "disliked"}


def _list(out: Any, title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    from rich.table import Table

    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        name = title if number == 0 else column.removesuffix("_ms").removesuffix("_usd").replace("_", " ")
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows[:_MOST]:
        table.add_row(*(cell(row, column) for column in columns))
    out.print()
    out.print(table)


def cell(row: Mapping[str, Any], column: str) -> str:
    """A figure of a model or a tool."""
    return cost(row[column], row["unpriced_traces"]) if column == "cost_usd" else figure(column, row[column])


def figure(name: str, value: Any) -> str:
    """A figure as a person reads it, by its name."""
    if value is None:
        return "-"
    if name.endswith("_ms"):
        return duration(value)
    if name.endswith("_usd"):
        return money(value)
    if name.endswith("_rate"):
        return share(value)
    return f"{value:,}" if isinstance(value, int) else visible(value)


def cost(usd: float | None, unpriced: int) -> str:
    """What traces cost: `?` where that is not known, and `+ ?` behind what is known of some of them."""
    return money(usd) + (" + ?" if unpriced and usd is not None else "")


def written(now: Mapping[str, Any], name: str) -> str:
    """One row of the figures of a selection."""
    if name == "latency":
        return " / ".join(duration(now[f"latency_p{share_}_ms"]) for share_ in (50, 90, 99))
    if name == "ttft":
        return " / ".join(duration(now[f"ttft_p{share_}_ms"]) for share_ in (50, 90))
    if name == "tokens":
        return f"{now['input_tokens']:,} / {now['output_tokens']:,}"
    if name == "cached":
        return f"{now['cache_read_tokens']:,} / {now['reasoning_tokens']:,}"
    if name == "thumbs":
        return f"{now['liked']:,} / {now['disliked']:,}"
    if name == "cost_usd":
        unpriced = now["traces"] - now["priced"]
        return money(now[name]) + (f" ({unpriced:,} traces of unknown price)" if unpriced else "")
    if name == "cost_per_trace_usd":
        return money(now[name]) if now["traces"] else "-"
    return figure(name, now[name])


def share(value: float | None) -> str:
    """A part of a whole: `3.1 %`."""
    return "-" if value is None else f"{value * 100:.3g} %"


def _change(value: float | None) -> str:
    return "" if value is None else f"{value * 100:+.3g} %"
