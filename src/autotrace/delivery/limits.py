"""What the journal may take on the disk, and for how long it keeps what nobody takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .segments import SegmentName, segment_names

#: Seconds that a segment must have been in hand before its age counts: a clock that jumps forward makes nothing old.
SEEN_S = 600.0


@dataclass(frozen=True)
class Limits:
    """Bounds of a journal's folder.

    Attributes:
        size: Bytes of all segments together.
        age_s: Seconds since a segment was last written to.
    """

    size: int = 1024**3
    age_s: float = 7 * 86400.0

    @property
    def segment_size(self) -> int:
        """The size of a segment with which the bound on all of them can be kept."""
        return max(1, min(16 * 1024 * 1024, self.size // 4))

    def is_old(self, state: State, seen_s: float) -> bool:
        """Whether a segment has to go for its age.

        Args:
            state: The segment.
            seen_s: For how many seconds it has been in hand.
        """
        return time.time() - state.written > self.age_s and seen_s > min(SEEN_S, self.age_s)


class State(NamedTuple):
    """A segment's file: when it was last written to, in seconds since 1970, and how many bytes it has."""

    written: float
    size: int
    name: SegmentName


def look_at(folder: Path) -> list[State]:
    """Every segment in the folder, those first that were written longest ago."""
    found = []
    for name in segment_names(folder):
        try:
            state = (folder / name.file).stat()
        except OSError:
            continue
        found.append(State(state.st_mtime, state.st_size, name))
    return sorted(found)
