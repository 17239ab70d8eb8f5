"""Tells pages that are open when there is something new: server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

#: Seconds between two looks; seconds after which a page is told that the server is still there.
_LOOK_S, _ALIVE_S = 1.0, 15.0
#: Seconds within which events end when the server does.
_OVER_S = 0.5
#: Pages that are told; further ones are to ask again later.
MOST = 50


class Live:
    """One look for all pages that are open.

    Args:
        version: Tells what changes when there is something new; is called in a thread.
    """

    def __init__(self, version: Callable[[], str]) -> None:
        self._version = version
        self._open = 0
        self._told = asyncio.Event()
        self._known = ""
        self._task: asyncio.Task[None] | None = None
        #: Whether the server ends: so do all events, in a moment.
        self.is_over = False

    @property
    def is_full(self) -> bool:
        """Whether as many pages are told as may be."""
        return self._open >= MOST

    async def events(self) -> AsyncIterator[str]:
        """Events for one page, until it is closed."""
        if self.is_full:  # several came at once
            yield "retry: 30000\n\n"
            return
        self._open += 1
        try:
            if self._task is None:
                self._task = asyncio.create_task(self._look())
            # What a page shows may be older than its connection: it compares.
            seen = self._known
            yield f"retry: 3000\n\nevent: changed\ndata: {seen}\n\n" if seen else "retry: 3000\n\n"
            waited = 0.0
            while not self.is_over:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._told.wait(), _OVER_S)
                waited += _OVER_S
                # The time may have been up in the very moment that there was something new.
                if self._known != seen:
                    seen, waited = self._known, 0.0
                    yield f"event: changed\ndata: {seen}\n\n"
                elif waited >= _ALIVE_S:
                    waited = 0.0
                    yield ": still here\n\n"
        finally:
            self._open -= 1
            if self._open == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _look(self) -> None:
        while True:
            try:
                found = await asyncio.to_thread(self._version)
            except Exception:  # noqa: BLE001 (the store is replaced at this moment, ...: the next look will tell)
                found = self._known
            if found != self._known:
                told, self._told, self._known = self._told, asyncio.Event(), found
                told.set()
            await asyncio.sleep(_LOOK_S)
