"""The same questions to `autotrace ui`, to MLflow's server and to Phoenix, over the same spans.

    python benchmarks/page_alternatives.py stores/10k stores/100k --mlflow PYTHON --phoenix PYTHON
    python benchmarks/page_alternatives.py ... --minutes 30 --write docs/performance.md

PYTHON: an interpreter that has mlflow, or arize-phoenix. Both are filled by `autotrace ship` from a copy of the home,
at most for so many minutes each; the table says how many spans they had by then. What is measured is the time that a
client waits, for each the JSON that its own page is made of.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import machine
from page_rivals import Known, MLflow, Phoenix, Request, Rival
from page_server import Server, family, memory_of
from page_serving import write
from page_store import RARE

PART = "page_alternatives"
_LONG_MS = 10_000
_WORDS = """The stores of `page_store.py`, shipped to MLflow and Phoenix with `autotrace ship`. MLflow's server runs
with SQLite and the workers that it has by itself, Phoenix with SQLite. Milliseconds that a client waits: the median
of the warm ones, and the first in brackets. "Figures of 30 days" are traces by status, latency p50 and p99, tokens
and cost by model, by day: one address of autotrace, one query of Phoenix, six requests to MLflow. A word is searched
in all that was said by autotrace and MLflow, in the roots' input and output by Phoenix."""


@dataclass
class Found:
    """What was measured of one server over one store; times of questions in ms: the first, then the warm median."""

    server: str
    offered: int
    spans: int
    fill_s: float | None = None
    start_s: float = 0.0
    memory: Mapping[str, float] = field(default_factory=dict)
    asked: dict[str, tuple[float, float] | str] = field(default_factory=dict)


def main() -> None:
    """Measures and prints; with --write into the page, too."""
    options = _arguments()
    found: list[Found] = []
    for home in options.homes:
        found.append(_ours(home, options.rounds))
        for rival, python in ((MLflow, options.mlflow), (Phoenix, options.phoenix)):
            if python:
                with tempfile.TemporaryDirectory(prefix="autotrace-page-", dir=options.folder) as folder:
                    found.append(_theirs(rival, python, Path(folder), home, options))
        if options.json:
            options.json.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    text = markdown(found, machine.describe(), date, options.rounds)
    print(text)
    if options.write:
        write(options.write, PART, text)


def _ours(home: Path, rounds: int) -> Found:
    known, spans = _known(home)
    scope = "range=30d"
    addresses = {
        "newest 50 traces": f"/traces.json?{scope}",
        "a word of one trace": f"/traces.json?{scope}&filter=text:{RARE}",
        "traces of a user": f"/traces.json?{scope}&user={known.user}",
        "traces that failed": f"/traces.json?{scope}&filter=status:error",
        "figures of 30 days": f"/overview.json?{scope}",
        "one trace": f"/trace/{known.trace}.json",
    }
    found = Found("autotrace", spans, spans)
    with Server(home, addresses["newest 50 traces"]) as server:
        server.completed()
    with Server(home, addresses["newest 50 traces"]) as server:
        found.start_s = server.first_s

        def ask(address: str) -> float:
            answer = server.get(address)
            if answer.status != 200:
                raise OSError(f"status {answer.status}")
            return answer.wall_ms

        _ask(found, addresses, ask, rounds)
        found.memory = server.memory()
    return found


def _theirs(kind: type[Rival], python: Path, folder: Path, home: Path, options: argparse.Namespace) -> Found:
    known, offered = _known(home)
    copy, data = folder / "home", folder / "data"
    shutil.copytree(home, copy)
    data.mkdir()
    server = kind(python, data)
    found = Found(server.name, offered, 0)
    questions = server.questions(known)
    first = questions["newest 50 traces"][0]
    try:
        server.start(first)
        print(f"{server.name}: filling from {home}", file=sys.stderr, flush=True)
        found.fill_s = server.fill(copy, 60 * options.minutes)
        found.spans = server.spans()
        print(f"  {found.spans:,} spans in {found.fill_s:.0f} s", file=sys.stderr, flush=True)
        server.stop()
        found.start_s = server.start(first)
        _ask(found, questions, lambda requests: _answered(server, requests), options.rounds)
        assert server.process is not None
        found.memory = memory_of(family(server.process.pid))
    finally:
        server.stop()
    return found


def _answered(server: Rival, requests: Sequence[Request]) -> float:
    ms, answer = server.ask(requests)
    if b'"errors"' in answer[:2000] and b'"message"' in answer[:2000]:
        raise OSError(answer[:300].decode())
    return ms


def _ask(found: Found, questions: Mapping[str, object], ask: Callable[..., float], rounds: int) -> None:
    for title, asked in questions.items():
        try:
            first = ask(asked)
            # Nobody learns more from half a minute that is waited for five times.
            again = 1 if first > _LONG_MS else rounds
            found.asked[title] = first, statistics.median(ask(asked) for _ in range(again))
        except OSError as error:
            found.asked[title] = str(error)
        print(f"  {found.server}: {title}: {found.asked[title]}", file=sys.stderr, flush=True)


def _known(home: Path) -> tuple[Known, int]:
    """A user of many traces and a trace of the first thousand, which come first; and how many spans there are."""
    with closing(sqlite3.connect(f"file:{home / 'traces.db'}?mode=ro", uri=True)) as connection:
        sql = "SELECT user, trace_id FROM spans WHERE root = 1 AND user IS NOT NULL ORDER BY start_ns LIMIT 1000"
        rows = connection.execute(sql).fetchall()
        spans = connection.execute("SELECT count(*) FROM spans").fetchone()[0]
    users = [user for user, _ in rows]
    return Known(max(sorted(set(users)), key=users.count), rows[-1][1]), spans


def markdown(found: Sequence[Found], machine: Mapping[str, str], date: str, rounds: int) -> str:
    """The whole part."""
    lines = [
        "## The page beside MLflow's and Phoenix's",
        (
            f"Measured on {date}: {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
            f"{machine['python']}. Warm figures: the median of {rounds}."
        ),
        _WORDS,
    ]
    for offered in dict.fromkeys(one.offered for one in found):
        lines += [f"### {offered:,} spans", _table([one for one in found if one.offered == offered])]
    return "\n\n".join(lines)


def _table(found: Sequence[Found]) -> str:
    rows = [["", *(one.server for one in found)], ["---", *["---:"] * len(found)]]
    rows += [
        ["spans in it", *(f"{one.spans:,}" for one in found)],
        ["taken in, spans/s", *("" if not one.fill_s else f"{one.spans / one.fill_s:,.0f}" for one in found)],
        ["start until the first answer, s", *(f"{one.start_s:.2f}" for one in found)],
        ["memory: PSS of all processes, MB", *(f"{one.memory['pss']:,.0f}" for one in found)],
        ["memory: RSS of all processes, MB", *(f"{one.memory['rss']:,.0f}" for one in found)],
        ["processes", *(f"{one.memory['processes']:.0f}" for one in found)],
    ]
    for title in dict.fromkeys(title for one in found for title in one.asked):
        rows.append([f"{title}, ms", *(_cell(one.asked.get(title)) for one in found)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(asked: tuple[float, float] | str | None) -> str:
    if asked is None or isinstance(asked, str):
        return "" if asked is None else "no answer"
    return f"{asked[1]:,.0f} ({asked[0]:,.0f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homes", type=Path, nargs="+", help="folders that page_store.py has filled, the smallest first")
    parser.add_argument("--mlflow", type=Path, metavar="PYTHON", help="an interpreter that has mlflow")
    parser.add_argument("--phoenix", type=Path, metavar="PYTHON", help="an interpreter that has arize-phoenix")
    parser.add_argument("--minutes", type=float, default=20, help="that each is filled for at most")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is asked when it is warm")
    parser.add_argument("--folder", type=Path, help="where copies and their data lie")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every figure")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the part between its markers of this page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
