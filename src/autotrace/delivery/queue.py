"""What a journal holds that a destination has not taken yet, as somebody sees it who only looks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .cursors import Cursors
from .segments import CHUNK, Segment, segment_names


@dataclass(frozen=True)
class Queue:
    """What waits for one destination.

    Attributes:
        destination: Its name.
        bytes: In the journal's files.
        records: Starts and ends of spans.
        unreadable: Segments that could not be looked at.
    """

    destination: str
    bytes: int
    records: int
    unreadable: int = 0


def queues(
    folder: Path,
    destinations: Iterable[str],
    offsets: Mapping[str, Mapping[str, int]] | None = None,
    process: str | None = None,
) -> list[Queue]:
    """What waits for each destination; the journal stays as it is.

    Args:
        folder: The journal's folder.
        destinations: Their names.
        offsets: How far each has come, by segment, as the processes that write them tell; otherwise what was saved
            beside a segment counts.
        process: Only what this one has journalled (`Journal.process`).
    """
    names = list(dict.fromkeys(destinations))
    bytes_, records, unreadable = dict.fromkeys(names, 0), dict.fromkeys(names, 0), 0
    for segment_name in segment_names(folder):
        if process not in (None, segment_name.process):
            continue
        try:
            with Segment(folder, segment_name) as segment:
                saved = Cursors(segment.path, segment.body_start)
                size = segment.size()
                wanted = segment.destinations
                for name in names:
                    if wanted is not None and name not in wanted:
                        continue
                    told = (offsets or {}).get(segment_name.file, {}).get(name, 0)
                    offset = min(max(told, saved[name]), size)
                    bytes_[name] += size - offset
                    records[name] += _lines(segment.file, offset, size)
        except FileNotFoundError:  # delivered meanwhile
            continue
        except OSError:
            unreadable += 1
    return [Queue(name, bytes_[name], records[name], unreadable) for name in names]


def strangers(folder: Path, destinations: Iterable[str]) -> dict[str, int]:
    """Records that wait for destinations other than these, by name; the journal stays as it is."""
    known, found = set(destinations), Counter[str]()
    for segment_name in segment_names(folder):
        try:
            with Segment(folder, segment_name) as segment:
                saved = Cursors(segment.path, segment.body_start)
                for name in (segment.destinations or frozenset()) - known:
                    found[name] += _lines(segment.file, saved[name], segment.size())
        except OSError:  # delivered meanwhile, or somebody else's
            continue
    return {name: records for name, records in found.items() if records}


def _lines(file: int, offset: int, end: int) -> int:
    found = 0
    while offset < end and (data := os.pread(file, min(CHUNK, end - offset), offset)):
        found += data.count(b"\n")
        offset += len(data)
    return found
