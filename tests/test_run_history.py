"""The record of a run: what is written is valid, whole and private; what is damaged costs only itself."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from voicekit import run_history

ROOT = Path(run_history.__file__).resolve().parents[1]


def lines(folder: Path) -> list[str]:
    return (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()


def strict(line: str) -> dict[str, object]:
    """json.loads that refuses NaN and Infinity, as other languages do."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    result = json.loads(line, parse_constant=refuse)
    assert isinstance(result, dict)
    return result


def test_run_ids_sort_by_time_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", run_history.new_run_id())
    stamps = iter(["20261122-141503", "20261122-141504"])
    monkeypatch.setattr(time, "strftime", lambda _: next(stamps))
    assert run_history.new_run_id() < run_history.new_run_id()


def test_a_record_is_one_private_line(tmp_path: Path) -> None:
    run_history.append_run(tmp_path, {"run_id": "a", "note": "two\nlines \u2028 and é"})
    run_history.append_run(tmp_path, {"run_id": "b"})
    assert len((tmp_path / "runs.jsonl").read_bytes().split(b"\n")) == 3  # two lines, each ended
    assert [run["run_id"] for run in run_history.read_runs(tmp_path)] == ["a", "b"]
    assert run_history.read_runs(tmp_path)[0]["note"] == "two\nlines \u2028 and é"
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "runs.jsonl").stat().st_mode) == 0o600


def test_what_json_cannot_say_becomes_null_or_text(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    record: dict[Any, Any] = {
        "nan": float("nan"),
        "deep": [{"inf": float("inf")}, (numpy.float32("nan"), numpy.float64(1.5), numpy.int64(3))],
        "path": Path("a/b"),
        7: None,
        "surrogate": "caf\udce9",
    }
    run_history.append_run(tmp_path, record)
    assert strict(lines(tmp_path)[0]) == {
        "nan": None,
        "deep": [{"inf": None}, [None, 1.5, 3]],
        "path": str(Path("a/b")),
        "7": None,
        "surrogate": "caf\\udce9",
    }


def test_damaged_lines_are_skipped_and_a_torn_one_takes_no_other_with_it(tmp_path: Path) -> None:
    run_history.append_run(tmp_path, {"run_id": "a"})
    with open(tmp_path / "runs.jsonl", "ab") as file:
        file.write(b'\xff\xfe\n[1, 2]\n"text"\n' + b"[" * 100_000 + b'\n{"run_id": "to')
    run_history.append_run(tmp_path, {"run_id": "b"})
    assert [run["run_id"] for run in run_history.read_runs(tmp_path)] == ["a", "b"]


def test_no_store_is_no_runs_and_an_unwritable_one_an_oserror(tmp_path: Path) -> None:
    assert run_history.read_runs(tmp_path / "missing") == []
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(OSError):
        run_history.append_run(blocker, {})


def test_two_processes_do_not_mix_their_lines(tmp_path: Path) -> None:
    code = (
        "import sys; from voicekit.run_history import append_run\n"
        "for i in range(100): append_run(sys.argv[1], {'run_id': f'{sys.argv[2]}-{i}', 'pad': 'x' * 9000})"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), n], cwd=ROOT) for n in "ab"]
    assert [worker.wait() for worker in workers] == [0, 0]
    found = {str(strict(line)["run_id"]) for line in lines(tmp_path)}
    assert found == {f"{worker}-{i}" for worker in "ab" for i in range(100)}


def test_a_dead_process_becomes_a_killed_run_once(tmp_path: Path) -> None:
    marker = run_history.Marker(tmp_path, {"run_id": "r1", "script": "s"}, 5.0)
    (tmp_path / "running" / "broken.json").write_text("{")
    seen: list[tuple[int, float]] = []

    def alive(pid: int, created: float) -> bool:
        seen.append((pid, created))
        return True

    assert run_history.collect_killed(tmp_path, alive) == []
    assert seen == [(os.getpid(), 5.0)] and marker.path.exists()
    assert stat.S_IMODE(marker.path.stat().st_mode) == 0o600
    (killed,) = run_history.collect_killed(tmp_path, lambda *_: False)
    assert (killed["run_id"], killed["status"]) == ("r1", "killed")
    assert run_history.collect_killed(tmp_path, lambda *_: False) == []
    (record,) = run_history.read_runs(tmp_path)
    assert record == {"run_id": "r1", "script": "s", "status": "killed", "exit_code": None}


def test_a_marker_is_whole_json_after_a_shorter_record(tmp_path: Path) -> None:
    marker = run_history.Marker(tmp_path, {"run_id": "r1", "last_stage": "a" * 500}, 5.0)
    marker.write({"run_id": "r1", "last_stage": "b"})
    assert json.loads(marker.path.read_text())["record"] == {"run_id": "r1", "last_stage": "b"}
    marker.remove()
    assert not marker.path.exists()


def test_a_crash_is_named_by_what_the_run_left(tmp_path: Path) -> None:
    run_history.Marker(tmp_path, {"run_id": "r1"}, 5.0)
    asked: list[str] = []

    def crash_of(run_id: str) -> str:
        asked.append(run_id)
        return "Segmentation fault"

    run_history.collect_killed(tmp_path, lambda *_: False, crash_of)
    (record,) = run_history.read_runs(tmp_path)
    assert asked == ["r1"] and (record["status"], record["crash"]) == ("crashed", "Segmentation fault")


def test_markers_of_another_host_are_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_history.Marker(tmp_path, {"run_id": "r1"}, 5.0)
    monkeypatch.setattr(run_history, "_host", lambda: "elsewhere")
    assert run_history.collect_killed(tmp_path, lambda *_: False) == []


def test_the_latest_records_are_those_at_the_end_of_a_long_store(tmp_path: Path) -> None:
    for number in range(300):
        run_history.append_run(tmp_path, {"number": number, "padding": "x" * (number % 7) * 400})
    every = run_history.read_runs(tmp_path)
    assert [run["number"] for run in every] == list(range(300))
    assert run_history.read_runs(tmp_path, latest=20) == every[-20:]
    assert run_history.read_runs(tmp_path, latest=1000) == every
