"""Keeps `insights.db` up with the store: what is new first, then what was there before, the newest of it first."""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from autotrace.store.opening import transaction
from autotrace.store.rates import Rates

from . import schema, trouble
from .database import Database
from .facts import Facts, facts
from .grouping import Grouping
from .meaning import Meaning
from .source import Found, Source

logger = logging.getLogger("autotrace")

#: Spans whose traces are looked at in one step.
_SPANS = 1500
#: Traces that are read at once.
_TRACES = 100
#: Seconds between two looks for traces that have been deleted; traces that are looked at at once.
_SWEEP_S, _SWEPT = 20.0, 500
#: Seconds between two looks at all feedback.
_COMPARE_S = 10.0
#: Of feedback that was given in the last so many ns the word may have changed.
_LATELY_NS = 3600 * 10**9
#: Spans above which a trace that goes on is read again only after a while: so many seconds for each of its spans.
_LONG, _PATIENCE_S = 1000, 0.001


class Progress(NamedTuple):
    """How far it is.

    Attributes:
        is_complete: Whether all that was in the store is here.
        left: Spans of the store that have not been looked at, about.
    """

    is_complete: bool
    left: int


class Follower:
    """Follows one store. For one thread.

    Args:
        store: The store's file; it must exist.
        path: `insights.db`, which is made.
        meaning: The model that groups questions; None: their words do.
        decides: Whether the settings say so; else questions are grouped as they have been.

    Raises:
        StoreError: The store cannot be read.
        sqlite3.Error: `insights.db` cannot be written.
    """

    def __init__(self, store: Path, path: Path, meaning: Meaning | None = None, *, decides: bool = False) -> None:
        self._store = store
        self._rates = Rates()
        self._source = Source(store)
        self._file = _inode(store)
        self.database = Database(path, f"{schema.VERSION} {schema.SLOT_NS} {self._file}")
        with self._discarding():
            self._grouping = Grouping(self.database, meaning, decides=decides)
        self._seen: int | None = None
        self._swept = -math.inf  # a command takes few steps, and must not tell of what was deleted before
        self._compared = -math.inf
        self._source.remember(trouble.known_left_out(self.database.meta(trouble.LEFT_OUT)))
        self._left_out = len(self._source.unreadable)
        # Long traces by when they may be read again; after a restart at once.
        self._waiting = dict.fromkeys(orjson.loads(self.database.meta("waiting") or "[]"), 0.0)
        if self.database.meta("high") is None:
            highest = self._source.highest()
            self._note(high=highest, low=highest, version=0, feedback=0, updates=0)

    def close(self) -> None:
        """Closes both files."""
        self._source.close()
        self.database.close()

    @property
    def is_stale(self) -> bool:
        """Whether the store is another file by now: it wants another follower."""
        return _inode(self._store) != self._file

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be done than one step does."""
        return bool(self.database.meta("low") > 0 or self._source.highest() - self.database.meta("high") > _SPANS)

    def progress(self) -> Progress:
        """How far it is."""
        low, high = self.database.meta("low"), self.database.meta("high")
        left = max(low - self._source.lowest() + 1, 0) if low > 0 else 0
        left += max(self._source.highest() - high, 0)
        return Progress(left == 0 and not self._waiting, left)

    def has(self, span: int) -> bool:
        """Whether all that was stored up to this span, by its row id in the store, has been taken in."""
        is_seen = self._seen is not None or int(self.database.meta("high")) > span
        return is_seen and not self.database.meta("low") and int(self.database.meta("high")) >= span

    def step(self) -> bool:
        """Does a little of what is to be done; False when there is nothing to do.

        Raises:
            StoreError: The store cannot be read.
            sqlite3.Error: `insights.db` cannot be written; where it is damaged it is deleted, to be made anew.
        """
        with self._discarding():
            done = self._step()
        if len(self._source.unreadable) != self._left_out:
            self._note(**self._unreadable())
        if self.database.meta(trouble.WHY) is not None:
            self.database.set_meta(trouble.WHY, None)
        return done

    @contextmanager
    def _discarding(self) -> Iterator[None]:
        """Deletes `insights.db` where it turns out to be damaged."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:  # subclasses tell of other things
                self.database.discard()
            raise

    def _step(self) -> bool:
        version = self._source.data_version()
        is_changed = version != self._seen
        done = False
        if is_changed:
            done = self._new()
            if not done:
                self._seen = version
        done = self._due() or done
        done = self._old() or done
        done = self._grouping.step() or done
        if time.monotonic() - self._swept > _SWEEP_S:
            self._sweep()
        return done

    def _new(self) -> bool:
        """Looks at what has been added since."""
        high = self.database.meta("high")
        # What is gone by now, or cannot be read, is passed over.
        until = max(min(high + _SPANS, self._source.highest()), high)
        spans = self._source.spans_between(high + 1, until)
        wanted = dict.fromkeys(trace_id for _, trace_id in reversed(spans))
        wanted.update(dict.fromkeys(self._ended("running")))
        judged = self._judged()
        updates = self._source.updated(self.database.meta("updates") or 0)
        wanted.update(dict.fromkeys((*(trace_id for _, trace_id in judged), *(trace_id for _, trace_id in updates))))
        if not wanted and until == high:
            return False
        notes = {"high": until}
        if judged:
            notes["feedback"] = max(self.database.meta("feedback") or 0, *(row for row, _ in judged))
        if updates:
            notes["updates"] = max(row for row, _ in updates)
        self._take(list(wanted), notes)
        return bool(until > high)

    def _ended(self, status: str) -> list[str]:
        """Traces of spans that had this status when they were read, and have another."""
        sql = "SELECT id, status FROM pending WHERE status = ?"
        return self._source.changed(self.database.connection.execute(sql, (status,)).fetchall())

    def _judged(self) -> list[tuple[int, str]]:
        """Row ids and trace ids of feedback that is not here, or not as it is now."""
        since, row = time.time_ns() - _LATELY_NS, self.database.meta("feedback") or 0
        if time.monotonic() - self._compared > _COMPARE_S:
            # A later word may be about what was said long ago, and takes the place of it.
            self._compared = time.monotonic()
            total = self._source.judged_sum()
            if total != self.database.meta("judged"):
                self._note(judged=total)
                since, row = -(2**63), 0
        found = self._source.judged(row, since)
        ask = self.database.connection.execute
        known = "SELECT 1 FROM feedback WHERE id = ? AND time_ns = ?"
        return [(row, trace_id) for row, key, trace_id, at in found if not ask(known, (key, at)).fetchone()]

    def _old(self) -> bool:
        """Looks at some of what was there before."""
        low = self.database.meta("low")
        if low <= 0:
            return False
        first = max(low - _SPANS + 1, 1)
        unknown = self.database.unknown(self._source.spans_between(first, low))
        left = first - 1 if first > self._source.lowest() else 0
        self._take(list(dict.fromkeys(trace_id for _, trace_id in unknown)), {"low": left})
        return True

    def _due(self) -> bool:
        """Reads long traces again whose time has come."""
        now = time.monotonic()
        due = [trace_id for trace_id, at in self._waiting.items() if at <= now]
        if due:
            self._take(due[:1], {})
        return bool(due)

    def _take(self, trace_ids: Sequence[str], notes: dict[str, int]) -> None:
        """Reads traces and writes what is kept of them; what is noted holds together with that."""
        now = time.monotonic()
        wanted = [trace_id for trace_id in trace_ids if self._waiting.get(trace_id, 0.0) <= now]
        found = []
        for begin in range(0, len(wanted), _TRACES):
            for trace in self._source.found(wanted[begin : begin + _TRACES]):
                worked_out = self._worked_out(trace)
                if worked_out is not None:
                    found.append(worked_out)
        version = (self.database.meta("version") or 0) + 1
        waiting = orjson.dumps(list(self._waiting)).decode()

        def write(connection: sqlite3.Connection) -> None:
            if found:
                self.database.settle(number for _, spans, _ in found for number, _ in spans)
                self.database.save(found, version)
                self._grouping.save(connection)
                self._note(version=version)
            self._note(**notes, waiting=waiting, **self._unreadable())

        transaction(self.database.connection, write)

    def _worked_out(self, trace: Found) -> tuple[Facts, list[tuple[int, str]], int | None] | None:
        """What is kept of a trace; None of one that is no trace: a forged store may hold anything in any column."""
        try:
            return self._facts(trace)
        except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
            logger.warning("trace %r cannot be taken in: %r", trace.spans[0].trace_id, error)
            return None

    def _facts(self, trace: Found) -> tuple[Facts, list[tuple[int, str]], int | None]:
        made = facts(trace.spans, trace.payloads, trace.said, trace.feedback, self._rates)
        group = self._grouping.group(made.texts[0])
        trace_id = trace.spans[0].trace_id
        self._waiting.pop(trace_id, None)
        if len(trace.spans) > _LONG and any(span.status == "running" for span in trace.spans):
            self._waiting[trace_id] = time.monotonic() + _PATIENCE_S * len(trace.spans)
        return made, [(span.id, span.status) for span in trace.spans], group

    def _sweep(self) -> None:
        """Reads those again that were interrupted and ended after all; deletes what pruning has: the oldest traces."""
        self._swept = time.monotonic()
        self._take([*self._ended("interrupted"), *self._source.mended()], {})
        sql = "SELECT id, trace_id FROM traces WHERE id > ? ORDER BY id LIMIT ?"
        last = -1
        while rows := self.database.connection.execute(sql, (last, _SWEPT)).fetchall():
            last = rows[-1][0]
            there = self._source.existing([trace_id for _, trace_id in rows])
            gone = [trace_id for _, trace_id in rows if trace_id not in there]
            if not gone:
                break
            self._forget(gone)

    def _forget(self, gone: Iterable[str]) -> None:
        version = (self.database.meta("version") or 0) + 1

        def write(_: sqlite3.Connection) -> None:
            self.database.delete(gone, version)
            self._note(version=version)

        transaction(self.database.connection, write)

    def _unreadable(self) -> dict[str, str]:
        """What is to be noted of what could not be read."""
        if len(self._source.unreadable) == self._left_out:
            return {}
        self._left_out = len(self._source.unreadable)
        return {trouble.LEFT_OUT: trouble.left_out(self._source.unreadable)}

    def _note(self, **notes: Any) -> None:
        for key, value in notes.items():
            self.database.set_meta(key, value)


def _inode(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}"
