"""The folder that autotrace keeps its files in, readable by its owner alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_home(home: Path) -> None:
    """Makes the folder with mode 0700 and a `.gitignore` that keeps its content out of commits.

    A folder that is there already keeps its mode: it is the user's.

    Raises:
        OSError: The folder can neither be found nor made.
    """
    if make_folder(home):
        ignore = os.open(home / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(ignore, FILE_MODE)
            os.write(ignore, b"*\n")
        finally:
            os.close(ignore)


def make_folder(folder: Path) -> bool:
    """Makes a folder with mode 0700 whatever the umask; answers whether it was missing.

    Raises:
        OSError: The folder can neither be found nor made.
    """
    if folder.is_dir():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if folder.is_dir():  # another process was faster
            return False
        raise
    folder.chmod(FOLDER_MODE)
    return True


def make_private(path: Path) -> None:
    """Makes an empty file with mode 0600 whatever the umask, unless it is there already."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        return
    try:
        os.fchmod(file, FILE_MODE)
    finally:
        os.close(file)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lets one process at a time make, migrate or replace what lies in the folder.

    Where the file system has no locks the work goes on without one.
    """
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
    finally:
        os.close(file)
