"""Takes segments to the destinations, and away when all have them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from . import health
from .cursors import Cursors
from .destinations import Destination, Record
from .journal import Journal, journals_in
from .outlets import BACKOFF_S, Outlet
from .segments import Batch, Segment, SegmentName, parse, segment_names

logger = logging.getLogger("autotrace")

#: Seconds after which a segment that never got its name is what a process left that died at that moment.
UNNAMED_AGE_S = 60.0


class Shipping:
    """The work of a drainer, without its thread. One thread at a time.

    Args:
        folder: The journal's folder.
        destinations: Each one gets every record.
    """

    def __init__(self, folder: Path, destinations: Sequence[Destination]) -> None:
        self.folder = folder
        self.outlets = [Outlet(destination) for destination in destinations]
        #: Lines that could not be read, since the start.
        self.damaged = 0
        self._names = [outlet.name for outlet in self.outlets]
        self._cursors: dict[SegmentName, Cursors] = {}
        self._said: set[SegmentName] = set()

    def ship_own(self, deadline: float) -> bool:
        """Delivers what this process had journalled when the call began.

        Args:
            deadline: Moment of `time.monotonic` after which no further batch is begun.

        Returns:
            Whether everything has been delivered.
        """
        done = True
        processes = set()
        for journal in journals_in(self.folder):
            processes.add(journal.process)
            done = self._ship_waiting(journal) and done
        for name in segment_names(self.folder):
            if name.process in processes:
                done = self._ship(name, True, deadline) and done
        return done

    def ship_orphan(self, name: SegmentName, deadline: float) -> bool:
        """Delivers a segment if its writer is gone; False when something of it remains to be done."""
        return self._ship(name, False, deadline)

    def sweep(self) -> None:
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

    def offsets(self, process: str) -> dict[str, dict[str, int]]:
        """How far each destination has come in the segments of a process that are not done, by file."""
        return {
            name.file: {outlet: cursors[outlet] for outlet in self._names}
            for name, cursors in list(self._cursors.items())
            if name.process == process
        }

    def save(self) -> None:
        """Leaves the cursors of what is not delivered to the process that comes next."""
        for name, cursors in self._cursors.items():
            if (self.folder / name.file).exists():
                cursors.save()

    def close(self) -> None:
        """Lets the destinations let go of what they hold."""
        for outlet in self.outlets:
            outlet.close()

    def pause(self) -> float:
        """Seconds until it makes sense to try again what is left."""
        now = time.monotonic()
        retries = [outlet.retry_at - now for outlet in self.outlets if outlet.failures]
        return min((seconds for seconds in retries if seconds > 0), default=BACKOFF_S)

    def _ship_waiting(self, journal: Journal) -> bool:
        """Delivers from memory what the disk does not take."""
        if journal.retry():
            return True
        lines = journal.take_waiting()
        records = parse(b"".join(lines), 0).records
        now = time.monotonic()
        taken = [outlet.is_ready(now) and outlet.deliver(records, journal.resource) for outlet in self.outlets]
        if not all(taken):
            journal.put_back(lines)
        return all(taken)

    def _ship(self, name: SegmentName, own: bool, deadline: float) -> bool:
        try:
            with Segment(self.folder, name) as segment:
                # The writer holds the lock for as long as it may write.
                final = segment.lock()
                if segment.is_newer:
                    self._say(name, "was written by a newer autotrace; it is left alone: upgrade autotrace-ai")
                    return True
                if not final and not own:
                    return True
                return self._ship_open(segment, final, deadline)
        except FileNotFoundError:
            return True  # another process delivered it
        except OSError as error:
            self._say(name, f"cannot be read: {error}")
            return True

    def _ship_open(self, segment: Segment, final: bool, deadline: float) -> bool:
        cursors = self._cursors.get(segment.name)
        if cursors is None:
            cursors = self._cursors[segment.name] = Cursors(segment.path, segment.body_start)
        limit = segment.size()
        done = self._ship_batches(segment, cursors, limit, final, deadline)
        if not final:
            return done
        if done and cursors.reached(self._names, limit) and self._ship_interrupted(segment):
            segment.path.unlink(missing_ok=True)
            cursors.delete()
            del self._cursors[segment.name]
            return True
        cursors.save()
        return False

    def _ship_batches(self, segment: Segment, cursors: Cursors, limit: int, final: bool, deadline: float) -> bool:
        resource = segment.resource
        while time.monotonic() < deadline:
            now = time.monotonic()
            behind = [outlet for outlet in self.outlets if cursors[outlet.name] < limit]
            ready = [outlet for outlet in behind if outlet.is_ready(now)]
            if not ready:
                return not behind
            offset = min(cursors[outlet.name] for outlet in ready)
            batch = segment.batch(offset, limit, final)
            if batch is None:
                return len(ready) == len(behind)
            self._count(segment.name, batch)
            for outlet in ready:
                if cursors[outlet.name] == offset and outlet.deliver(batch.records, resource):
                    cursors[outlet.name] = batch.end
        return cursors.reached(self._names, limit)

    def _ship_interrupted(self, segment: Segment) -> bool:
        """Delivers the starts without an end, if this is the last segment of a process that is gone."""
        name = segment.name
        later = (other for other in segment_names(self.folder) if other.process == name.process)
        if any(other.sequence > name.sequence for other in later):
            return True
        records: list[Record] = segment.unfinished()
        taken = [outlet.deliver(records, segment.resource) for outlet in self.outlets]
        return all(taken)

    def _count(self, name: SegmentName, batch: Batch) -> None:
        if batch.damaged:
            self.damaged += batch.damaged
            self._say(name, f"is damaged: {batch.damaged} lines were skipped (said once)")

    def _say(self, name: SegmentName, problem: str) -> None:
        if name not in self._said:
            self._said.add(name)
            logger.warning("journal segment %s %s", self.folder / name.file, problem)
