"""A segment in hand: open, read batch by batch, and how far each destination has come in it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from .cursors import Cursors
from .destinations import Record
from .parcels import Parcel, Progress
from .segments import Batch, Segment


class Holding:
    """One segment that is being delivered.

    Args:
        segment: Open; `close` closes it.
        names: The destinations that there are here.
        is_own: Whether this process writes it.
    """

    def __init__(self, segment: Segment, names: Iterable[str], is_own: bool) -> None:
        self.segment = segment
        self.name = segment.name
        self.is_own = is_own
        #: One object for all that comes of it.
        self.resource: Mapping[str, Any] = segment.resource
        #: When it came into this process's hands, as a moment of `time.monotonic`.
        self.since = time.monotonic()
        #: Up to where it is read; what is appended later comes later.
        self.limit = segment.size()
        #: Whether nobody writes to it any more, which then this process alone delivers.
        self.is_final = False
        self._cursors = Cursors(segment.path, segment.body_start)
        wanted = segment.destinations
        if is_own and wanted is not None:
            wanted |= {"console"}  # never in a header, for what is left over is no news for another process's terminal
        self.progress = {name: Progress(self._cursors[name]) for name in names if wanted is None or name in wanted}
        #: Destinations that its writer knows and this process does not.
        self.strangers = frozenset() if wanted is None else wanted - self.progress.keys() - {"console"}
        self._saved = self._offsets()
        self._unfinished: list[Record] | None = None
        #: The batch that some destinations have still to take, and where it begins.
        self._last: tuple[int, Batch] | None = None
        self._judged = self._damaged = 0

    def refresh(self) -> bool:
        """Looks how long it is by now, and whether its writer is gone; False: it is not ours to deliver any more."""
        if self.segment.is_lost():  # the program has closed our file, and may have one of its own by that number
            try:
                self.segment.reopen()
            except OSError:
                return False
            if self.is_final and not self.segment.lock():
                return False
        self.is_final = self.is_final or self.segment.lock()
        self.limit = self.segment.size()
        return True

    def next(self, name: str, is_last: bool) -> tuple[Parcel, list[Record]] | None:
        """What comes next for a destination; None when it has all that has been written so far.

        Args:
            name: The destination.
            is_last: Whether no later segment of its writer exists: then the starts without an end come last.
        """
        progress = self.progress[name]
        if progress.read < self.limit:
            batch = self._batch(progress.read)
            if batch is not None:
                return self._parcel(progress, progress.read, batch.end, batch.records)
            if not self.is_final:
                return None
            progress.read = self.limit  # it has been cut short under our hands
        if self.is_final and progress.read == self.limit and is_last and self.unfinished():
            return self._parcel(progress, self.limit, self.limit + 1, self.unfinished())
        return None

    def unfinished(self) -> list[Record]:
        """The starts whose ends are nowhere, once nobody writes any more."""
        if self._unfinished is None:
            self._unfinished = self.segment.unfinished()
        return self._unfinished

    def new_damage(self) -> int:
        """Damaged lines found since the last time."""
        damaged, self._damaged = self._damaged, 0
        return damaged

    def is_settled(self, name: str, offset: int) -> bool:
        """Whether a destination has all up to there, but what waits for the rest of its trace."""
        progress = self.progress.get(name)
        if progress is None or progress.settled >= offset:
            return True
        if progress.settled < progress.read:
            return False
        # Of a file that is gone nothing more will come; and a line that a full disk has cut short stands at the end
        # until the next one is written.
        return self.segment.is_lost() or not self.segment.has_lines(progress.read, offset)

    def is_taken(self, is_last: bool) -> bool:
        """Whether every destination of this process has all of it, for good."""
        goal = self._goal(is_last)
        return all(progress.taken >= goal for progress in self.progress.values())

    def leave_to(self, is_last: bool) -> frozenset[str]:
        """Destinations that are not known here and have not got all of it."""
        return frozenset(name for name in self.strangers if self._cursors[name] < self._goal(is_last))

    def lost(self, name: str) -> int:
        """Records that a destination loses when the file goes: those that have not been read for it."""
        progress = self.progress[name]
        return self.segment.counted(progress.read) if progress.read < self.limit else 0

    def lost_by(self, stranger: str) -> int:
        """Records that a destination loses with the file that is not known here."""
        return self.segment.counted(self._cursors[stranger])

    def orphan(self) -> None:
        """Takes note that the file is gone: what has been read of it cannot be read again."""
        for progress in self.progress.values():
            progress.orphan()

    def save(self) -> None:
        """Leaves the offsets to who comes next, if they have changed."""
        offsets = self._offsets()
        if offsets != self._saved:
            self._saved = offsets
            for name, offset in offsets.items():
                self._cursors[name] = offset
            self._cursors.save()

    def offsets(self) -> dict[str, int]:
        """How far each destination has come."""
        return self._offsets()

    def delete(self) -> OSError | None:
        """Removes the file, and what was saved beside it; answers why it cannot be removed."""
        try:
            self.segment.path.unlink(missing_ok=True)
        except OSError as error:
            self.save()
            return error
        self._cursors.delete()
        return None

    def close(self) -> None:
        """Lets go of the file, and of its lock."""
        self.segment.close()

    def _goal(self, is_last: bool) -> int:
        """The offset of a destination that has all of it."""
        return self.limit + (1 if is_last and self.unfinished() else 0)

    def _offsets(self) -> dict[str, int]:
        return {name: progress.taken for name, progress in self.progress.items()}

    def _batch(self, offset: int) -> Batch | None:
        """The batch at `offset`; it is kept while another destination may want it."""
        if self._last is not None and self._last[0] == offset:
            batch = self._last[1]
        else:
            found = self.segment.batch(offset, self.limit, self.is_final)
            if found is None:
                return None
            batch = found
            if offset >= self._judged:
                self._judged, self._damaged = batch.end, self._damaged + batch.damaged
        behind = sum(progress.read <= offset for progress in self.progress.values())
        self._last = (offset, batch) if behind > 1 else None
        return batch

    def _parcel(self, progress: Progress, start: int, end: int, records: list[Record]) -> tuple[Parcel, list[Record]]:
        parcel = Parcel(start, end, records)
        progress.add(parcel)
        return parcel, records
