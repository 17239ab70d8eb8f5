"""A page of a store, overwritten as a disk may do it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

#: The first byte of a page that holds rows of a table.
_LEAF = 0x0D


def damage(path: Path, table: str) -> None:
    """Overwrites a page in the middle of those that hold the rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(path.read_bytes())
    leaves = list(_leaves(content, size, root))
    begin = (leaves[len(leaves) // 2] - 1) * size
    content[begin : begin + size] = b"\xfe" * size
    path.write_bytes(content)


def _leaves(content: bytes, size: int, page: int) -> Iterator[int]:
    """The pages beneath a page of a table that hold rows."""
    whole = content[(page - 1) * size :][:size]
    if whole[0] == _LEAF:
        yield page
        return
    count = int.from_bytes(whole[3:5], "big")
    cells = [int.from_bytes(whole[12 + 2 * number :][:2], "big") for number in range(count)]
    for place in (*cells, 8):
        yield from _leaves(content, size, int.from_bytes(whole[place:][:4], "big"))
