"""A segment that this process writes to."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from autotrace.store.home import FILE_MODE

from .segments import SegmentName, identity


class SegmentFile:
    """An open, locked segment. Its file closes, and the lock goes, when nobody holds this object any more.

    That is what lets threads write without a lock: the one that is just writing holds the object, so that its
    file descriptor cannot be closed, and given to somebody else's file, under its hands.

    Args:
        folder: The journal's folder.
        name: The segment's name.
        lines: What it begins with.

    Raises:
        OSError: It cannot be made; nothing is left behind.
    """

    def __init__(self, folder: Path, name: SegmentName, lines: Sequence[bytes]) -> None:
        self.file = -1
        #: Whether the last line lacks its newline.
        self.torn = False
        #: Bytes of lines that were written in part.
        self.wasted = 0
        path = folder / name.file
        # It gets its name when it is locked and has a header: nobody ever sees it without.
        unnamed = path.with_suffix(".new")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.file = os.open(unnamed, flags, FILE_MODE)
        self._identity = identity(self.file)
        try:
            os.fchmod(self.file, FILE_MODE)
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.size = 0
            for line in lines:
                while not self.write(line):
                    pass
            unnamed.rename(path)
        except BaseException:
            self.close()
            unnamed.unlink(missing_ok=True)
            raise
        self._begun = self.size
        #: Offset up to which all destinations have it, or it has been read back.
        self.taken = self.size
        #: Its length when its delivery began.
        self.offered = self.size

    @property
    def is_fresh(self) -> bool:
        """Whether no whole line has been appended to it yet.

        A part of one is no reason to hope for more from the next file: where no file may grow to the length of a
        line, that hope would never end.
        """
        return self.size - self.wasted <= self._begun

    def write(self, line: bytes) -> bool:
        """Appends a line; False when a part of it was written: then it has to be written again.

        Raises:
            OSError: Nothing was written.
        """
        data = b"\n" + line if self.torn else line
        written = os.write(self.file, data)
        self.size += written
        if written:
            self.torn = written != len(data)
        if written != len(data):
            self.wasted += written
        return written == len(data)

    def is_lost(self) -> bool:
        """Whether the descriptor is no longer this file's: the program has closed it, and may have used its number."""
        return self.file < 0 or identity(self.file) != self._identity

    def abandon(self) -> None:
        """Forgets a lost descriptor without closing it."""
        self.file = -1

    def is_deleted(self) -> bool:
        """Whether the file has lost its name."""
        return not self.is_lost() and os.fstat(self.file).st_nlink == 0

    def length(self) -> int:
        """Bytes in the file now, or 0 where the descriptor is lost."""
        return 0 if self.is_lost() else os.fstat(self.file).st_size

    def take(self) -> list[bytes]:
        """Reads back the whole lines after `taken`, for a file without a name can be read by nobody else.

        Raises:
            OSError: They cannot be read.
        """
        if self.is_lost():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        data = os.pread(self.file, max(0, self.length() - self.taken), self.taken)
        whole = data[: data.rfind(b"\n") + 1]
        self.taken += len(whole)
        return [line + b"\n" for line in whole.split(b"\n")[:-1]]

    def close(self) -> None:
        """Closes the file now; for a forked child, and for a segment that could not be made."""
        lost = self.is_lost()
        file, self.file = self.file, -1
        if not lost:
            os.close(file)

    def __del__(self) -> None:
        self.close()
