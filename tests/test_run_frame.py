"""The frame around a script: what the log says of it, what the record holds, however it ends."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from logger_config import run, setup_logging, span, timed
from tests.reading_logs import messages, text_of
from voicekit import run_frame, run_history
from voicekit.complexity import DECLARED, Complexity
from voicekit.errors import AudioError
from voicekit.run_frame import exit_code, place_of

ROOT = Path(__file__).resolve().parent.parent


def kept(folder: Path) -> dict[str, Any]:
    (record,) = run_history.read_runs(folder)
    return record


def test_the_record_holds_what_a_question_needs(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = Complexity("m.f", "codes", "O(n)", "O(1)", "generate")
    monkeypatch.setitem(DECLARED, "m.f", law)
    monkeypatch.setattr(run_frame.complexity, "DECLARED", {"m.f": law})
    with run("simple_voice_clone", ["--text", "secret", "--voice=me.wav", "-o", "-", "x"], log_dir=logs) as this_run:
        with span("g", stage="generate") as step:
            step.count(codes=147)
            time.sleep(0.06)
        with span("v", stage="vocode") as step:
            step.count(codes=147, audio_s=6.5)
        logging.getLogger("simple_voice_clone").warning("something to act on")
        this_run.record(model="rehearsal", rtf=1.5)
    record = kept(logs)
    assert record["schema"] == 2 and record["status"] == "ok" and record["warnings"] == 1
    assert record["flags"] == ["--text", "--voice", "-o"]
    assert record["sizes"] == {"codes": 147, "audio_s": 6.5} and record["model"] == "rehearsal"
    generate = record["stages"]["generate"]
    assert generate["calls"] == 1 and generate["declared"] == {"size": "codes", "time": "O(n)", "space": "O(1)"}
    assert generate["seconds"] == pytest.approx(record["timings_s"]["generate"])
    assert generate["rss_peak_mb"] >= generate["rss_before_mb"] > 0
    assert record["memory_mb"]["peak_rss"] >= record["memory_mb"]["start_rss"] > 0
    assert record["log"]["records"] == len(text_of(logs).splitlines()) and record["log"]["dropped"] == 0
    assert record["cpu_s"] > 0 and record["versions"]["python"] and record["machine"]["id"]
    assert "secret" not in json.dumps(record) and "me.wav" not in json.dumps(record)
    found = messages(logs)
    (stage,) = [line for line in found if line.startswith("Stage: generate")]
    assert re.fullmatch(
        r"Stage: generate - Duration: 0\.\d{3}s \(\d+% of the run\), CPU: \d+%, Memory: .+ -> .+, Peak: .+ [MG]B,"
        r" (Pages read from disk: \d+, )?Calls: 1, codes: 147", stage
    ), stage  # fmt: skip
    (growth,) = [line for line in found if line.startswith("Complexity: ")]
    declared = "declared: time O(n), space O(1) in codes; measured: 147 codes in 0."
    assert growth.startswith(f"Complexity: generate - {declared}")


def test_an_ended_run_says_where_its_time_went(logs: Path) -> None:
    for _ in range(5):
        with run("simple_voice_clone", [], log_dir=logs, since_process_start=False), span("g", stage="generate"):
            time.sleep(0.02)
    told = [line for line in messages(logs) if line.startswith("Time: ")]
    assert re.match(r"Time: Most of the time: generate \d+ ms of \d+ ms", told[0])
    assert "no comparable runs" in told[1] and "the usual" in told[-1]


def test_a_defect_is_critical_and_an_error_of_ours_is_not(logs: Path) -> None:
    for error in (ValueError("a defect"), AudioError("The file is empty.", "Bring another one.")):
        with run("s", [], log_dir=logs) as this_run:
            this_run.fail(error)
    levels = [line.split(" - ")[1] for line in text_of(logs).splitlines() if " - s - FAILED - " in line]
    assert levels == ["CRITICAL", "ERROR"]


def test_the_place_of_an_error_is_ours_and_outlives_line_numbers() -> None:
    from voicekit.text import normalise_language

    with pytest.raises(Exception) as caught:  # noqa: PT011
        normalise_language("klingon")
    assert place_of(caught.value) == "voicekit.text:normalise_language"
    assert place_of(ValueError("never raised")) is None


@pytest.mark.parametrize(("error", "code"), [
    (KeyboardInterrupt(), 130), (SystemExit(143), 143), (SystemExit(), 0), (SystemExit("words"), 1),
    (AudioError("x"), 1), (ValueError("x"), 1), (MemoryError(), 1),
])  # fmt: skip
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_an_exception_in_a_thread_is_in_the_log_with_its_stack(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise RuntimeError("in a thread")

    with run("s", [], log_dir=logs) as this_run:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert this_run.exit_code == 0 and kept(logs)["error"]["type"] == "RuntimeError"
    log = text_of(logs)
    assert log.count("CRITICAL - s - Uncaught in") == 1 and log.count("Traceback (most recent call last)") == 1


def test_a_run_frames_the_log_and_leaves_a_record(logs: Path) -> None:
    with run("simple_voice_clone", ["--text", "secret words"], log_dir=logs) as this_run:
        with span("load", stage="load_model"):
            pass
        this_run.record(text_length=12, rtf=float("nan"))
        this_run.exit_code = 1
    found = messages(logs)
    assert found[0] == (
        f"simple_voice_clone started - Run: {this_run.run_id}, Arguments: --text '<12 characters>'"
    )
    system = r"System: Python 3\.\S+, .+, CPUs: \d+, RAM: \d+\.\d [MG]B, CPU: .+, Load average: \S+"
    assert re.fullmatch(system, found[1])
    assert re.search(r"^Stages: import \d+\.\d+s, load_model 0\.\d{3}s, Memory peak: ", found[-2])
    assert re.fullmatch(
        r"simple_voice_clone finished - exit code 1 - Total execution time: \d+\.\d{3}s", found[-1]
    )
    record: dict[str, Any] = kept(logs)
    assert record["run_id"] == this_run.run_id and record["script"] == "simple_voice_clone"
    assert record["status"] == "error" and record["exit_code"] == 1 and record["error"] is None
    assert set(record["timings_s"]) == {"import", "load_model", "total"}
    assert record["memory_mb"]["peak_rss"] > 0 and record["text_length"] == 12 and record["rtf"] is None
    assert dt.datetime.fromisoformat(record["started"]).tzinfo is not None
    assert list((logs / "running").iterdir()) == []
    assert "secret" not in text_of(logs) + (logs / "runs.jsonl").read_text()


class NeedsModel(Exception):
    exit_code = 3


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (NeedsModel("x"), 3, "error"),
        (ValueError("x"), 1, "error"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(143), 143, "interrupted"),
        (SystemExit(), 0, "ok"),
        (SystemExit("words"), 1, "error"),
    ],
)
def test_an_exception_that_leaves_the_run_is_recorded(
    logs: Path, error: BaseException, code: int, status: str
) -> None:
    with pytest.raises(type(error)), run("s", [], log_dir=logs), span("l", stage="load_model"):
        raise error
    record: dict[str, Any] = kept(logs)
    assert (record["exit_code"], record["status"]) == (code, status)
    assert record["error"] == {"type": type(error).__name__, "stage": "load_model", "place": None}
    stacks = 1 if isinstance(error, Exception) else 0
    assert text_of(logs).count("Traceback (most recent call last)") == stacks


def test_a_caught_exception_is_logged_once_by_fail(logs: Path) -> None:
    @timed
    def work() -> None:
        raise NeedsModel("no model")

    with run("s", [], log_dir=logs) as this_run:
        try:
            work()
        except NeedsModel as error:
            assert this_run.fail(error) == 3
    assert text_of(logs).count("Traceback (most recent call last)") == 1
    assert run_history.read_runs(logs)[0]["error"]["type"] == "NeedsModel"


def test_a_history_that_cannot_be_written_costs_a_warning(
    capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    (logs / "running").write_text("in the way")
    with run("s", [], log_dir=logs) as this_run:
        pass
    assert this_run.exit_code == 0
    assert capsys.readouterr().err.count("No record of this run") == 1


# --- a run that dies -------------------------------------------------------------------------------------

VICTIM = """
import os, pathlib, sys, time
import logger_config as c
folder = c.setup_logging(sys.argv[1])
with c.run("simple_voice_clone", [], log_dir=folder) as this_run:
    this_run.record(model="rehearsal")
    with c.span("l", done="Model loaded", stage="load_model"): time.sleep(0.05)
    with c.span("g", stage="generate"):
        import logging
        for number in range(200): logging.getLogger("simple_voice_clone").info("record %d", number)
        {end}
"""


def die(folder: Path, end: str) -> int:
    command = [sys.executable, "-c", VICTIM.format(end=end), str(folder)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_record_that_cannot_be_written_is_not_taken_for_a_killed_run(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(run_history, "append_run", full)
        with run("s", [], log_dir=logs):
            pass
    assert any("No record of this run is kept" in line for line in messages(logs))
    with run("s", [], log_dir=logs):
        pass
    assert [record["status"] for record in run_history.read_runs(logs)] == ["ok"]


def test_a_killed_run_leaves_its_lines_and_the_next_run_tells_of_it(logs: Path) -> None:
    assert die(logs, "os.kill(os.getpid(), 9)") == -signal.SIGKILL
    assert [f"record {number}" for number in range(200)] == [line for line in messages(logs) if "record" in line]
    with run("improve_voice_sample", [], log_dir=logs):
        pass
    killed, ended = run_history.read_runs(logs)
    assert (killed["status"], killed["last_stage"], killed["model"]) == ("killed", "generate", "rehearsal")
    assert killed["timings_s"]["load_model"] == pytest.approx(0.05, abs=0.03) and killed["memory_mb"]["peak_rss"] > 10
    assert ended["status"] == "ok" and list((logs / "running").iterdir()) == []
    assert any("was killed; it was in generate" in line for line in messages(logs))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_crash_is_told_apart_from_a_kill_and_its_stack_is_kept(logs: Path) -> None:
    assert die(logs, "import ctypes; ctypes.string_at(0)") == -signal.SIGSEGV
    with run("s", [], log_dir=logs):
        pass
    crashed = run_history.read_runs(logs)[0]
    assert crashed["status"] == "crashed" and "Segmentation fault" in crashed["crash"]
    (stack,) = (logs / "crashes").iterdir()
    assert crashed["run_id"] in stack.name and "line" in stack.read_text()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_record_of_a_run_under_way_says_where_it_is(logs: Path) -> None:
    with run("s", [], log_dir=logs) as this_run:
        marker = logs / "running" / f"{this_run.run_id}.json"
        for stage in ("a_long_name_of_a_stage", "short"):
            with span("x", stage=stage):
                assert json.loads(marker.read_text())["record"]["last_stage"] == stage
    assert not marker.exists()


def test_a_full_disk_is_warned_of(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_frame.machine, "low_disk", lambda folder: f"The disk of {folder} is full.")
    with run("s", [], log_dir=logs):
        pass
    assert " - WARNING - logger_config - The disk of" in text_of(logs)


def test_setup_is_not_needed_for_a_run(tmp_path: Path) -> None:
    with run("s", [], log_dir=None) as this_run:
        pass
    assert this_run.exit_code == 0 and list(tmp_path.iterdir()) == []
    assert setup_logging(tmp_path) == tmp_path
