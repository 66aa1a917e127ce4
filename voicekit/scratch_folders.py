"""Folders for what is not finished: hidden, private, gone at the end; a killed process's by the next one that comes.

Each holds a file that its process keeps locked. The lock ends with the process, however that ends, so that a folder
which nobody holds is litter. One of another machine (a shared disk need not tell of its locks), or where there are no
such locks at all, is litter when nothing in it was touched for a day. Only folders of this exact kind of name, of the
same user, are ever removed. Knows nothing of what is in them. Standard library only.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import shutil
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

STALE_S = 86_400.0
_NAME = re.compile(r"\.voice-cloning-([0-9a-f]{8})-[0-9a-f]{8}\.part")
_LOCK = "lock"
_TRIES = 100  # a peer that tidies up between two steps of ours costs one try


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives the path of a new folder in `parent`, mode 0700, with nothing in it but its lock.

    The first one that a process makes in a folder removes what killed processes left there. Raises OSError.
    """
    _remove_left_once(os.path.abspath(parent))
    folder, lock = _new(Path(parent))
    try:
        yield folder
    finally:  # an interrupt included
        os.close(lock)  # first: Windows removes no file that is open
        _remove(folder)


def remove_left(parent: str | os.PathLike[str]) -> None:
    """Remove the folders that killed processes left in `parent`; what cannot be removed stays. O(names in it)."""
    found: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        found += (entry for entry in entries if _NAME.fullmatch(entry.name))
    for entry in found:
        with contextlib.suppress(OSError):
            _remove_litter(entry)


@functools.cache
def _remove_left_once(parent: str) -> None:
    """Who writes a thousand files into one folder need not look a thousand times."""
    remove_left(parent)


def _new(parent: Path) -> tuple[Path, int]:
    """A folder and the descriptor of its lock, which is held where locks are known."""
    for _ in range(_TRIES):
        folder = parent / f".voice-cloning-{_machine()}-{secrets.token_hex(4)}.part"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            lock = _locked(folder)
            if lock is not None:
                return folder, lock
    raise OSError(f"no folder for unfinished files can be made in {parent}")


def _locked(folder: Path) -> int | None:
    """The descriptor of the new folder's lock; None if somebody took it for litter before it was locked."""
    place = folder / _LOCK
    try:
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileNotFoundError:
        return None
    except OSError:  # a full disk
        folder.rmdir()
        raise
    with contextlib.suppress(FileNotFoundError):
        if _hold(lock) is not False and os.path.samestat(os.stat(place), os.fstat(lock)):
            return lock
    os.close(lock)
    return None


def _hold(lock: int) -> bool | None:
    """Whether the lock is ours now; None where the file system, or the system, knows none."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_litter(entry: os.DirEntry[str]) -> None:
    """Remove a folder that nobody holds; raises OSError where it is not ours."""
    name, found = _NAME.fullmatch(entry.name), entry.stat(follow_symlinks=False)
    is_own = sys.platform == "win32" or found.st_uid == os.geteuid()
    if name is None or not is_own or not stat.S_ISDIR(found.st_mode):
        return
    folder = Path(entry.path)
    if sys.platform == "win32":
        if _age_s(folder) > STALE_S:
            _remove(folder)
        return
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        folder.rmdir()  # its maker was killed before, or comes to the lock now, and then makes another folder
        return
    try:
        held = _hold(lock)
        if held is False:
            return
        if (held and name[1] == _machine()) or _age_s(folder) > STALE_S:
            _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """The lock goes last, so that a removal which is cut short can be finished by another process."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()


def _age_s(folder: Path) -> float:
    """Seconds since something in it was written."""
    return time.time() - max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))


def _machine() -> str:
    """The same for all processes of this machine, another on another one: 8 hexadecimal digits."""
    name = os.environ.get("COMPUTERNAME", "") if sys.platform == "win32" else os.uname().nodename
    return f"{zlib.crc32(name.encode()):08x}"
