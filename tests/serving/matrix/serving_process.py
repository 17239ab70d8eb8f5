"""A server in processes of its own, which can be told to end, or killed with all that it has started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_LIMIT = 120
#: Seconds after SIGTERM within which every process must be gone.
END_LIMIT = 30


class ServingProcess:
    """A program that serves, with all its processes in a group of their own.

    Args:
        command: What is executed.
        folder: The working directory.
        environment: All of it.
        is_piped: Whether it is asked through its standard input and output.

    Attributes:
        process: The first of them, which is what an operator or a supervisor sends its signals to.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], is_piped: bool = False
    ) -> None:
        self._log = folder / "server.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if is_piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_piped else log,
                stderr=log,
                text=True,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def wait(self, is_ready: Callable[[], bool]) -> None:
        """Returns when it is ready.

        Raises:
            RuntimeError: It ended, or START_LIMIT is over.
        """
        limit = time.monotonic() + START_LIMIT
        while not is_ready():
            if time.monotonic() > limit or self.process.poll() is not None:
                raise RuntimeError(f"it does not start:\n{self.log[-3000:]}")
            time.sleep(0.05)

    def terminate(self) -> bool:
        """Sends SIGTERM to the first process; whether all of them were gone within END_LIMIT."""
        self.process.terminate()
        limit = time.monotonic() + END_LIMIT
        while self.process.poll() is None or living(self.process.pid):
            if time.monotonic() > limit:
                self.kill()
                return False
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        """Ends all processes at once with SIGKILL."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)
        limit = time.monotonic() + 10
        while living(self.process.pid):
            assert time.monotonic() < limit, "a killed process goes on"
            time.sleep(0.01)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


def living(group: int) -> list[int]:
    """The processes of a group that have not ended. Who has ended may wait long for its parent to notice."""
    if not Path("/proc/self/stat").exists():
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return []
        return [group]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and not (state in "ZX" and is_alone(entry)):
            found.append(int(entry.name))
    return found


def is_alone(entry: Path) -> bool:
    """Whether a process has no thread but its first: a killed one holds its files, and locks, until the last ends."""
    try:
        return len(list((entry / "task").iterdir())) <= 1
    except OSError:
        return True


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
        return port
