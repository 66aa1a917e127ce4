"""The record of a run and its store: ``runs.jsonl`` in the log folder, one JSON object a line.

A run that is under way leaves a marker in ``running/``; a marker whose process is gone becomes the
record of a killed run (the out-of-memory killer gives a program no chance to write one itself).
Standard library only; this module knows nothing of the rest of the project. It stores what it is given:
that a record holds no spoken text and no name of a person is the caller's care.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

STORE = "runs.jsonl"
MARKERS = "running"
_UNIT_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def new_run_id() -> str:
    """A name for a run, unique enough and sortable by time, as ``20261122-141503-ab12``."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"


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


def read_runs(log_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """All records in the order in which the runs ended; damaged lines are skipped, no store is no record."""
    runs: list[dict[str, Any]] = []
    try:
        lines = Path(log_dir, STORE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return runs
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line, parse_constant=lambda _: None)
            if isinstance(record, dict):
                runs.append(record)
    return runs


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


def mark_running(log_dir: str | os.PathLike[str], record: dict[str, Any], process_created: float) -> Path:
    """Leave a marker for a run under way.

    Args:
        record: holds at least ``run_id``; what a killed run's line will say.
        process_created: when this process began, seconds since 1970; a later one of the same pid differs.
    """
    marker = Path(log_dir, MARKERS, f"{record['run_id']}.json")
    marker.parent.mkdir(mode=0o700, exist_ok=True)
    about = {"pid": os.getpid(), "created": process_created, "host": _host(), "record": record}
    fd = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, to_json(about).encode())
    finally:
        os.close(fd)
    return marker


def collect_killed(log_dir: str | os.PathLike[str], is_alive: Callable[[int, float], bool]) -> list[str]:
    """Turn the markers of dead processes into records with ``status: "killed"``; return their run ids.

    Args:
        is_alive: says of a pid and its time of creation whether that process still runs. Asked only for
            markers of this host: a shared folder may hold those of others.
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
        append_run(log_dir, {**record, "status": "killed", "exit_code": None})
        killed.append(str(record.get("run_id")))
    return killed


def _host() -> str:
    import socket  # 3 ms that most imports of this module do not need

    return socket.gethostname()


# --- statistics ----------------------------------------------------------------------------------------


def seconds_in(period: str) -> float:
    """``"90m"``, ``"12h"``, ``"7d"`` or ``"2w"`` in seconds. Raises ValueError for anything else."""
    found = re.fullmatch(r"(\d+)([mhdw])", period.strip().lower())
    if not found:
        raise ValueError(f"{period!r} is no period: write a number and m, h, d or w, such as 7d")
    return float(found[1]) * _UNIT_S[found[2]]


def since(runs: Iterable[dict[str, Any]], earliest: float) -> list[dict[str, Any]]:
    """The runs that started at or after ``earliest`` (seconds since 1970); without a readable start: none."""
    kept = []
    for run in runs:
        with contextlib.suppress(ValueError, TypeError, OSError, OverflowError):
            if dt.datetime.fromisoformat(run.get("started", "")).timestamp() >= earliest:
                kept.append(run)
    return kept


def summarise(runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Counts, median seconds and errors: ``{runs, scripts: {name: {...}}, errors: {type: count}}``.

    Medians are over runs that ended well: one that stopped at a missing file says nothing about speed.
    """
    runs = list(runs)
    names = sorted({str(run.get("script")) for run in runs})
    errors = Counter(kind for run in runs if (kind := _error_type(run)))
    scripts = {name: _of_script([run for run in runs if str(run.get("script")) == name]) for name in names}
    return {"runs": len(runs), "scripts": scripts, "errors": dict(errors.most_common())}


def as_table(report: dict[str, Any]) -> str:
    """What ``summarise`` found, for people."""
    if not report["runs"]:
        return "No runs on record."
    lines = [f"{'script':<24}{'runs':>6}{'failed':>8}{'median':>10}  slowest stage"]
    for script, row in report["scripts"].items():
        total, stage = row["median_total_s"], row["slowest_stage"]
        median = "-" if total is None else f"{total:.2f} s"
        slowest = f"{stage} {row['slowest_stage_median_s']:.2f} s" if stage else "-"
        lines.append(f"{script:<24}{row['runs']:>6}{row['failures']:>8}{median:>10}  {slowest}")
    errors = ", ".join(f"{kind} {count}" for kind, count in report["errors"].items())
    return "\n".join([*lines, f"errors: {errors or 'none'}"])


def _of_script(runs: list[dict[str, Any]]) -> dict[str, Any]:
    import statistics  # 4 ms, for the report alone

    good = [run for run in runs if run.get("status") == "ok"]
    stages: dict[str, list[float]] = {}
    for run in good:
        timings = run.get("timings_s")
        for stage, seconds in timings.items() if isinstance(timings, dict) else ():
            if isinstance(seconds, (int, float)):
                stages.setdefault(stage, []).append(float(seconds))
    totals = stages.pop("total", [])
    medians = {stage: statistics.median(seconds) for stage, seconds in stages.items()}
    slowest = max(medians, key=lambda stage: medians[stage], default=None)
    return {
        "runs": len(runs),
        "failures": len(runs) - len(good),
        "median_total_s": statistics.median(totals) if totals else None,
        "slowest_stage": slowest,
        "slowest_stage_median_s": medians[slowest] if slowest else None,
    }


def _error_type(run: dict[str, Any]) -> str | None:
    if run.get("status") == "killed":
        return "killed"
    error = run.get("error")
    return str(error.get("type")) if isinstance(error, dict) else None
