"""The words of the content, indexed: which traces speak of something.

The index is SQLite's FTS5, without a copy of the text and without places of words in it (`detail=none`): a tenth of
the content's size. A document is what was said in one trace within one transaction of the writer (an agent's calls
repeat what was said before, which is so indexed once); its id is that of one of the spans.

What is in such an index cannot be deleted by itself. So it is cut into parts, a table for each `PART` ids of spans,
and a part goes with the last of its spans; in between, its words lead to spans that are no longer there, and so to
nothing. Ids are never given again. Where SQLite has no FTS5 nothing is indexed, and the ids of the spans are kept in
`unfilled`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from autotrace.errors import StoreError

from .texts import separated

logger = logging.getLogger("autotrace")

#: Ids of spans that a part of the index is for.
PART = 1 << 16
TOKENIZER = "unicode61"
#: Words of a query that count.
MOST_WORDS = 30
#: Segments are merged sixteen at a time (by default four): half the work for the writer, a quarter more for a search.
_OPTIONS = {"automerge": 16, "crisismerge": 500}


def has_fts5(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite can index words. Some distributions build it without."""
    try:
        return connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None
    except sqlite3.OperationalError:  # an SQLite that does not tell
        try:
            connection.execute("CREATE VIRTUAL TABLE temp.has_fts5 USING fts5(x)")
            connection.execute("DROP TABLE temp.has_fts5")
        except sqlite3.OperationalError:
            return False
        return True


class Index:
    """The index of one connection that writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.is_available = has_fts5(connection)

    def add(self, connection: sqlite3.Connection, documents: Mapping[int, Iterable[str]]) -> None:
        """Indexes texts by ids of spans, within the transaction that is open.

        A document that is added once more under its id is found by the words of both.
        """
        by_part: dict[int, list[tuple[int, str]]] = {}
        for span in sorted(documents):  # FTS5 wants them in this order
            text = "\n".join(documents[span])
            if text:
                by_part.setdefault(span // PART, []).append((span, text))
        for number, rows in by_part.items():
            self._make(connection, number)
            # A row a statement: before one with several, FTS5 would write out what it has gathered, as a segment that
            # is to be merged later.
            insert = f"INSERT INTO {table(number)} (rowid, words) VALUES (?, ?)"  # noqa: S608
            connection.executemany(insert, rows)

    def _make(self, connection: sqlite3.Connection, number: int) -> None:
        if connection.execute("SELECT 1 FROM search_parts WHERE number = ?", (number,)).fetchone():
            return
        connection.execute(
            f"CREATE VIRTUAL TABLE {table(number)} USING fts5 "
            f"(words, content = '', columnsize = 0, detail = none, tokenize = '{TOKENIZER}')"
        )
        for option, value in _OPTIONS.items():
            connection.execute(f"INSERT INTO {table(number)} ({table(number)}, rank) VALUES (?, ?)", (option, value))  # noqa: S608
        connection.execute("INSERT INTO search_parts VALUES (?)", (number,))


def table(number: int) -> str:
    """The name of a part's table."""
    return f"search_{number}"


def unfilled(connection: sqlite3.Connection) -> int:
    """How many ids of spans are not in the index yet."""
    return int(connection.execute("SELECT coalesce(sum(last_id - first_id + 1), 0) FROM unfilled").fetchone()[0])


def drop_empty(connection: sqlite3.Connection) -> bool:
    """Drops one part that no span is left of, within the transaction that is open; False when there is none."""
    for (number,) in connection.execute("SELECT number FROM search_parts ORDER BY number").fetchall():
        ids = (number * PART, (number + 1) * PART)
        if connection.execute("SELECT 1 FROM spans WHERE id >= ? AND id < ? LIMIT 1", ids).fetchone() is None:
            connection.execute(f"DROP TABLE {table(number)}")
            connection.execute("DELETE FROM search_parts WHERE number = ?", (number,))
            return True
    return False


def matches(connection: sqlite3.Connection, text: str) -> Iterator[int]:
    """Ids of spans in whose traces all words of `text` occur, latest stored first; all of it is taken as words.

    A word that ends in `*` stands for all that begin so.

    Raises:
        StoreError: This SQLite has no FTS5.
    """
    if not has_fts5(connection):
        raise StoreError("the SQLite of this Python has no full-text search (FTS5)")
    query = _query(text)
    if not query:
        return
    for (number,) in connection.execute("SELECT number FROM search_parts ORDER BY number DESC").fetchall():
        sql = f"SELECT rowid FROM {table(number)} WHERE {table(number)} MATCH ? ORDER BY rowid DESC"  # noqa: S608
        with closing(connection.execute(sql, (query,))) as cursor:
            for (span,) in cursor:
                yield span


def _query(text: str) -> str:
    """The words of a text in FTS5's language: cut as the index cuts them, by a small index of their own."""
    terms: dict[str, None] = {}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE VIRTUAL TABLE asked USING fts5(words, tokenize = '{TOKENIZER}')")
        connection.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(asked, instance)")
        for word in separated(text.replace("\0", " ")).split()[:MOST_WORDS]:
            connection.execute("DELETE FROM asked")
            connection.execute("INSERT INTO asked VALUES (?)", (word.encode("utf-8", "replace").decode(),))
            found = [row[0] for row in connection.execute("SELECT term FROM terms ORDER BY offset")]
            quoted = ['"{}"'.format(term.replace('"', '""')) for term in found]
            if quoted and word.endswith("*"):
                quoted[-1] += " *"
            terms.update(dict.fromkeys(quoted))
    return " AND ".join(terms)
