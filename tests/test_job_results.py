"""voicekit.job_results: a line is on the disk as soon as its job has ended, and survives what comes after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from voicekit.errors import OutputError
from voicekit.job_results import JobResults, read_results, results_path


def test_results_lie_beside_the_job_file() -> None:
    assert results_path("batch/jobs.jsonl") == Path("batch/jobs.results.jsonl")
    assert results_path("jobs.v2.csv") == Path("jobs.v2.results.jsonl")


def test_lines_are_there_as_they_are_appended(tmp_path: Path) -> None:
    with JobResults(tmp_path / "jobs.jsonl") as results:
        results.append({"line": 1, "status": "ok", "text": "Ж\n"})
        assert read_results(results.path) == [{"line": 1, "status": "ok", "text": "Ж\n"}]
        results.append({"line": 2, "rtf": float("nan"), "name": "a\ud800"})
    lines = (tmp_path / "jobs.results.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["line"] for line in lines] == [1, 2]
    assert json.loads(lines[1])["rtf"] is None


def test_a_new_run_starts_anew_and_a_resumed_one_goes_on(tmp_path: Path) -> None:
    for resume, expected in ((False, [1]), (True, [1, 2]), (False, [3])):
        with JobResults(tmp_path / "jobs.jsonl", resume=resume) as results:
            results.append({"line": expected[-1]})
        assert [record["line"] for record in read_results(results.path)] == expected


def test_a_torn_line(tmp_path: Path) -> None:
    """Skipped by who reads, cut off by who goes on; the lines before it stay as they are."""
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b'{"line": 1}\nrubbish\n[2]\n{"line": 2}\n{"line": 3, "sta')
    assert [record["line"] for record in read_results(path)] == [1, 2]
    with JobResults(tmp_path / "jobs.jsonl", path, resume=True) as results:
        results.append({"line": 4})
    assert path.read_bytes() == b'{"line": 1}\nrubbish\n[2]\n{"line": 2}\n{"line": 4}\n'


def test_no_results(tmp_path: Path) -> None:
    assert read_results(tmp_path / "none.jsonl") == []


def test_a_line_has_reached_the_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    path = tmp_path / "jobs.results.jsonl"
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path.read_bytes()))
    with JobResults(tmp_path / "jobs.jsonl") as results:
        results.append({"line": 1})
    assert synced == [b'{"line": 1}\n']


def test_lines_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    with JobResults(tmp_path / "jobs.jsonl") as results:
        def work(number: int) -> None:
            for i in range(20):
                results.append({"worker": number, "i": i, "filler": "x" * 5000})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {(record["worker"], record["i"]) for record in read_results(results.path)} == {
        (number, i) for number in range(4) for i in range(20)
    }


def test_what_was_appended_survives_a_kill(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom voicekit.job_results import JobResults\n"
        f"with JobResults({str(tmp_path / 'jobs.jsonl')!r}) as results:\n"
        "    results.append({'line': 1})\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_results(tmp_path / "jobs.results.jsonl") == [{"line": 1}]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.results.jsonl").mkdir()
    for job_file in (tmp_path / "none" / "jobs.jsonl", tmp_path / "folder.jsonl"):
        with pytest.raises(OutputError, match="cannot be written"), JobResults(job_file):
            pass


def test_the_job_file_itself_is_never_emptied(tmp_path: Path) -> None:
    job_file = tmp_path / "jobs.jsonl"
    job_file.write_text("{}")
    (tmp_path / "link.jsonl").symlink_to(job_file)
    for path in (job_file, tmp_path / "link.jsonl"):
        with pytest.raises(OutputError, match="the job file itself"), JobResults(job_file, path):
            pass
    assert job_file.read_text() == "{}"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    results = JobResults(tmp_path / "jobs.jsonl")
    with results:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, results._descriptor)
        os.close(full)
        with pytest.raises(OutputError, match="cannot be written"):
            results.append({"line": 1})
