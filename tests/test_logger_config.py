"""Setup, timed functions and spans: the lines of the log are a contract, and the log never harms the program."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import logger_config
from logger_config import setup_logging, span, timed
from tests.reading_logs import HEAD, messages, text_of
from voicekit import run_history

ROOT = Path(logger_config.__file__).resolve().parent


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("VOICE_CLONING_LOG_DIR", "VOICE_CLONING_LOG_LEVEL", "VOICE_CLONING_CONSOLE_LEVEL"):
        monkeypatch.delenv(variable, raising=False)


# --- setup ---------------------------------------------------------------------------------------------


def test_an_info_record_of_any_logger_reaches_the_file_and_not_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_logging(tmp_path)
    logging.getLogger("somebody.else").info("hello from afar")
    logging.getLogger("somebody.else").debug("too quiet")
    logging.getLogger("somebody.else").warning("look out")
    assert messages(tmp_path) == ["hello from afar", "look out"]
    captured = capsys.readouterr()
    assert captured.err == "look out\n" and captured.out == ""


def test_setup_twice_does_not_double_lines_and_leaves_foreign_handlers(tmp_path: Path) -> None:
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    try:
        setup_logging(tmp_path / "first")
        setup_logging(tmp_path / "second")
        logging.getLogger("a").info("once")
        assert foreign in logging.getLogger().handlers
        assert messages(tmp_path / "second") == ["once"]
        assert text_of(tmp_path / "first") == ""
    finally:
        logging.getLogger().removeHandler(foreign)


def test_noisy_and_indiscreet_loggers_are_tamed_by_level(tmp_path: Path) -> None:
    setup_logging(tmp_path, file_level=logging.DEBUG)
    logging.getLogger("numba.core.ssa").debug("on block 3")
    logging.getLogger("TTS.utils.synthesizer").info("Input: a private sentence")
    logging.getLogger("TTS.tts.layers.xtts.tokenizer").warning("too long: a private sentence")
    logging.getLogger("TTS.tts.layers.xtts.zh_num2words").warning("Illegal char in: a private sentence")
    logging.getLogger("numba").warning("kept")
    assert messages(tmp_path) == ["kept"]
    assert all(
        not handler.filters
        for handler in logging.getLogger().handlers
        if hasattr(handler, logger_config._OURS)
    )


def test_environment_chooses_folder_and_level_and_arguments_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_CLONING_LOG_DIR", str(tmp_path / "env"))
    monkeypatch.setenv("VOICE_CLONING_LOG_LEVEL", "debug")
    assert setup_logging() == tmp_path / "env"
    logging.getLogger("a").debug("fine detail")
    assert messages(tmp_path / "env") == ["fine detail"]
    assert setup_logging(tmp_path / "argument", file_level=logging.WARNING) == tmp_path / "argument"
    logging.getLogger("a").info("not asked for")
    assert messages(tmp_path / "argument") == []


def test_a_wrong_level_in_the_environment_is_said_and_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_CLONING_LOG_LEVEL", "loud")
    setup_logging(tmp_path)
    logging.getLogger("a").info("still info")
    first, second = messages(tmp_path)
    assert "LOUD" in first and second == "still info"


def test_by_default_the_log_is_beside_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert logger_config.LOG_DIR == ROOT / "logs"
    monkeypatch.setattr(logger_config, "LOG_DIR", tmp_path / "logs")
    monkeypatch.chdir("/")
    assert setup_logging() == tmp_path / "logs"


def test_an_unwritable_folder_falls_back_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(logger_config, "_platform_log_folder", lambda: tmp_path / "state" / "log")
    used = setup_logging(tmp_path / "file" / "logs")
    assert used == tmp_path / "state" / "log"
    logging.getLogger("a").info("saved")
    assert messages(used)[-1] == "saved" and len(messages(used)) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="XDG folders")
def test_the_fallback_is_the_platforms_log_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert tmp_path in logger_config._platform_log_folder().parents
    assert "voice-cloning" in logger_config._platform_log_folder().parts


def test_with_no_folder_at_all_there_is_the_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(logger_config, "_platform_log_folder", lambda: tmp_path / "file" / "too")
    assert setup_logging(tmp_path / "file" / "logs") is None
    logging.getLogger("a").warning("still said")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[1] == "still said"


def test_the_console_shows_a_traceback_only_in_debug_mode(tmp_path: Path) -> None:
    for level, expected in ((logging.WARNING, False), (logging.INFO, False), (logging.DEBUG, True)):
        stream = io.StringIO()
        setup_logging(tmp_path, console_level=level, stream=stream)
        try:
            raise ValueError("bad")
        except ValueError:
            logging.getLogger("a").exception("it failed")
        shown = stream.getvalue()
        assert ("Traceback" in shown) is expected
        assert bool(HEAD.fullmatch(shown.splitlines()[0])) is expected
        assert "it failed" in shown


def test_library_warnings_go_to_the_file_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        setup_logging(tmp_path)
        warnings.warn("this will change", FutureWarning, stacklevel=1)
    (message,) = messages(tmp_path)
    assert "this will change" in message and capsys.readouterr().err == ""


def test_a_closed_console_is_no_error(tmp_path: Path) -> None:
    stream = io.StringIO()
    setup_logging(tmp_path, stream=stream)
    stream.close()
    logging.getLogger("a").warning("nobody reads this there")
    assert messages(tmp_path) == ["nobody reads this there"]


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ["torch", "TTS", "numpy", "librosa", "scipy", "matplotlib", "psutil", "platformdirs", "soundfile"]
    code = f"import sys, logger_config; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- timed ---------------------------------------------------------------------------------------------


def test_a_timed_function_logs_its_start_input_output_and_end(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("myvoice.wav").write_bytes(bytes(3 * 2**19))

    @timed(inputs=("text", "speaker_audio", "language"))
    def clone_voice_simple(
        text: str, speaker_audio: str, output_file: str = "o.wav", language: str = "en"
    ) -> str:
        Path(output_file).write_bytes(bytes(2**20))
        return output_file

    assert clone_voice_simple("private words " * 10, "myvoice.wav") == "o.wav"
    patterns = [
        r"clone_voice_simple\(\) - START",
        r"Input: text_length=140, speaker_audio=myvoice\.wav, language=en",
        r"Settings: output_file=o\.wav",
        r"Input file: myvoice\.wav, Size: 1\.5 MB",
        r"Output: str o\.wav",
        r"Output file: o\.wav, Size: 1\.0 MB",
        r"clone_voice_simple\(\) - END - Total execution time: \d+\.\d{3}s",
    ]
    found = messages(logs)
    assert len(found) == len(patterns)
    for pattern, message in zip(patterns, found, strict=True):
        assert re.fullmatch(pattern, message), message
    assert "private" not in text_of(logs)
    assert clone_voice_simple.__name__ == "clone_voice_simple"


def test_timed_without_brackets_and_on_a_method(logs: Path) -> None:
    class Speaker:
        @timed
        def speak(self, speed: float = 1.0) -> None: ...

    Speaker().speak(speed=0.5)
    assert messages(logs)[:3] == ["speak() - START", "Input: speed=0.5", "Output: NoneType None"]


def test_a_failure_through_nested_functions_has_one_stack(
    capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    @timed
    def inner() -> None:
        raise ValueError("broken\nsample")

    @timed
    def outer() -> None:
        with span("Speaking", done="Spoken"):
            inner()

    with pytest.raises(ValueError, match="broken"):
        outer()
    failed = [message for message in messages(logs) if "FAILED" in message]
    end = r"ValueError: broken\\nsample - Total execution time: \d+\.\d{3}s"
    assert re.fullmatch(r"inner\(\) - FAILED - " + end, failed[0])
    assert failed[1].startswith("Speaking - FAILED - ValueError")
    assert re.fullmatch(r"outer\(\) - FAILED - " + end, failed[2])
    assert text_of(logs).count("Traceback (most recent call last)") == 1
    assert not any("END" in message or "Spoken" in message for message in messages(logs))
    assert [line.split(" - ")[1] for line in text_of(logs).splitlines() if " - FAILED - " in line] == [
        "ERROR",
        "DEBUG",
        "ERROR",
    ]
    assert capsys.readouterr().err == ""  # the script says it in its own words


def test_ctrl_c_is_an_interruption_without_a_stack(logs: Path) -> None:
    @timed
    def slow() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        slow()
    assert "slow() - INTERRUPTED - KeyboardInterrupt - Total" in messages(logs)[-1]
    assert " - WARNING - " in text_of(logs) and "Traceback" not in text_of(logs)


def test_wrong_arguments_are_the_callers_typeerror(logs: Path) -> None:
    @timed
    def one(a: int) -> int:
        return a

    with pytest.raises(TypeError, match="positional"):
        one()  # type: ignore[call-arg]


def test_a_generator_is_timed_by_its_work_and_told_of_when_it_is_over(logs: Path) -> None:
    @timed(inputs=("count",))
    def items(count: int, closed: list[str]) -> Iterator[int]:
        try:
            for number in range(count):
                time.sleep(0.02)
                yield number
        finally:
            closed.append("yes")

    waiting = items(3, [])
    assert messages(logs) == []  # nothing ran yet
    for _ in waiting:
        time.sleep(0.05)
    found = messages(logs)
    assert found[:3] == ["items() - START", "Input: count=3", "Settings: closed=[]"]
    told = re.fullmatch(
        r"Output: generator, items: 3, first after: 0\.(\d{3})s, with its caller: 0\.(\d{3})s", found[-2]
    )
    assert told, found[-2]
    assert 20 <= int(told[1]) < 45 and int(told[2]) >= 200
    ended = re.fullmatch(r"items\(\) - END - Total execution time: 0\.(\d{3})s", found[-1])
    assert ended and 60 <= int(ended[1]) < 140


def test_a_generator_that_is_left_early_or_fails_says_so(logs: Path) -> None:
    closed: list[str] = []

    @timed
    def items(fails: bool) -> Iterator[int]:
        try:
            yield 1
            if fails:
                raise ValueError("in the middle")
            yield 2
        finally:
            closed.append("yes")

    for _ in items(False):
        break
    assert closed == ["yes"]
    with pytest.raises(ValueError, match="middle"):
        list(items(True))
    assert "items() - FAILED - ValueError: in the middle - Total execution time: " in text_of(logs)
    assert text_of(logs).count("Traceback (most recent call last)") == 1


def test_a_coroutine_is_refused_not_timed_wrongly() -> None:
    async def later() -> None: ...

    with pytest.raises(TypeError, match="later"):
        timed(later)


def test_values_come_with_their_types(logs: Path) -> None:
    numpy = pytest.importorskip("numpy")

    @timed
    def work(samples: object) -> object:
        return {"score": 82}

    work(numpy.zeros((2, 480), numpy.float32))
    assert messages(logs)[1:3] == ["Input: samples=float32[2, 480]", "Output: dict {score=82}"]


# --- spans and stages ----------------------------------------------------------------------------------


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list whose first item is the time of every clock of the module under test."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_the_phrases_of_the_log(logs: Path, ticks: list[float]) -> None:
    with span("preprocess", started="Audio preprocessing started", done="Preprocessing completed",
              label="Total time", memory=True):  # fmt: skip
        with span("mono", done="Preprocessing step: Converted to mono"):
            ticks[0] += 0.125
        ticks[0] += 0.25
    with span("load", started="Model loading started", done="Model loaded", memory=True) as loading:
        ticks[0] += 2.3
        loading.note(GPU="CUDA available", batch_size=4, rtf=0.123456789)
    assert loading.seconds == pytest.approx(2.3)
    memory = r"Memory: \d+\.\d [MG]B"
    before = r"Memory before: \d+\.\d [MG]B \([+-]\d+\.\d [KMG]B\), Peak: \d+\.\d [MG]B"
    patterns = [
        "Audio preprocessing started",
        r"Preprocessing step: Converted to mono - Duration: 0\.125s",
        rf"Preprocessing completed - Total time: 0\.375s, {memory}, {before}",
        r"preprocess - Self time: 0\.250s",
        "Model loading started",
        rf"Model loaded - Duration: 2\.3s, {memory}, GPU: CUDA available, batch size: 4, rtf: 0\.123457, "
        + before,
    ]
    found = messages(logs)
    assert len(found) == len(patterns)
    for pattern, message in zip(patterns, found, strict=True):
        assert re.fullmatch(pattern, message), message
    assert {line.split(" - ")[2] for line in text_of(logs).splitlines()} == {__name__}


def test_a_span_without_words_is_for_debug(logs: Path) -> None:
    with span("quiet detail", codes=12):
        pass
    assert re.fullmatch(r"quiet detail - Duration: 0\.\d{3}s, codes: 12", messages(logs)[0])
    assert " - DEBUG - " in text_of(logs)


# --- the report ----------------------------------------------------------------------------------------


def test_the_report_is_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = dt.datetime.now().astimezone()
    for days, total in ((1, 4.0), (2, 6.0), (30, 100.0)):
        started = (now - dt.timedelta(days=days)).isoformat()
        timings = {"load_model": total / 2, "total": total}
        run_history.append_run(
            tmp_path, {"script": "s", "status": "ok", "started": started, "timings_s": timings}
        )
    assert logger_config.main(["--log-dir", str(tmp_path), "--since", "7d"]) == 0
    table = capsys.readouterr().out
    assert "2 runs" in table and re.search(r"load_model +2 +2\.50 s", table)
    assert logger_config.main(["--log-dir", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["runs"] == 3 and report["disk"]["files"] == 1


def test_one_run_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        record = {"run_id": f"20260101-00000{number}-aaaa", "script": "s", "status": "ok", "timings_s": {"total": 2.0}}
        run_history.append_run(tmp_path, record)
    assert logger_config.main(["--log-dir", str(tmp_path), "--run", "last"]) == 0
    assert "20260101-000002-aaaa" in capsys.readouterr().out
    assert logger_config.main(["--log-dir", str(tmp_path), "--run", "20260101-000001", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run_id"] == "20260101-000001-aaaa" and told["explained"]
    assert logger_config.main(["--log-dir", str(tmp_path), "--run", "1999"]) == 1
    assert "Error: " in capsys.readouterr().err


def test_a_regression_is_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(40):
        seconds = (1.0 if number < 30 else 2.0) * (1 + 0.01 * (number % 5))
        record = {"script": "s", "status": "ok", "timings_s": {"generate": seconds, "total": seconds + 0.1},
                  "started": f"2026-01-01T00:{number:02d}:00.000+00:00", "schema": 2}  # fmt: skip
        run_history.append_run(tmp_path, record)
    assert logger_config.main(["--log-dir", str(tmp_path)]) == 4
    assert "generate" in capsys.readouterr().out.partition("egression")[2]


def test_the_page_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_history.append_run(tmp_path, {"script": "s", "status": "ok", "timings_s": {"total": 2.0}})
    page = tmp_path / "report.html"
    assert logger_config.main(["--log-dir", str(tmp_path), "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}\n" and page.read_text().startswith("<!DOCTYPE html>")
    assert logger_config.main(["--log-dir", str(tmp_path), "--html", str(page)]) == 1
    assert "exists" in capsys.readouterr().err
    assert logger_config.main(["--log-dir", str(tmp_path), "--html", str(page), "--force"]) == 0


def test_the_report_of_nothing_and_of_a_wrong_period(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "logger_config.py"), "--log-dir", str(tmp_path / "none")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "No runs on record.\n")
    with pytest.raises(SystemExit) as stop:
        logger_config.main(["--since", "soon"])
    assert stop.value.code == 2 and "period" in capsys.readouterr().err
    (tmp_path / "runs.jsonl").mkdir()
    assert logger_config.main(["--log-dir", str(tmp_path)]) == 1
