"""Turns the figures of `page_serving` into its part of the page: a row a question, columns for each store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from page_load import Written
from page_questions import Question

_WORDS = """`autotrace ui` over stores of a made-up shop's assistants (`page_store.py`: 30 days that end now, some 4
KB of content a span, 3,000 users, sessions, eight releases, errors, feedback). Each address is asked once cold (for
the first time since the server was started) and then warm, over a connection that is kept; the figures are the
server's own, in milliseconds (header `server-timing`): warm the median, cold in brackets. **Bold**: more than it may
take."""
_WRITING = """While eight processes write 4,000 spans/s in all, each a program with `import autotrace` of its own that
delivers into the same store. A page may take twice as long as without them."""


@dataclass(frozen=True)
class Asked:
    """One question and its times in ms."""

    question: Question
    status: int
    cold_ms: float
    warm_ms: float
    worst_ms: float
    wall_ms: float
    size: int

    def __str__(self) -> str:
        most = self.question.most_ms
        mark = "" if self.status == 200 else f" STATUS {self.status}"
        mark += " TOO SLOW" if most is not None and self.warm_ms > most else ""
        return (
            f"{self.question.group}: {self.question.title}: cold {self.cold_ms:.0f}, warm {self.warm_ms:.0f}, "
            f"worst {self.worst_ms:.0f}, wall {self.wall_ms:.0f} ms, {self.size / 1000:.0f} kB{mark}"
        )


@dataclass(frozen=True)
class Start:
    """A start: seconds until the address was told, until the first page, until all was taken in; memory then, in MB."""

    up_s: float
    first_s: float
    complete_s: float | None
    memory: Mapping[str, float]


@dataclass(frozen=True)
class Size:
    """All that was measured over one store.

    Attributes:
        first: The start without `insights.db`.
        memory: At the end.
        written: By writers without the page, with it, and without it again.
        behind_s: Seconds from the writers' end until all that they wrote was taken in.
    """

    spans: int
    traces: int
    first: Start | None
    again: Start
    asked: Sequence[Asked]
    memory: Mapping[str, float]
    written: Sequence[Written] = ()
    behind_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Every figure."""
        return asdict(self)


def markdown(sizes: Sequence[Size], machine: Mapping[str, str], date: str, rounds: int) -> str:
    """The whole part."""
    is_writing = any(size.written for size in sizes)
    lines = [
        "## The page while programs write" if is_writing else "## The page",
        (
            f"Measured on {date}: {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
            f"{machine['python']}. Warm figures: the median of {rounds}."
        ),
        _WORDS,
    ]
    if is_writing:
        lines += [_WRITING, _writers(sizes)]
    lines.append(_starts(sizes))
    for group in dict.fromkeys(asked.question.group for size in sizes for asked in size.asked):
        lines += [f"### {group}", _table(sizes, group, 2.0 if is_writing else 1.0)]
    return "\n\n".join(lines)


def _table(sizes: Sequence[Size], group: str, allowance: float) -> str:
    found: dict[str, dict[int, Asked]] = {}
    for place, size in enumerate(sizes):
        for asked in size.asked:
            if asked.question.group == group:
                found.setdefault(asked.question.title, {})[place] = asked
    heads = ["asked", "may take, ms", *(f"{size.spans:,} spans" for size in sizes), "kB"]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for title, by_size in found.items():
        last = list(by_size.values())[-1]
        most = last.question.most_ms
        limit = None if most is None else most * allowance
        cells = [_cell(by_size.get(place), limit) for place in range(len(sizes))]
        rows.append([title, "" if limit is None else f"{limit:.0f}", *cells, f"{last.size / 1000:.0f}"])
    return _lines(rows)


def _cell(asked: Asked | None, limit: float | None) -> str:
    if asked is None:
        return ""
    if asked.status != 200:
        return f"**{asked.status}**"
    warm = f"{asked.warm_ms:.0f}" if asked.warm_ms >= 9.5 else f"{asked.warm_ms:.1f}"
    return f"{f'**{warm}**' if limit is not None and asked.warm_ms > limit else warm} ({asked.cold_ms:.0f})"


def _starts(sizes: Sequence[Size]) -> str:
    rows = [["", *(f"{size.spans:,} spans" for size in sizes)], ["---", *["---:"] * len(sizes)]]
    told: list[tuple[str, list[str]]] = [("traces", [f"{size.traces:,}" for size in sizes])]
    if any(size.first for size in sizes):
        firsts = [size.first for size in sizes]
        told += [
            ("first start: first page after, s", [f"{one.first_s:.2f}" if one else "" for one in firsts]),
            ("first start: all taken in after, s", [_seconds(one) for one in firsts]),
            ("memory while it takes all in: PSS, MB", [f"{one.memory['pss']:.0f}" if one else "" for one in firsts]),
        ]
    told += [
        ("later start: first page after, s", [f"{size.again.first_s:.2f}" for size in sizes]),
        ("memory after all was asked: PSS, MB", [f"{size.memory['pss']:.0f}" for size in sizes]),
        ("the same: RSS of all processes, MB", [f"{size.memory['rss']:.0f}" for size in sizes]),
        ("processes", [f"{size.memory['processes']:.0f}" for size in sizes]),
    ]
    if any(size.written for size in sizes):
        behind = ["" if size.behind_s is None else f"{size.behind_s:.1f}" for size in sizes]
        told.append(("all that was written is shown, after the writers' end, s", behind))
    return _lines([*rows, *([title, *cells] for title, cells in told)])


def _seconds(start: Start | None) -> str:
    return "" if start is None or start.complete_s is None else f"{start.first_s + start.complete_s:.1f}"


def _writers(sizes: Sequence[Size]) -> str:
    heads = ["spans in the store", "page", "spans/s", "all delivered", "µs a span in the program p50, p99"]
    heads += ["transaction p50, p99, ms", "waits for others p50, p99, ms", "CPU a span, µs"]
    rows = [heads, ["---:", "---", *["---:"] * (len(heads) - 2)]]
    for size in sizes:
        for name, written in zip(("closed", "open, asked all the time", "closed again"), size.written, strict=True):
            figures = written.figures
            quantiles = [f"{figures[f'{one}_p50']:.1f}, {figures[f'{one}_p99']:.1f}" for one in _WRITTEN]
            told = [f"{written.rate:,.0f}", "yes" if written.flushed else "no", *quantiles, f"{figures['cpu']:.0f}"]
            rows.append([f"{size.spans:,}", name, *told])
    return _lines(rows)


_WRITTEN = ("took", "commits", "waits")


def _lines(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
