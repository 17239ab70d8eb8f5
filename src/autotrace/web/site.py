"""What all pages share: the traces that are shown, and how."""

from __future__ import annotations

import queue
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autotrace.config import Config
from autotrace.errors import StoreError
from autotrace.insights.opening import place
from autotrace.insights.parts import Memory
from autotrace.insights.view import Insights
from autotrace.store.outline import TraceReader

#: Of a trace in the store, a link to it elsewhere: `href`, and `what` it leads to.
Locate = Callable[[TraceReader, str], dict[str, str] | None]
#: Pages that are worked out at the same time.
MOST_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Opened:
    """Questions to a file that is known to be the one it was."""

    insights: Insights
    files: tuple[int, ...]


@dataclass(slots=True)
class Site:
    """What is served.

    Attributes:
        config: The settings; its `home` is the folder with the store.
        hides_content: Whether what was said is left out of every page.
        csrf: What a form must send with it, that other sites cannot know.
        judge: Passes feedback on: of which trace, thumb up or not, comment, who says so;
            answers its id. None: nothing can be said.
        ends: What is called when the server is about to end.
        mlflow: Tells where a trace is in MLflow; None: it does not go there.
        memory: What was summed up before.
    """

    config: Config
    hides_content: bool = False
    judge: Callable[[str, bool, str | None, str | None], str] | None = None
    mlflow: Locate | None = None
    ends: list[Callable[[], None]] = field(default_factory=list)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    memory: Memory = field(default_factory=Memory)
    _idle: queue.SimpleQueue[Opened] = field(default_factory=queue.SimpleQueue)

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.config.home / "traces.db"

    @contextmanager
    def insights(self) -> Iterator[Insights | None]:
        """Questions, for one request; None where there is no store yet, or nothing of it has been read.

        Raises:
            StoreError: The store cannot be read.
        """
        found = self._opened()
        if found is None:
            yield None
            return
        found.insights.notes.clear()
        found.insights.store.notes.clear()
        try:
            yield found.insights
        except sqlite3.Error as error:
            found.insights.close()
            found = None
            raise StoreError(f"{self.config.home} cannot be read now: {error}") from error
        finally:
            if found is not None:
                self._idle.put(found)

    def close(self) -> None:
        """Closes what is open."""
        while True:
            try:
                self._idle.get_nowait().insights.close()
            except queue.Empty:
                return

    def _opened(self) -> Opened | None:
        if not self.store.is_file():
            return None
        path = place(self.config.home)
        if not path.is_file():
            return None
        files = tuple(each for file in (path, self.store) for each in (file.stat().st_dev, file.stat().st_ino))
        while True:
            try:
                found = self._idle.get_nowait()
            except queue.Empty:
                break
            if found.files == files:
                return found
            found.insights.close()  # it has been made anew
        try:
            return Opened(Insights(path, self.store), files)
        except sqlite3.Error:
            return None  # it is being made
