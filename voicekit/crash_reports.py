"""What a run leaves of itself when it ends in a way that no ``except`` sees.

Python's own last resorts (an exception in a thread, one in ``__del__``, one that nobody caught) are told to whoever
asked; a crash in native code is written by ``faulthandler`` into ``running/ID.crash`` in the log folder, with the
stacks of all threads, and becomes ``crashes/ID.txt``. Stacks hold names of files and functions, no values, so no
spoken text. Where there is a SIGUSR1, it writes the stacks of a run that goes on: ``kill -USR1 PID`` says where
one hangs. Standard library only; this module knows nothing of runs but their ids.

Not seen: a death by SIGKILL, which the marker of the run tells of, and an interpreter that stops itself
("Fatal Python error" on stderr), since it switches faulthandler off first.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, MethodType, TracebackType
from typing import ClassVar, Self

from voicekit.log_lines import escape, shorten_home

UNDER_WAY = "running"
CRASHES = "crashes"
_CAUSE = re.compile(r"^(?:Fatal Python error|Windows fatal exception): (.+)$", re.MULTILINE)
_STDERR = 2

OnError = Callable[[str, BaseException], None]


class CrashReports:
    """While it is entered, what nobody caught is told, and a crash is written down. Nothing here stops a run.

    Args:
        folder: of the log; None, or one that cannot be written: exceptions are told, crashes are not kept.
        run_id: the name of the run and of its file.
        on_error: is given where an exception was lost ("thread loader", "Model.__del__") and the exception, once
            for each; then Python's own message follows. KeyboardInterrupt and SystemExit are somebody's wish.

    On leaving everything is as it was; faulthandler writes to stderr again if it was on.
    """

    def __init__(self, folder: Path | None, run_id: str, on_error: OnError) -> None:
        self._folder, self._run_id, self._on_error = folder, run_id, on_error
        self._is_active = False
        self._dump: _Dump | None = None

    def __enter__(self) -> Self:
        self._is_active = True
        self._previous = sys.excepthook, threading.excepthook, sys.unraisablehook
        self._ours = self._uncaught, self._in_thread, self._unraisable  # bound once, to be known again
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._ours
        if self._folder:
            with contextlib.suppress(OSError):
                self._dump = _Dump(self._folder, self._run_id)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_active = False  # a hook that somebody else put around ours goes on calling it
        if sys.excepthook is self._ours[0]:
            sys.excepthook = self._previous[0]
        if threading.excepthook is self._ours[1]:
            threading.excepthook = self._previous[1]
        if sys.unraisablehook is self._ours[2]:
            sys.unraisablehook = self._previous[2]
        if self._dump:
            with contextlib.suppress(OSError):
                self._dump.close()
            self._dump = None

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._tell("the main thread", error)
        self._previous[0](kind, error, trace)

    def _in_thread(self, lost: threading.ExceptHookArgs) -> None:
        thread = lost.thread.name if lost.thread else "without a name"
        self._tell(f"thread {thread}", lost.exc_value)
        self._previous[1](lost)

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        self._tell(_name_of(lost.object), lost.exc_value)
        self._previous[2](lost)

    def _tell(self, where: str, error: BaseException | None) -> None:
        if not self._is_active or error is None or getattr(error, "_is_told", False):
            return
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            return
        # A mark on the exception: keeping the exception itself would keep the arrays of its frames.
        with contextlib.suppress(AttributeError):
            error._is_told = True  # type: ignore[attr-defined]
        with contextlib.suppress(Exception):
            self._on_error(where, error)


def _name_of(lost_in: object) -> str:
    """Of a function or a class; never what an object says of itself, which may be anything."""
    kind = type(lost_in)
    name = lost_in.__qualname__ if isinstance(lost_in, (FunctionType, MethodType, type)) else kind.__qualname__
    return str(name)


def collect(folder: Path, run_id: str) -> str | None:
    """Keep the crash file of a run that died; say of what ("Segmentation fault"), None where it does not tell."""
    try:
        return _keep(folder, run_id)
    except OSError:
        return None


def retire(folder: Path, keep: int = 20) -> None:
    """Remove all crash files but the newest ones."""
    with contextlib.suppress(OSError):
        files = [(path.stat().st_mtime, path) for path in (folder / CRASHES).glob("*.txt")]
        for _, path in sorted(files, reverse=True)[keep:]:
            path.unlink(missing_ok=True)


# --- the file of a run ---------------------------------------------------------------------------------------


class _Dump:
    """The open file into which faulthandler writes; runs inside one another have one each, the innermost's is used.

    faulthandler keeps the bare descriptor, so that the file must stay open until something else is in its place.
    """

    _open: ClassVar[list[_Dump]] = []  # of the process, as faulthandler's own state is
    _was_enabled: ClassVar[bool] = False

    def __init__(self, folder: Path, run_id: str) -> None:
        self._folder, self._run_id = folder, run_id
        path = _under_way(folder, run_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if not _Dump._open:
            _Dump._was_enabled = faulthandler.is_enabled()
        _Dump._open.append(self)
        self._use()

    def _use(self) -> None:
        faulthandler.enable(file=self._fd, all_threads=True)
        if sys.platform != "win32":
            # The default action would end the process: only a handler that somebody set is called as well.
            chain = callable(signal.getsignal(signal.SIGUSR1))
            faulthandler.unregister(signal.SIGUSR1)
            faulthandler.register(signal.SIGUSR1, file=self._fd, all_threads=True, chain=chain)

    def close(self) -> None:
        _Dump._open.remove(self)
        if _Dump._open:
            _Dump._open[-1]._use()
        else:
            _release()
        os.close(self._fd)
        _keep(self._folder, self._run_id)


def _release() -> None:
    if sys.platform != "win32":
        faulthandler.unregister(signal.SIGUSR1)
    if _Dump._was_enabled:
        faulthandler.enable(file=_STDERR, all_threads=True)
    else:
        faulthandler.disable()


def _under_way(folder: Path, run_id: str) -> Path:
    return folder / UNDER_WAY / f"{run_id}.crash"


def _keep(folder: Path, run_id: str) -> str | None:
    """Move what a run's file holds to ``crashes``, an empty file nowhere; return the cause that it names."""
    source = _under_way(folder, run_id)
    text = source.read_bytes().decode("utf-8", "backslashreplace")
    if text:
        crashes = folder / CRASHES
        crashes.mkdir(mode=0o700, exist_ok=True)
        target = crashes / f"{run_id}.txt"
        lines = [escape(line) for line in shorten_home(text).rstrip("\n").split("\n")]
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write("\n".join([*lines, ""]))
        state = source.stat()
        os.utime(target, (state.st_atime, state.st_mtime))  # when it crashed
    source.unlink()
    causes = _CAUSE.findall(text)
    return escape(causes[-1].strip()) if causes else None
