"""What the matrix found, as rows of a file, and the table of it in docs/deploying.md.

SERVING_MATRIX=whole SERVING_MATRIX_ROWS=rows.jsonl python -m pytest tests/serving/matrix
python tests/serving/matrix/table.py rows.jsonl docs/deploying.md
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

BEGIN, END = "<!-- matrix:begin -->", "<!-- matrix:end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one server.

    Attributes:
        server: What it is called.
        version: Its distribution's.
        processes: What makes its workers.
        ending: The signal.
        answered: Requests that were answered and led to a model.
        stored: Those of them that have exactly one trace in the store, complete.
        delivered: The same for the MLflow server; None where there was none.
    """

    server: str
    version: str
    processes: str
    ending: str
    answered: int
    stored: int
    delivered: int | None


def append(path: Path, row: Row) -> None:
    """Adds a row to the file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def markdown(rows: Sequence[Row], date: str) -> str:
    """The table; what was run again counts once, as it was last."""
    last = {(row.server, row.ending): row for row in rows}
    endings = list(dict.fromkeys(row.ending for row in rows))
    heads = ["server", "version", "workers by"]
    heads += [f"{ending}: answered, in the store, in MLflow" for ending in endings]
    lines = [
        (
            f"Last run on {date}: {platform.system()}, Python {platform.python_version()}. Each server was sent"
            " requests of as many sessions and users, eight at a time, whole and streamed answers mixed, and requests"
            " that lead to no model between them; after the last answer the signal went to the first process"
            " (SIGTERM), or to all of them at once (SIGKILL). A trace counts where it is the request's only one, has"
            " its question, answer, session, user and the model call beneath with tokens, and all has ended well. No"
            " other trace was there."
        ),
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for server in dict.fromkeys(row.server for row in rows):
        found = [last.get((server, ending)) for ending in endings]
        told = next(row for row in found if row is not None)
        cells = [f"`{server}`", told.version, told.processes, *(_cell(row) for row in found)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    delivered = "-" if row.delivered is None else str(row.delivered)
    return f"{row.answered}, {row.stored}, {delivered}"


def write(page: Path, text: str) -> None:
    """Puts the table between its marks.

    Raises:
        ValueError: The page has none.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} and {END} to write between")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def rows_of(path: Path) -> list[Row]:
    """What was found, in order."""
    found: list[Mapping[str, object]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Row(**one) for one in found]  # type: ignore[arg-type]


if __name__ == "__main__":
    write(Path(sys.argv[2]), markdown(rows_of(Path(sys.argv[1])), datetime.now(timezone.utc).date().isoformat()))
