"""How fast `autotrace ui` answers, over stores of several sizes, and while programs write.

    python benchmarks/page_store.py --home stores/1m --big           first, a store (or several)
    python benchmarks/page_serving.py stores/10k stores/100k stores/1m   every page: a table with a column a store
    python benchmarks/page_serving.py stores/1m --writing            the same while eight processes write 4,000 spans/s
    python benchmarks/page_serving.py stores/1m --only overview      the questions whose title says so
    python benchmarks/page_serving.py ... --write docs/performance.md

It needs Linux and an environment with autotrace[ui]. `insights.db` is removed first and made anew, so that the first
start is one (--keep leaves it). With --writing a copy of the store is written to.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import machine
import page
import page_report
from page_load import Writers, Written
from page_questions import Question, questions
from page_report import Asked, Size, Start
from page_server import Server

#: The part of the page that this writes.
PART = "page"
FIRST_PAGE = "/overview?range=30d"
PROCESSES, RATE = 8, 4000.0


def main() -> None:
    """Measures and prints; with --write into the page, too."""
    options = _arguments()
    sizes: list[Size] = []
    for home in options.homes:
        print(f"{home}", file=sys.stderr, flush=True)
        if options.writing:
            with _copy(home, options.folder) as copy:
                sizes.append(_while_written(copy, options))
        else:
            sizes.append(_at_rest(home, options))
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    text = page_report.markdown(sizes, machine.describe(), date, options.rounds)
    print(text)
    if options.json:
        options.json.write_text(json.dumps([size.as_json() for size in sizes], indent=1), encoding="utf-8")
    if options.write:
        write(options.write, "page_writing" if options.writing else PART, text)


def _at_rest(home: Path, options: argparse.Namespace) -> Size:
    spans, traces = _count(home)
    if not options.keep:
        _forget(home)
    first = None
    if not options.keep:
        with Server(home, FIRST_PAGE) as server:
            first = Start(server.up_s, server.first_s, server.completed(), server.memory())
            print(f"  first start: {first}", file=sys.stderr, flush=True)
    with Server(home, FIRST_PAGE) as server:
        complete = server.completed()
        again = Start(server.up_s, server.first_s, complete, server.memory())
        asked = _ask(server, home, options)
        memory = server.memory()
    return Size(spans, traces, first, again, asked, memory)


def _while_written(home: Path, options: argparse.Namespace) -> Size:
    spans, traces = _count(home)
    # Before and after: a machine that slows down must not look like a page that slows writers down.
    print("  writers alone", file=sys.stderr, flush=True)
    before = _written(home, options, lambda writers: None)
    with Server(home, FIRST_PAGE) as server:
        again = Start(server.up_s, server.first_s, server.completed(), server.memory())
        print("  writers with the page open", file=sys.stderr, flush=True)
        asked: list[Asked] = []
        with_page = _written(
            home, options, lambda writers: asked.extend(_ask(server, home, options, lambda: writers.is_writing))
        )
        memory = server.memory()
        behind_s = server.completed(300)
    print("  writers alone", file=sys.stderr, flush=True)
    after = _written(home, options, lambda writers: None)
    return Size(spans, traces, None, again, asked, memory, (before, with_page, after), behind_s)


def _written(home: Path, options: argparse.Namespace, meanwhile: Callable[[Writers], None]) -> Written:
    writers = Writers(home, PROCESSES, RATE, options.seconds)
    writers.begin()
    time.sleep(2)
    meanwhile(writers)
    return writers.end()


def _ask(
    server: Server, home: Path, options: argparse.Namespace, goes_on: Callable[[], bool] = lambda: True
) -> list[Asked]:
    """Every question, cold and then warm; while programs write, only as long as they do."""
    found = []
    for question in questions(home, server, options.seed):
        if options.only and options.only not in f"{question.group} {question.title} {question.path}":
            continue
        if not goes_on():
            print("  the writers were done before all was asked: more --seconds", file=sys.stderr, flush=True)
            break
        found.append(_one(server, question, options.rounds))
    return found


def _one(server: Server, question: Question, rounds: int) -> Asked:
    cold = server.get(question.path)
    warm = [server.get(question.path) for _ in range(rounds)] if cold.status == 200 else [cold]
    asked = Asked(
        question,
        max(answer.status for answer in (cold, *warm)),
        cold.ms,
        statistics.median(answer.ms for answer in warm),
        max(answer.ms for answer in warm),
        statistics.median(answer.wall_ms for answer in warm),
        cold.size,
    )
    print(f"  {asked}", file=sys.stderr, flush=True)
    return asked


def _count(home: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(f"file:{home / 'traces.db'}?mode=ro", uri=True)) as connection:
        sql = "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM spans WHERE root = 1)"
        spans, traces = connection.execute(sql).fetchone()
        return spans, traces


def _forget(home: Path) -> None:
    for path in home.glob("insights.*"):
        path.unlink()


@contextlib.contextmanager
def _copy(home: Path, folder: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="autotrace-page-", dir=folder) as made:
        copy = Path(made) / home.name
        shutil.copytree(home, copy)
        yield copy


def write(target: Path, part: str, text: str) -> None:
    """Puts the part between its markers; at the end of a page that has none yet."""
    begin, end = f"<!-- bench:{part}:begin -->", f"<!-- bench:{part}:end -->"
    before = target.read_text(encoding="utf-8") if target.is_file() else page.INTRODUCTION
    if begin not in before:
        target.write_text(f"{before.rstrip()}\n\n{begin}\n{end}\n", encoding="utf-8")
    page.write(target, part, text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homes", type=Path, nargs="+", help="folders that page_store.py has filled, the smallest first")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is asked when it is warm")
    parser.add_argument("--seed", type=int, default=7, help="what the stores were made with")
    parser.add_argument("--only", default="", help="ask only what has this text in its title or address")
    parser.add_argument("--keep", action="store_true", help="use the insights.db that is there")
    parser.add_argument("--writing", action="store_true", help=f"while {PROCESSES} processes write {RATE:,.0f} spans/s")
    parser.add_argument("--seconds", type=float, default=60, help="how long they write")
    parser.add_argument("--folder", type=Path, help="where the copy that is written to lies")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every figure")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the part between its markers of this page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
