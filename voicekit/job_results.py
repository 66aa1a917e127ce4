"""The results of jobs -> a JSONL file beside the job file, a line as each job ends; what stands there is on the disk.

A program that was stopped in the middle of a line leaves a torn one: it is skipped by who reads, and cut off by who
goes on. This module does not know what a result holds; that it holds no spoken text is the caller's care.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from voicekit.errors import OutputError
from voicekit.run_history import to_json

_ENDING = ".results.jsonl"
_FILE_MODE = 0o666  # less the umask: results belong to the outputs, not to a log


def results_path(job_file: str | os.PathLike[str]) -> Path:
    """Where the results of a job file go: `jobs.jsonl` -> `jobs.results.jsonl`, in the same folder."""
    return Path(job_file).with_suffix(_ENDING)


class JobResults:
    """The open file of results; use it in a `with` statement.

    Args:
        job_file: the job file, beside which the results go.
        path: where they go instead.
        resume: go on with the file that is there; otherwise it starts anew.

    Attributes:
        path: the file.

    Raises:
        OutputError: at `with`, and at `append`: the file cannot be written.
    """

    def __init__(
        self, job_file: str | os.PathLike[str], path: str | os.PathLike[str] | None = None, *, resume: bool = False
    ) -> None:
        self.path = results_path(job_file) if path is None else Path(path)
        self._job_file = Path(job_file)
        self._resume = resume
        self._descriptor = -1

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        try:
            if self.path.exists() and self._job_file.exists() and self.path.samefile(self._job_file):
                raise OutputError(f"The results {str(self.path)!r} are the job file itself.", "Choose another name.")
            self._descriptor = os.open(self.path, flags, _FILE_MODE)
            self._lock()
            os.ftruncate(self._descriptor, _whole_bytes(self.path.read_bytes()) if self._resume else 0)
        except OSError as error:
            self._close()
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, record: dict[str, Any]) -> None:
        """Adds one line, by a single write, and waits until the disk has it. NaN and infinity become null."""
        line = (to_json(record) + "\n").encode("utf-8", "replace")
        try:
            if os.write(self._descriptor, line) < len(line):
                raise OSError("the disk is full")
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._unwritable(error) from error

    def _lock(self) -> None:
        """Until it is closed; two runs that write into one file would take each other's lines for their own."""
        try:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise OutputError(f"Another run is writing the results {str(self.path)!r}.",
                              "Wait until it is over; then this command goes on where that one stops.") from None
        except (ImportError, OSError):  # where there are no such locks, nobody can tell
            return

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"The results {str(self.path)!r} cannot be written: {error.strerror or error}.",
                           "Check the folder and the disk.")


def read_results(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The results in their order; a torn or damaged line is skipped, and where there is no file there are none."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    records: list[dict[str, Any]] = []
    for line in data[: _whole_bytes(data)].split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                records.append(record)
    return records


def _whole_bytes(data: bytes) -> int:
    """How many bytes of it are whole lines."""
    return data.rfind(b"\n") + 1
