"""Which trace a request led to, by the request's id: shared by all processes of one home.

A line a request, appended to a file beside the journal: `<digest of the request id> <trace id>`. The digest, for a
request id is anybody's text, of any length, and nobody else's business; and lines of one length. The files are many
and small, chosen by the digest, so that looking for what is not there costs little, however often it is asked for.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from ..recording.guard import guard

#: In the journal's folder.
FOLDER = "requests"
#: How many files there are, each with one that was put aside before it; bytes of one. So 16 MiB at most, and the last
#: 130,000 requests or so at least.
_FILES, FILE_BYTES = 64, 128 * 1024
_OLD = ".old"
#: Requests that are remembered where the disk takes none.
REMEMBERED = 10_000
#: Characters of a request's id that count.
_CHARACTERS = 250
_TRACE = re.compile("[0-9a-f]{32}")
_LINE_END = re.compile(rb"([0-9a-f]{32})\n")


class RequestIds:
    """The traces of requests, the last ones. Holds no file and no lock, so that a fork finds nothing in use.

    Args:
        journal: The journal's folder. As long as there is none, memory serves.
        limit: Bytes of a file; when it has them it is put aside, and the one that was aside before goes.
    """

    def __init__(self, journal: Path, limit: int = FILE_BYTES) -> None:
        self._folder = str(journal / FOLDER)
        self._limit = limit
        #: What the disk has not taken.
        self._memory: OrderedDict[str, str] = OrderedDict()

    def note(self, request_id: str, trace_id: str) -> None:
        """Notes that a request led to a trace: the last one counts. Never raises.

        Args:
            request_id: Any text; its first 250 characters count.
            trace_id: 32 hexadecimal digits; anything else is left out.
        """
        with guard("request ids"):
            if not request_id or not _TRACE.fullmatch(trace_id):
                return
            key = _key(request_id)
            try:
                self._append(self._path(key), f"{key} {trace_id}\n".encode())
                self._memory.pop(key, None)
            except OSError:
                self._remember(key, trace_id)

    def find(self, request_id: str) -> str | None:
        """The trace that a request led to last; None where that is not known, or known no longer. Never raises."""
        with guard("request ids"):
            key = _key(request_id)
            known = self._memory.get(key)
            return known or self._last_in(self._path(key), key) or self._last_in(self._path(key) + _OLD, key)
        return None

    def _path(self, key: str) -> str:
        return f"{self._folder}/{int(key[:8], 16) % _FILES:02x}"

    def _append(self, path: str, line: bytes) -> None:
        """Appends a line.

        Raises:
            OSError: The disk does not take it.
        """
        try:
            is_written = _append_unless_full(path, line, self._limit)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)  # noqa: PTH102 - a text
            is_written = False
        while not is_written:
            is_written = _append_unless_full(path, line, self._limit)

    def _remember(self, key: str, trace_id: str) -> None:
        self._memory.pop(key, None)
        self._memory[key] = trace_id
        while len(self._memory) > REMEMBERED:
            with suppress(KeyError):  # another thread was faster
                self._memory.popitem(last=False)

    def _last_in(self, path: str, key: str) -> str | None:
        """The trace of the last whole line that begins so."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            content = os.read(file, 2 * self._limit)
        except OSError:
            return None
        finally:
            os.close(file)
        start = f"{key} ".encode()
        at = content.rfind(start)
        while at >= 0:
            end = _LINE_END.match(content, at + len(start))
            if end is not None:
                return end[1].decode()
            at = content.rfind(start, 0, at)  # a line that was torn
        return None


def _key(request_id: str) -> str:
    text = request_id[:_CHARACTERS].encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _append_unless_full(path: str, line: bytes, limit: int) -> bool:
    """Appends a line to a file, which is made where it is missing; False where it was full and is aside now."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(file).st_size
        if size >= limit and _put_aside(file, path):
            return False
        if not size:
            with suppress(OSError):  # a file system without modes
                os.fchmod(file, 0o600)  # whatever the umask
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return True
    finally:
        os.close(file)


def _put_aside(file: int, path: str) -> bool:
    """Takes its name from a full file; False while another process does so.

    Whoever has opened it by then appends to the file that is aside, where it is found too.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: two processes at once may lose what was aside
        pass
    with suppress(FileNotFoundError):
        if os.path.samestat(os.stat(path), os.fstat(file)):  # noqa: PTH116 - a text
            os.replace(path, path + _OLD)  # noqa: PTH105
    return True
