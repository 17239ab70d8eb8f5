"""The drainer: a background thread that takes the journal to the destinations.

It starts with the first `wake`, sleeps without polling, gathers for `interval_s` after it was woken,
delivers, and sleeps again. In a forked child it starts anew. Before a fork that Python knows of it ends, so
that the child inherits neither a connection in use nor, from Python 3.12 on, a warning about forking with
threads.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import BuiltinFunctionType

from .destinations import Destination
from .health import HealthFile
from .journal import journals_in
from .segments import segment_names
from .shipping import Shipping

logger = logging.getLogger("autotrace")

#: How often, in one delivery, the threads that end spans step aside for it, and for how many seconds (the operating
#: system makes some 85 microseconds of them). A busy program keeps the interpreter's lock all but to itself: what the
#: drainer then does takes ten times as long, and all that time each write of the program wakes it in vain.
STEPS_ASIDE = 256
ASIDE_S = 1e-6
#: Never gevent's: what is switched to in the midst of a call, or of the garbage collector's work, is not ours to know.
_sleep = time.sleep if isinstance(time.sleep, BuiltinFunctionType) else None
#: Seconds that a fork waits at most for the delivery of what was journalled just before.
FORK_WAIT_S = 1.0


@dataclass
class _Request:
    """A flush, or with `stop` the end of the thread."""

    deadline: float
    stop: bool = False
    answer: SimpleQueue[bool] = field(default_factory=SimpleQueue)


class _Process:
    """What a drainer holds in one process; replaced as a whole in a forked child."""

    def __init__(self, shipping: Shipping) -> None:
        self.pid = os.getpid()
        self.shipping = shipping
        self.health = HealthFile()
        #: Whether the thread has been told since it last looked.
        self.woken = False
        # SimpleQueue, for the garbage collector may end a span, and so wake, in the midst of any other.
        self.bell: SimpleQueue[_Request | None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self.starting = threading.Lock()
        #: Held by whoever delivers.
        self.turn = threading.Lock()
        #: Whether something of this process, or of those that are gone, is still to be delivered.
        self.unfinished = False
        self.adopting = True
        #: How often the program's threads still step aside in the delivery under way.
        self.aside = 0


class Drainer:
    """Delivers the records of a journal folder.

    Args:
        folder: The journal's folder (`Journal.folder`).
        destinations: Each one gets every record.
        interval_s: Seconds that records are gathered for.
    """

    def __init__(self, folder: Path, destinations: Sequence[Destination], interval_s: float = 0.5) -> None:
        self.folder = folder
        self.interval_s = interval_s
        self._destinations = tuple(destinations)
        self._closed = False
        self._process = _Process(Shipping(folder, self._destinations))
        self._processes = {self._process.pid: self._process}
        _drainers.append(weakref.ref(self, _drainers.remove))

    @property
    def damaged(self) -> int:
        """Journal lines that could not be read."""
        return self._current().shipping.damaged

    def wake(self) -> None:
        """Says that there are new records. Costs next to nothing when it has been said already."""
        process = self._process
        if process.pid != os.getpid():
            process = self._forked()
        if process.aside > 0 and _sleep is not None:
            process.aside -= 1
            _sleep(ASIDE_S)
        if process.woken or self._closed:
            return
        process.woken = True
        if process.thread is None:
            self._start(process)
        process.bell.put(None)

    def flush(self, timeout_s: float) -> bool:
        """Delivers what was journalled before the call.

        Returns:
            Whether all destinations have it all.
        """
        return self._request(time.monotonic() + timeout_s, False)

    def adopt(self, timeout_s: float = math.inf) -> bool:
        """Delivers what processes that are gone have left.

        Returns:
            Whether nothing of it remains.
        """
        process = self._current()
        deadline = time.monotonic() + timeout_s
        if not _acquire(process.turn, timeout_s):
            return False
        try:
            return self._adopt(process, deadline)
        finally:
            process.turn.release()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Delivers what there is and ends the thread; what does not get through in time stays in the journal.

        Returns:
            Whether everything was delivered.
        """
        if self._closed:
            return True
        self._closed = True
        for journal in journals_in(self.folder):
            journal.retire()
        return self._request(time.monotonic() + timeout_s, True)

    def _current(self) -> _Process:
        process = self._process
        return process if process.pid == os.getpid() else self._forked()

    def _forked(self) -> _Process:
        # The destinations notice the fork themselves; cursors of the parent's segments are the parent's.
        child = _Process(Shipping(self.folder, self._destinations))
        self._process = self._processes.setdefault(child.pid, child)
        return self._process

    def _start(self, process: _Process) -> None:
        if not process.starting.acquire(blocking=False):
            return  # another thread does it
        try:
            thread = threading.Thread(target=self._run, args=(process,), name="autotrace", daemon=True)
            thread.start()
            process.thread = thread
        except RuntimeError:  # the interpreter is shutting down, or there are no threads to be had
            logger.debug("the drainer cannot start", exc_info=True)
        finally:
            process.starting.release()

    def _request(self, deadline: float, stop: bool) -> bool:
        process = self._current()
        if process.thread is None or not process.thread.is_alive():
            return self._serve_here(process, deadline, stop)
        request = _Request(deadline, stop)
        process.bell.put(request)
        try:
            return request.answer.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return False

    def _serve_here(self, process: _Process, deadline: float, stop: bool) -> bool:
        if not _acquire(process.turn, deadline - time.monotonic()):
            return False
        try:
            return self._ship(process, deadline, stop)
        finally:
            process.turn.release()

    def _run(self, process: _Process) -> None:
        stop = False
        while not stop:
            requests = self._wait(process)
            stop = any(request.stop for request in requests)
            deadline = min((request.deadline for request in requests), default=math.inf)
            try:
                with process.turn:
                    process.aside = STEPS_ASIDE
                    done = self._ship(process, deadline, stop)
                    for request in requests:
                        request.answer.put(done)
                    if process.adopting and not stop:
                        self._adopt(process, math.inf)
                    process.unfinished = process.adopting or not done
            except Exception:
                logger.exception("the drainer failed; it goes on")
                process.unfinished = True
            finally:
                process.aside = 0

    def _wait(self, process: _Process) -> list[_Request]:
        """Sleeps until there is something to do; answers who waits for it to be done."""
        try:
            pause = process.shipping.pause() if process.unfinished else None
            due = process.health.due_in()
            if due is not None:
                pause = due if pause is None else min(due, pause)
            found = process.bell.get(timeout=pause)
            if found is None:
                found = process.bell.get(timeout=self.interval_s)
        except Empty:
            found = None
        requests = [found] if found else []
        while not process.bell.empty():
            found = process.bell.get()
            requests += [found] if found else []
        # Before the files are looked at: what is appended from now on wakes again.
        process.woken = False
        return requests

    def _ship(self, process: _Process, deadline: float, stop: bool) -> bool:
        journals = journals_in(self.folder)
        for journal in journals:
            journal.offer()
        done = process.shipping.ship_own(deadline)
        if done:
            for journal in journals:
                done = journal.confirm() and done
        for journal in journals:
            process.health.note(journal, process.shipping, self._closed and stop)
        if stop:  # what is closed opens again when there is more to deliver
            process.shipping.save()
            process.shipping.close()
        return done

    def _adopt(self, process: _Process, deadline: float) -> bool:
        done = True
        for name in segment_names(self.folder):
            done = process.shipping.ship_orphan(name, deadline) and done
            if process.woken:  # this process's own records come first
                process.woken = False
                process.shipping.ship_own(deadline)
        process.shipping.sweep()
        process.adopting = not done
        return done

    def _before_fork(self) -> None:
        """Ends the thread, and closes what is open; the next `wake` starts another."""
        process = self._process
        thread = process.thread
        if process.pid != os.getpid() or thread is threading.current_thread():
            return
        if thread is None:
            if process.turn.acquire(timeout=FORK_WAIT_S):
                process.shipping.close()
                process.turn.release()
            return
        if self._request(time.monotonic() + FORK_WAIT_S, True):
            thread.join(FORK_WAIT_S)
        else:
            process.woken = True
            process.bell.put(None)
        process.thread = None

    def _after_fork_in_parent(self) -> None:
        process = self._process
        if process.pid == os.getpid() and process.thread is None and process.woken:
            self._start(process)


def _acquire(lock: threading.Lock, timeout_s: float) -> bool:
    return lock.acquire(timeout=-1 if timeout_s == math.inf else max(0.0, timeout_s))


#: Every drainer of this process: what a fork must know.
_drainers: list[weakref.ref[Drainer]] = []


def _each() -> list[Drainer]:
    return [drainer for drainer in (reference() for reference in list(_drainers)) if drainer is not None]


def _before_fork() -> None:
    for drainer in _each():
        drainer._before_fork()


def _after_fork_in_parent() -> None:
    for drainer in _each():
        drainer._after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
