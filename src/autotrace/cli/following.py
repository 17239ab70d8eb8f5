"""Keeps `insights.db` up with the store while the page is open: a process of its own, so that no page waits for it.

    python -m autotrace.cli.following HOME

It ends when its standard input is closed, which is when whoever has started it is gone.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from autotrace import config
from autotrace.config import Config
from autotrace.errors import AutotraceError
from autotrace.insights import trouble
from autotrace.insights.follower import Follower
from autotrace.insights.meaning import configured
from autotrace.insights.opening import lock, place

#: Seconds between two looks at a store where nothing happens, and where there is none; between two looks for what
#: processes that are gone have left.
_AGAIN_S = 2.0
_QUIET_S, _NONE_S, _ORPHANS_S = 0.25, 1.0, 15.0
#: Seconds until what has failed again and again is tried again.
_MOST_PAUSE_S = 30.0


@contextmanager
def following(settings: Config) -> Iterator[None]:
    """Starts the process, and ends it."""
    command = [sys.executable, "-m", "autotrace.cli.following", str(settings.home)]
    ended = threading.Event()
    held: list[Popen[bytes]] = []

    def keep() -> None:
        while not ended.is_set():
            process = Popen(command, stdin=PIPE, stdout=DEVNULL, env={**os.environ, "AUTOTRACE": "0"})  # noqa: S603
            held[:] = [process]
            if process.wait() and not ended.wait(_AGAIN_S):  # killed: for want of memory, say
                print("autotrace: what keeps the page up to date has died and is started again", file=sys.stderr)

    keeper = threading.Thread(target=keep, name="autotrace-following", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        for process in held:
            _end(process)


def _end(process: Popen[bytes]) -> None:
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(5)
    except Exception:  # noqa: BLE001 (it hangs, or Ctrl-C was pressed again)
        process.kill()
        process.wait()


def main() -> None:
    """Follows until nobody wants it any more."""
    home = Path(sys.argv[1])
    with suppress(AttributeError, OSError):
        os.nice(5)  # what is traced, and the page, go first
    told = ""
    adopted = 0.0
    pause = _NONE_S
    while not _is_over(0.0):
        if time.monotonic() - adopted > _ORPHANS_S:
            _adopt(home)
            adopted = time.monotonic()
        began = time.monotonic()
        try:
            _follow(home, adopted + _ORPHANS_S)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told, and tried again later)
            if str(error) != told:
                told = str(error)
                print(f"autotrace: the page cannot be kept up to date: {told}", file=sys.stderr, flush=True)
            with suppress(AutotraceError, OSError):
                trouble.tell(place(home), told or repr(error))
            # What went well for a while has got somewhere.
            pause = _NONE_S if time.monotonic() - began > _MOST_PAUSE_S else min(pause * 2, _MOST_PAUSE_S)
            if _is_over(pause):
                return
        else:
            told, pause = "", _NONE_S


def _follow(home: Path, until: float) -> None:
    """Follows the store for a while."""
    store = home / "traces.db"
    if not store.is_file():
        _is_over(_NONE_S)
        return
    path = place(home)
    with lock(path) as is_ours:
        if not is_ours:  # another page does
            _is_over(_NONE_S)
            return
        follower = Follower(store, path, configured(config.load()), decides=True)
        try:
            while not follower.is_stale:
                began = time.monotonic()
                is_at_work = follower.step()
                # Spans of a trace come one after the other: who waits a little reads it once, not once for each.
                pause = 0.0 if is_at_work and follower.is_behind else max(_QUIET_S, time.monotonic() - began)
                if _is_over(pause) or (pause and time.monotonic() > until):
                    return
        finally:
            follower.close()


def _is_over(pause: float) -> bool:
    """Waits so long; whether standard input has been closed."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], pause)
        return bool(ready) and not os.read(sys.stdin.fileno(), 1)
    except (OSError, ValueError):
        return True


def _adopt(home: Path) -> None:
    """Delivers to the store what processes that are gone have left."""
    if (home / "journal").is_dir():
        from .store import adopt_orphans

        adopt_orphans(replace(config.load(), home=home))


if __name__ == "__main__":
    main()
