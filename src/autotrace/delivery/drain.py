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
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

from .destinations import Destination
from .health import HealthFile
from .journal import journals_in
from .limits import Limits
from .outlets import Outlet
from .shipping import Shipping, Target

if TYPE_CHECKING:
    from .sampling import Sampler

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
    """A flush; with `stop` the end of the thread; with `adopts` the delivery of what others have left.

    With `gives_up` it is answered as soon as nothing can be done but to wait for a destination that takes nothing.
    """

    deadline: float
    stop: bool = False
    adopts: bool = False
    gives_up: bool = False
    target: Target | None = None
    is_done: bool = False
    answer: SimpleQueue[bool] = field(default_factory=SimpleQueue)


#: Rung by a lane: something that was under way is through.
_THROUGH = object()


class _Process:
    """What a drainer holds in one process; replaced as a whole in a forked child."""

    def __init__(self, make: Callable[[Callable[[], None]], Shipping]) -> None:
        self.pid = os.getpid()
        # SimpleQueue, for the garbage collector may end a span, and so wake, in the midst of any other.
        self.bell: SimpleQueue[object] = SimpleQueue()
        self.shipping = make(lambda: self.bell.put(_THROUGH))
        self.health = HealthFile()
        #: One entry for each request that waits in the bell: what is under way makes room for it.
        self.asked: deque[None] = deque()
        #: Whether the thread has been told since it last looked.
        self.woken = False
        self.thread: threading.Thread | None = None
        self.starting = threading.Lock()
        #: Held by whoever delivers.
        self.turn = threading.Lock()
        #: How often the program's threads still step aside in the delivery under way.
        self.aside = 0


class Drainer:
    """Delivers the records of a journal folder.

    Args:
        folder: The journal's folder (`Journal.folder`).
        destinations: Each one gets every record.
        interval_s: Seconds that records are gathered for.
        limits: What the journal may take.
        sampler: Which traces are kept; None: all.
    """

    def __init__(
        self,
        folder: Path,
        destinations: Sequence[Destination],
        interval_s: float = 0.5,
        limits: Limits | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self.folder = folder
        self.interval_s = interval_s
        self._make = partial(Shipping, folder, tuple(destinations), limits or Limits(), sampler)
        self._closed = False
        self._process = _Process(self._make)
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
        """Delivers what was journalled before the call; a destination that takes nothing is tried again meanwhile.

        Returns:
            Whether all destinations have it all.
        """
        return self._request(_Request(time.monotonic() + timeout_s))

    def adopt(self, timeout_s: float = math.inf, gives_up: bool = True) -> bool:
        """Delivers what processes that are gone have left.

        Args:
            timeout_s: Seconds that it may take.
            gives_up: What a destination does not take now is left; otherwise it is tried again until the time is over.

        Returns:
            Whether nothing of it remains.
        """
        return self._request(_Request(time.monotonic() + timeout_s, adopts=True, gives_up=gives_up))

    @property
    def outlets(self) -> list[Outlet]:
        """How each destination fares in this process."""
        return self._current().shipping.outlets

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
        return self._request(_Request(time.monotonic() + timeout_s, stop=True, gives_up=True))

    def _current(self) -> _Process:
        process = self._process
        return process if process.pid == os.getpid() else self._forked()

    def _forked(self) -> _Process:
        # The destinations notice the fork themselves; cursors of the parent's segments are the parent's.
        parent, child = self._process, _Process(self._make)
        process = self._processes.setdefault(child.pid, child)
        if process is child:
            parent.shipping.forget()  # else the parent's files stay locked for as long as the child lives
        self._process = process
        return process

    def _start(self, process: _Process) -> None:
        if not process.starting.acquire(blocking=False):
            return  # another thread does it
        try:
            thread = threading.Thread(target=self._run, args=(process,), name="autotrace", daemon=True)
            thread.start()
            process.thread = thread
        except RuntimeError:  # the interpreter is shutting down, or there are no threads to be had
            process.woken = False  # who wakes next tries again
            logger.debug("the drainer cannot start", exc_info=True)
        finally:
            process.starting.release()

    def _request(self, request: _Request, grace_s: float = 0.0) -> bool:
        process = self._current()
        if process.thread is None or not process.thread.is_alive():
            return self._serve_here(process, request)
        process.asked.append(None)
        process.bell.put(request)
        try:
            left = request.deadline + grace_s - time.monotonic()
            timeout = None if left == math.inf else max(0.0, left)
            return request.answer.get(timeout=timeout)
        except Empty:
            return False

    def _serve_here(self, process: _Process, request: _Request) -> bool:
        if not _acquire(process.turn, request.deadline - time.monotonic()):
            return False
        try:
            pending = [request]
            while pending:
                self._step(process, pending)
                if pending:
                    pending += self._wait(process, pending)
            return request.answer.get_nowait()
        finally:
            process.turn.release()

    def _run(self, process: _Process) -> None:
        pending: list[_Request] = []
        stopped = False
        while not stopped:
            pending += self._wait(process, pending)
            try:
                with process.turn:
                    stopped = self._step(process, pending)
            except Exception:
                logger.exception("the drainer failed; it goes on")
                for request in pending:
                    request.answer.put(False)
                stopped = any(request.stop for request in pending)
                pending.clear()
                time.sleep(self.interval_s)

    def _wait(self, process: _Process, pending: Sequence[_Request]) -> list[_Request]:
        """Sleeps until there is something to do; answers who waits for it to be done."""
        pauses = [process.shipping.pause(), *(max(0.0, one.deadline - time.monotonic()) for one in pending)]
        due = process.health.due_in()
        found: object = None
        try:
            found = process.bell.get(timeout=min(pauses if due is None else [due, *pauses]))
            if found is None and not pending:
                found = process.bell.get(timeout=self.interval_s)
        except Empty:
            pass
        requests = [found] if isinstance(found, _Request) else []
        while not process.bell.empty():
            found = process.bell.get()
            requests += [found] if isinstance(found, _Request) else []
        for _ in requests:
            process.asked.popleft()
        # Before the files are looked at: what is appended from now on wakes again.
        process.woken = False
        return requests

    def _step(self, process: _Process, pending: list[_Request]) -> bool:
        """Does what can be done now, and answers the requests that are through; True when the end has come."""
        shipping = process.shipping
        for request in pending:
            if request.target is None:
                request.target = shipping.target()
                if request.adopts:
                    shipping.look_for_orphans()
                shipping.hurry()
        stops = [request for request in pending if request.stop]
        deadline = min((request.deadline for request in pending), default=math.inf)
        process.aside = STEPS_ASIDE
        shipping.advance(deadline, bool(pending), not stops, lambda: bool(process.asked))
        if not shipping.is_busy:
            process.aside = 0
        through = [request for request in pending if self._is_through(process, request)]
        is_over = any(request.stop for request in through)
        if is_over:  # what is closed opens again when there is more to deliver
            shipping.close(max(0.0, deadline - time.monotonic()))
        for journal in journals_in(self.folder):  # with what was lost at the end
            process.health.note(journal, shipping, self._closed and is_over)
        for request in through:
            pending.remove(request)
            request.answer.put(request.is_done)
        return is_over

    def _is_through(self, process: _Process, request: _Request) -> bool:
        """Whether a request can be answered; then it is known what with."""
        shipping = process.shipping
        done = shipping.has(request.target or []) and not (request.adopts and shipping.has_orphans)
        is_stuck = request.gives_up and not process.asked and not shipping.can_go_on(request.adopts)
        if done or is_stuck or time.monotonic() >= request.deadline:
            request.is_done = done
            return True
        return False

    def _before_fork(self) -> None:
        """Ends the thread, and closes what is open; the next `wake` starts another."""
        process = self._process
        thread = process.thread
        if process.pid != os.getpid() or thread is threading.current_thread():
            return
        if self._closed and (thread is None or not thread.is_alive()):
            return  # what is left is the next process's
        if thread is None:
            if process.turn.acquire(timeout=FORK_WAIT_S):
                process.shipping.close()
                process.turn.release()
            return
        until = time.monotonic() + FORK_WAIT_S
        is_done = self._request(_Request(until - FORK_WAIT_S / 2, stop=True, gives_up=True), FORK_WAIT_S / 2)
        thread.join(max(0.0, until - time.monotonic()))
        if not is_done:
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
