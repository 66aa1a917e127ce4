"""How lines get into a file that rotates by day and by size, and that several processes write to.

The handlers of the standard library lose records when two processes rotate one file: each believes that it
alone holds it. Here a record is one ``write`` on an O_APPEND descriptor, without a lock; a lock is held only
to rename the file, and everybody else notices by the inode that the name now belongs to a new file. A record
that slips in between lands at the end of the renamed one: late, never lost. What ``emit`` has returned for
outlives the process however it ends; nothing is flushed to the disk for a machine that loses its power. Not for
network file systems, where an append is not atomic. Standard library only.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from voicekit.log_lines import EventFormatter, shorten_home

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DAY_S = 86400.0
_LOCK_WAIT_S = 0.05  # a peer renames in far less; one that was stopped meanwhile must not stop us
_WRITE_S = 0.02  # a record takes some microseconds, unless its process has to wait in the middle of it
_WINDOWS = sys.platform == "win32"


class _Rotated(NamedTuple):
    day: str
    number: int
    path: Path


class DatedFileHandler(logging.Handler):
    """Appends to ``STEM.log``; a full one, or yesterday's, becomes ``STEM_2026-01-15.log``, then ``.2.log``.

    Args:
        folder: made if missing (mode 0700); OSError is raised at once where it cannot be written.
        max_bytes: size at which the file is rotated.
        keep_days: rotated files older than this are removed, but none whose last write is under a day old,
            since a peer that has not noticed the rotation may still append to it.
        keep_files: at most as many rotated files, with the same exception.
        clock: seconds since 1970.

    The day in a name is that of the file's last write. That records cannot be written is said once on stderr,
    their number at the end; it is never an exception in the program.

    Attributes:
        records: how many were written; warnings: how many of these were warnings.
        dropped: how many could not be.
        seconds: what formatting and writing took, of both.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        stem: str = "voice_cloning",
        *,
        max_bytes: int = 10 * 2**20,
        keep_days: int = 30,
        keep_files: int = 60,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.folder, self.path = Path(folder), Path(folder, f"{stem}.log")
        self.records = self.warnings = self.dropped = 0
        self.seconds = 0.0
        self._told = 0  # of the dropped records, at the close
        self._max_bytes, self._keep_days, self._keep_files = max_bytes, keep_days, keep_files
        self._clock = clock
        self._stem, self._lock_path = stem, Path(folder, f".{stem}.lock")
        self._names = re.compile(re.escape(stem) + r"_(\d{4}-\d\d-\d\d)(?:\.([1-9]\d*))?\.log")
        self._fd, self._inode, self._torn = -1, (0, 0), False
        self.setFormatter(EventFormatter())
        self._follow()
        self._torn = _ends_torn(self._fd)
        if _WINDOWS:  # an open file cannot be renamed there
            self._release()

    def emit(self, record: logging.LogRecord) -> None:
        begin = time.perf_counter()
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            if _WINDOWS:
                self._append_locked(line)
            else:
                self._append(line)
            self.records += 1
            self.warnings += record.levelno == logging.WARNING
        except Exception:  # noqa: BLE001 - the log never stops the program
            self.handleError(record)
        finally:
            self.seconds += time.perf_counter() - begin

    def handleError(self, record: logging.LogRecord) -> None:
        self.dropped += 1
        if self.dropped == 1:
            error = sys.exc_info()[1]
            reason = getattr(error, "strerror", None) or error
            _tell(f"Cannot write the log {shorten_home(str(self.path))}: {reason}. The program goes on.")

    def close(self) -> None:
        if self.dropped > self._told:
            _tell(f"{self.dropped} log records could not be written to {shorten_home(str(self.path))}.")
            self._told = self.dropped
        self._release()
        super().close()

    def _append(self, line: bytes) -> None:
        if self._is_due(self._follow(), len(line)):
            # A rotation that fails, or that a peer is busy with, must not cost the record.
            with contextlib.suppress(OSError), self._locked(_LOCK_WAIT_S) as locked:
                if locked:
                    self._rotate(len(line))
        self._write(line)

    def _append_locked(self, line: bytes) -> None:
        """On Windows an append is a seek and a write: the lock covers both, and nothing stays open."""
        with self._locked(2.0):
            if self._is_due(self._follow(), len(line)):
                with contextlib.suppress(OSError):
                    self._rotate(len(line))
            self._write(line)
            self._release()

    def _write(self, line: bytes) -> None:
        data = b"\n" + line if self._torn else line
        written = os.write(self._fd, data)
        self._torn = written < len(data)  # the next record must not continue this line
        if self._torn:  # the disk is full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if os.utime in os.supports_fd:  # the day of the last write by our clock, not by a file server's
            now = self._clock()
            with contextlib.suppress(OSError):
                os.utime(self._fd, (now, now))

    def _follow(self) -> os.stat_result:
        """Have that file open which bears the name now, whoever made it; return its state."""
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                state = os.stat(self.path)
                if (state.st_dev, state.st_ino) == self._inode:
                    return state
            self._release()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        state = os.fstat(self._fd)
        if (state.st_dev, state.st_ino) != self._inode:
            self._inode, self._torn = (state.st_dev, state.st_ino), False
        return state

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_due(self, state: os.stat_result, length: int) -> bool:
        if state.st_size == 0:
            return False
        too_large = state.st_size + length > self._max_bytes
        return too_large or _day(state.st_mtime) < _day(self._clock())

    def _rotate(self, length: int) -> None:
        """Rename the file, if that is still due now that we hold the lock."""
        state = self._follow()
        if not self._is_due(state, length):
            return
        target = self._free_name(_day(state.st_mtime))
        self._release()
        try:
            os.rename(self.path, target)
        finally:
            self._follow()
        self._retire()

    def _free_name(self, day: str) -> Path:
        """Never the name of a file that exists; numbers only grow, so that their order is that of writing."""
        taken = [old.number for old in self._rotated() if old.day == day]
        number = max(taken, default=0) + 1
        suffix = ".log" if number == 1 else f".{number}.log"
        return self.folder / f"{self._stem}_{day}{suffix}"

    def _rotated(self) -> list[_Rotated]:
        """Our rotated files, the newest first."""
        found = []
        for path in self.folder.iterdir():
            if name := self._names.fullmatch(path.name):
                found.append(_Rotated(name[1], int(name[2] or 1), path))
        return sorted(found, reverse=True)

    def _retire(self) -> None:
        now = self._clock()
        oldest = _day(now - self._keep_days * DAY_S)
        for rank, old in enumerate(self._rotated()):
            if rank < self._keep_files and old.day >= oldest:
                continue
            with contextlib.suppress(OSError):
                if now - os.lstat(old.path).st_mtime > DAY_S:
                    os.unlink(old.path)

    @contextlib.contextmanager
    def _locked(self, wait_s: float) -> Iterator[bool]:
        """Try for so long to be the only one who rotates; closing the lock file gives the lock back."""
        fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + wait_s
            while not (locked := _try_lock(fd)) and time.monotonic() < deadline:
                time.sleep(0.001)
            yield locked
        finally:
            os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _ends_torn(fd: int) -> bool:
    """Whether the last line is cut: its writer was killed, or the disk was full."""
    size = os.fstat(fd).st_size
    if size == 0 or _last_byte(fd, size) == b"\n":
        return False
    time.sleep(_WRITE_S)  # or a peer is writing it at this moment: a page of a file can be seen before the next
    return os.fstat(fd).st_size == size


def _last_byte(fd: int, size: int) -> bytes:
    os.lseek(fd, size - 1, os.SEEK_SET)  # where appends go does not depend on it
    return os.read(fd, 1)


def _day(seconds: float) -> str:
    return dt.date.fromtimestamp(seconds).isoformat()


def _tell(sentence: str) -> None:
    """Past logging, which is what failed; a closed stderr leaves nobody to tell."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(sentence + "\n")
