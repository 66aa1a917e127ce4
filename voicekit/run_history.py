"""The store of the runs' records: ``runs.jsonl`` in the log folder, one JSON object a line.

A run that is under way leaves a marker in ``running/``; a marker whose process is gone becomes the
record of a killed run (the out-of-memory killer gives a program no chance to write one itself).
Standard library only; this module knows nothing of the rest of the project. It stores what it is given:
that a record holds no spoken text and no name of a person is the caller's care.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voicekit.complexity import complexity

STORE = "runs.jsonl"
MARKERS = "running"
_LINE_BYTES = 4096  # more than a record has


def new_run_id() -> str:
    """A name for a run, unique enough and sortable by time, as ``20261122-141503-ab12``."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"


@complexity(size="runs", time="O(1)", space="O(1)")
def append_run(log_dir: str | os.PathLike[str], record: dict[str, Any]) -> None:
    """Add one line to the store (made with mode 0600). NaN and infinity become null.

    The line goes out in one ``write`` on an O_APPEND descriptor, so that two runs which end at the same
    moment cannot mix their lines. Raises OSError where the store cannot be written.
    """
    line = (to_json(record) + "\n").encode()
    fd = os.open(Path(log_dir, STORE), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        _lock(fd)  # a peer's line that is half written would look like a torn one
        if _last_byte(fd) not in (b"", b"\n"):  # a torn line must not take this one with it
            line = b"\n" + line
        if os.write(fd, line) < len(line):
            raise OSError(f"only a part of the record fitted into {STORE}")
    finally:
        os.close(fd)


@complexity(size="runs", time="O(n)", space="O(n)")
def read_runs(log_dir: str | os.PathLike[str], *, latest: int | None = None) -> list[dict[str, Any]]:
    """All records in the order in which the runs ended; damaged lines are skipped, no store is no record.

    Args:
        latest: only so many of the last ones; the store is then not read whole.
    """
    try:
        with open(Path(log_dir, STORE), "rb") as store:
            if latest:
                store.seek(max(0, store.seek(0, os.SEEK_END) - latest * _LINE_BYTES))
            lines = store.read().split(b"\n")
    except FileNotFoundError:
        return []
    runs: list[dict[str, Any]] = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line, parse_constant=lambda _: None)
            if isinstance(record, dict):
                runs.append(record)
    return runs[-latest:] if latest else runs


def to_json(value: object) -> str:
    """One line of valid JSON: NaN and infinity are null, what JSON does not know is its text."""
    return json.dumps(_plain(value), allow_nan=False, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, float):  # NumPy's float64 too
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):  # a lone surrogate (an undecodable file name) has no UTF-8
        return str(value).encode("utf-8", "backslashreplace").decode()
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a NumPy or torch scalar
        return _plain(value.item())
    return _plain(str(value))


def _lock(fd: int) -> None:
    """Wait for the store until the descriptor is closed; where there are no such locks, go on without."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX)


def _last_byte(fd: int) -> bytes:
    if os.fstat(fd).st_size == 0:
        return b""
    os.lseek(fd, -1, os.SEEK_END)
    return os.read(fd, 1)


# --- runs that never came to their end -----------------------------------------------------------------


class Marker:
    """A file in ``running/`` that says of a run under way how far it is; rewritten in place, without a copy.

    Args:
        record: holds at least ``run_id``; what a killed run's line will say, unless ``write`` says more.
        process_created: when this process began, seconds since 1970; a later one of the same pid differs.
    """

    def __init__(self, log_dir: str | os.PathLike[str], record: dict[str, Any], process_created: float) -> None:
        self.path = Path(log_dir, MARKERS, f"{record['run_id']}.json")
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._about = {"pid": os.getpid(), "created": process_created, "host": _host()}
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._length = 0
        self.write(record)

    def write(self, record: dict[str, Any]) -> None:
        """Leave this as the run's record, should it never come to its end. Raises OSError."""
        text = to_json({**self._about, "record": record}).encode()
        self._length = max(self._length, len(text))
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, text.ljust(self._length))  # spaces over the rest of a longer one: JSON allows them

    def remove(self) -> None:
        """The run is over and has its line."""
        os.close(self._fd)
        self.path.unlink(missing_ok=True)


def collect_killed(
    log_dir: str | os.PathLike[str],
    is_alive: Callable[[int, float], bool],
    crash_of: Callable[[str], str | None] = lambda run_id: None,
) -> list[dict[str, Any]]:
    """Turn the markers of dead processes into records with ``status: "killed"``; return these records.

    Args:
        is_alive: says of a pid and its time of creation whether that process still runs. Asked only for
            markers of this host: a shared folder may hold those of others.
        crash_of: what a run (by its id) says of its crash, if it left word; the status is ``"crashed"`` then.
    """
    killed = []
    for marker in sorted(Path(log_dir, MARKERS).glob("*.json")):
        try:
            about = json.loads(marker.read_bytes())
            record, here = dict(about["record"]), about["host"] == _host()
            if not here or is_alive(int(about["pid"]), float(about["created"])):
                continue
            marker.unlink()  # whoever removes it writes the record: two new runs may both have seen it
        except (OSError, ValueError, KeyError, TypeError):
            continue
        crash = crash_of(str(record.get("run_id")))
        status = {"status": "crashed", "crash": crash} if crash else {"status": "killed"}
        append_run(log_dir, {**record, **status, "exit_code": None})
        killed.append({**record, **status})
    return killed


def _host() -> str:
    import socket  # 3 ms that most imports of this module do not need

    return socket.gethostname()
