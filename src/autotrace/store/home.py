"""The folder that autotrace keeps its files in, readable by its owner alone."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
#: The home's name where the settings give none.
DEFAULT_NAME = ".autotrace"
_OUR_FILES = ("journal", "traces.db*", "insights.*", ".gitignore")


def make_home(home: Path) -> bool:
    """Makes the folder, its owner's alone, with a `.gitignore` that keeps what we write out of commits.

    A folder that is there already and holds other people's files keeps its mode, and of its files only ours are
    ignored: a project that names its own folder must not lose its sources from its commits.

    Returns:
        Whether others than the owner may list or enter it.

    Raises:
        OSError: The folder can neither be found nor made.
    """
    made = _make(home)
    ours = made or home.name == DEFAULT_NAME or _holds_only_ours(home)
    if ours and not made:
        _close_to_others(home)
    _ignore(home / ".gitignore", "*\n" if ours else "".join(f"/{name}\n" for name in _OUR_FILES))
    return bool(home.stat().st_mode & OTHERS)


def make_folder(folder: Path) -> None:
    """Makes a folder that is ours with mode 0700 whatever the umask, also when it is there already.

    Raises:
        OSError: The folder can neither be found nor made.
    """
    if not _make(folder):
        _close_to_others(folder)


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


def _make(folder: Path) -> bool:
    """Makes a folder with mode 0700 whatever the umask; answers whether it was missing."""
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


def _holds_only_ours(home: Path) -> bool:
    try:
        return all(any(fnmatchcase(path.name, pattern) for pattern in _OUR_FILES) for path in home.iterdir())
    except OSError:  # one that may be entered but not listed
        return False


def _close_to_others(folder: Path) -> None:
    """Takes the folder from everybody but its owner, if that is us; one with a sticky bit is meant for many."""
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & OTHERS and not found.st_mode & stat.S_ISVTX:
        with suppress(OSError):  # a file system without modes
            folder.chmod(FOLDER_MODE)


def _ignore(path: Path, content: str) -> None:
    """Writes a `.gitignore` where there is none; spans are kept even where it cannot be written."""
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(file, FILE_MODE)
            os.write(file, content.encode())
        except OSError:
            path.unlink()  # an empty one would never be filled
        finally:
            os.close(file)
