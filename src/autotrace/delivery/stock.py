"""The segments that a drainer has in hand: this process's own, and those of processes that are gone."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Container, Iterable
from pathlib import Path

from . import health
from .holdings import Holding
from .limits import Limits, look_at
from .segments import Segment, SegmentName, segment_names

logger = logging.getLogger("autotrace")

#: Seconds after which a segment that never got its name is what a process left that died at that moment.
UNNAMED_AGE_S = 60.0
#: Segments of processes that are gone that are in hand at once.
ORPHANS = 8


class Stock:
    """Takes segments in hand, and puts them away when they are done with. For one thread at a time.

    Args:
        folder: The journal's folder.
        names: The destinations that there are here.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        self._names = tuple(names)
        self._own: dict[SegmentName, Holding] = {}
        self._orphans: dict[SegmentName, Holding] = {}
        #: The highest sequence of each process that has segments.
        self._last: dict[str, int] = {}
        self._said: set[SegmentName] = set()
        #: Segments that are there and that nothing is to be done with here.
        self._done: set[SegmentName] = set()

    @property
    def own(self) -> list[Holding]:
        """Those that this process writes, or has written."""
        return list(self._own.values())

    @property
    def orphans(self) -> list[Holding]:
        """Those of processes that are gone."""
        return list(self._orphans.values())

    @property
    def all(self) -> list[Holding]:
        """This process's own, then the others."""
        return [*self._own.values(), *self._orphans.values()]

    def refresh(self, processes: Container[str]) -> None:
        """Looks which segments of this process there are; let `look_again` tell how long they are.

        Args:
            processes: How this process is named in its segments.
        """
        names = self._list()
        there = set(names)
        self._done &= there
        for name in list(self._own):
            if name not in there:  # somebody has deleted it, or another process has delivered it
                self._own.pop(name).close()
        for name in names:
            if name.process in processes and name not in self._own and name not in self._done:
                holding = self._open(name, True)
                if holding is not None:
                    self._own[name] = holding

    def look_again(self) -> None:
        """Looks how long each segment in hand is by now; lets go of what another process has taken."""
        is_let_go = False
        for held in (self._own, self._orphans):
            for name, holding in list(held.items()):
                was_final = holding.is_final
                if not holding.refresh():
                    held.pop(name).close()
                elif holding.is_final and not was_final:
                    is_let_go = True
        if is_let_go:  # for the next one, which is there now and perhaps was not when we looked last
            self._list()

    def adopt(self, processes: Container[str]) -> None:
        """Takes segments of processes that are gone in hand, as many as may be.

        Args:
            processes: How this process is named in its segments.
        """
        for name in segment_names(self.folder):
            if len(self._orphans) >= ORPHANS:
                break
            if name.process not in processes and name not in self._orphans and name not in self._done:
                holding = self._open(name, False)
                if holding is not None and self._has_work(holding):
                    self._orphans[name] = holding
                elif holding is not None:
                    holding.close()
        self._list()  # a writer that goes on has begun its next segment before it lets go of one
        self._sweep()

    def is_last(self, holding: Holding) -> bool:
        """Whether the segment's writer has begun no later one."""
        return self._last.get(holding.name.process, 0) <= holding.name.sequence

    def done(self) -> list[Holding]:
        """Those that nobody writes to any more and every destination of this process has."""
        return [holding for holding in self.all if holding.is_final and holding.is_taken(self.is_last(holding))]

    def put_away(self, holding: Holding) -> None:
        """Removes a segment that is done with; what others are to have of it stays for them."""
        if holding.leave_to(self.is_last(holding)):
            holding.save()  # who knows those delivers the rest
            self._done.add(holding.name)
        else:
            self._remove(holding)
        self._let_go(holding)

    def keep_within(self, limits: Limits) -> Counter[str]:
        """Gives up what is too old or too much, what was written to longest ago first.

        What another process has in hand is that one's to give up: nothing newer has to go in its place. What is still
        written to stays.

        Returns:
            Records that each destination loses by it, as far as they have not been read.
        """
        lost: Counter[str] = Counter()
        states = look_at(self.folder)
        total, now = sum(state.size for state in states), time.monotonic()
        for state in states:
            holding = self._own.get(state.name) or self._orphans.get(state.name)
            seen_s = 0.0 if holding is None else now - holding.since
            if total > limits.size or limits.is_old(state, seen_s):
                lost += self._drop(state.name)
                total -= state.size
        return lost

    def say(self, name: SegmentName, problem: str) -> None:
        """Tells what is wrong with a segment, once."""
        if name not in self._said:
            self._said.add(name)
            logger.warning("journal segment %s %s", self.folder / name.file, problem)

    def save(self) -> None:
        """Leaves word of how far each destination has come."""
        for holding in self.all:
            holding.save()

    def close(self) -> None:
        """Lets go of every file, in a forked child too: its parent has the locks."""
        for holding in self.all:
            holding.close()
        self._own.clear()
        self._orphans.clear()

    def _list(self) -> list[SegmentName]:
        """Which segments there are; takes note of the last one of each process."""
        names = segment_names(self.folder)
        self._last = {name.process: name.sequence for name in names}
        return names

    def _open(self, name: SegmentName, is_own: bool) -> Holding | None:
        """Takes a segment in hand; None when it is gone, unreadable, another process's, or in a newer format."""
        try:
            segment = Segment(self.folder, name)
        except FileNotFoundError:
            return None  # another process delivered it
        except OSError as error:
            self.say(name, f"cannot be read: {error}")
            return None
        if segment.is_newer:
            self.say(name, "was written by a newer autotrace; it is left alone: upgrade autotrace-ai")
        elif is_own or segment.lock():
            holding = Holding(segment, self._names, is_own)
            holding.is_final = not is_own
            return holding
        segment.close()
        return None

    def _has_work(self, holding: Holding) -> bool:
        is_last = self.is_last(holding)
        return not holding.leave_to(is_last) or not holding.is_taken(is_last)

    def _drop(self, name: SegmentName) -> Counter[str]:
        """Gives up a segment, unless it is still written to; what its destinations lose is counted."""
        holding = self._own.get(name) or self._orphans.get(name) or self._open(name, False)
        if holding is None or not holding.is_final:
            return Counter()
        for stranger in holding.strangers:
            logger.error(
                "%s spans for the destination %s, which the settings here do not name, are lost: the journal has"
                " reached its bounds (journal_size, journal_age)",
                f"{holding.lost_by(stranger):,}",
                stranger,
            )
        lost = Counter({destination: holding.lost(destination) for destination in holding.progress})
        holding.orphan()
        self._remove(holding)
        self._let_go(holding)
        return lost

    def _remove(self, holding: Holding) -> None:
        error = holding.delete()
        if error is not None:
            self._done.add(holding.name)
            self.say(holding.name, f"is done with and cannot be removed: {error}")

    def _let_go(self, holding: Holding) -> None:
        holding.close()
        self._own.pop(holding.name, None)
        self._orphans.pop(holding.name, None)

    def _sweep(self) -> None:
        """Removes what processes left that died at an unlucky moment."""
        old = time.time() - UNNAMED_AGE_S
        try:
            for path in self.folder.iterdir():
                unnamed = path.suffix in (".new", ".unsaved")
                lost = path.suffix == ".cursor" and not path.with_suffix("").exists()
                if (unnamed or lost) and path.stat().st_mtime < old:
                    path.unlink()
        except OSError:
            pass
        health.sweep(self.folder)
