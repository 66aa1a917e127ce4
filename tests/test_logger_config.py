"""Logging, timing and memory: the lines of the log are a contract, and the log never harms the program."""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import errno
import io
import json
import logging
import mmap
import os
import re
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import logger_config
from logger_config import (
    LOGGER_LEVELS,
    StageClock,
    memory_snapshot,
    run,
    setup_logging,
    span,
    stage_clock,
    timed,
)
from voicekit import log_files, run_history
from voicekit import stage_clock as stage_clock_module
from voicekit.log_files import DatedFileHandler
from voicekit.log_values import listing, mask_argv, summary

ROOT = Path(logger_config.__file__).resolve().parent
HEAD = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - [A-Za-z0-9_.]+ - \S.*"
)
ONE_DAY = 86400.0


@pytest.fixture(autouse=True)
def as_found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the process's logging back as it was."""
    monkeypatch.delenv("VOICE_CLONING_LOG_DIR", raising=False)
    monkeypatch.delenv("VOICE_CLONING_LOG_LEVEL", raising=False)
    root = logging.getLogger()
    level, levels = root.level, {name: logging.getLogger(name).level for name in LOGGER_LEVELS}
    yield
    for handler in [each for each in root.handlers if hasattr(each, logger_config._OURS)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    logging.captureWarnings(False)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A log folder in use at DEBUG; the console shows warnings."""
    assert setup_logging(tmp_path / "logs", file_level=logging.DEBUG) == tmp_path / "logs"
    return tmp_path / "logs"


def text_of(folder: Path) -> str:
    return (folder / "voice_cloning.log").read_text(encoding="utf-8")


def messages(folder: Path) -> list[str]:
    """The messages of the file's events, every line checked against the format."""
    found = []
    for line in text_of(folder).split("\n")[:-1]:
        if not line.startswith("    "):
            assert HEAD.fullmatch(line), line
            found.append(line.split(" - ", 3)[3])
    return found


def record(message: str, name: str = "test") -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, __file__, 1, message, (), None)


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


# --- lines ---------------------------------------------------------------------------------------------


def test_control_characters_cannot_forge_a_line_or_turn_it(logs: Path) -> None:
    forged = "2026-01-15 10:30:45,123 - ERROR - a - forged"
    logging.getLogger("a").info("hi\n%s\r%s\x1b[2J\x85\u2028\u2029\u202e\u2066\x7f\t.", forged, forged)
    (line,) = text_of(logs).splitlines()
    assert line.endswith(f"hi\\n{forged}\\r{forged}\\x1b[2J\\x85\\u2028\\u2029\\u202e\\u2066\\x7f\\t.")


def test_an_exceptions_text_cannot_forge_a_line_either(logs: Path) -> None:
    try:
        raise ValueError("bad\n2026-01-15 10:30:45,123 - INFO - a - all fine\x1b[0m")
    except ValueError:
        logging.getLogger("a").exception("failed", stack_info=True)
    lines = text_of(logs).split("\n")[:-1]
    assert HEAD.fullmatch(lines[0])
    assert lines[1] == "    Traceback (most recent call last):"
    assert "    2026-01-15 10:30:45,123 - INFO - a - all fine\\x1b[0m" in lines
    assert "    Stack (most recent call last):" in lines
    assert all(line.startswith("    ") for line in lines[1:])


def test_arguments_that_do_not_fit_cost_the_arguments_only() -> None:
    wrong = logging.LogRecord("a", logging.INFO, __file__, 1, "%d %d", ("one",), None)
    line = log_files.EventFormatter().format(wrong)  # pytest's own handler would raise
    assert HEAD.fullmatch(line) and "%d %d" in line and "one" not in line


def test_odd_names_and_empty_messages_keep_the_format(logs: Path) -> None:
    logging.getLogger("my-app/π x").info("")
    logging.getLogger("__main__").info("  \n ")
    logging.getLogger("a").info("lone surrogate \udce9")
    found = messages(logs)
    assert found[0] == found[1] == "(no message)"
    assert found[2] == "lone surrogate \\udce9"
    assert " - my_app___x - " in text_of(logs) and "__main__" not in text_of(logs)


def test_the_script_that_runs_is_named_by_its_file(tmp_path: Path) -> None:
    script = tmp_path / "my_script.py"
    script.write_text(
        "import sys, logger_config as c\n"
        "c.setup_logging(sys.argv[1])\n"
        "@c.timed\n"
        "def work(): pass\n"
        "work()\n"
        "with c.span('x', done='Saved'): pass\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(script), str(tmp_path)], env=environment, check=True)
    names = {line.split(" - ")[2] for line in text_of(tmp_path).splitlines()}
    assert names == {"my_script"}


def test_home_is_written_as_a_tilde_in_message_and_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "ann"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    setup_logging(tmp_path / "logs")
    try:
        raise OSError(f"no {home}/voice.wav")
    except OSError:
        logging.getLogger("a").exception("%s/a.wav\n%s, %s-marie/b, %s.", home, home, home, home)
    shown = text_of(tmp_path / "logs")
    assert messages(tmp_path / "logs") == [f"~/a.wav\\n~, {home}-marie/b, ~."]
    assert "OSError: no ~/voice.wav" in shown
    monkeypatch.setenv("HOME", "/")  # as in many containers
    monkeypatch.setenv("USERPROFILE", "/")
    assert log_files.shorten_home("/etc/x") == "/etc/x"


# --- the file ------------------------------------------------------------------------------------------


class Clock:
    """A clock that stands until it is told to go on; starts at noon of 2026-01-15, local time."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 1, 15, 12).timestamp()

    def __call__(self) -> float:
        return self.now


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_the_log_is_private(tmp_path: Path) -> None:
    setup_logging(tmp_path / "logs")
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "logs" / "voice_cloning.log").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


def test_a_full_file_gets_the_name_of_its_day_and_a_second_one_a_number(tmp_path: Path) -> None:
    handler = DatedFileHandler(tmp_path, max_bytes=300, clock=Clock())
    for i in range(12):
        handler.handle(record(f"record {i} " + "x" * 100))
    handler.close()
    found = names(tmp_path)
    assert found[0] == "voice_cloning.log"
    assert "voice_cloning_2026-01-15.log" in found and "voice_cloning_2026-01-15.2.log" in found
    order = ["voice_cloning_2026-01-15.log"]
    order += [f"voice_cloning_2026-01-15.{number}.log" for number in range(2, len(found))]
    assert sorted([*order, "voice_cloning.log"]) == found
    text = "".join((tmp_path / name).read_text() for name in [*order, "voice_cloning.log"])
    assert re.findall(r"record (\d+)", text) == [str(i) for i in range(12)]
    assert all((tmp_path / name).stat().st_size <= 300 for name in found)


def test_an_existing_name_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "voice_cloning_2026-01-15.log").write_text("older\n")
    (tmp_path / "voice_cloning_2026-01-15.7.log").write_text("old\n")
    handler = DatedFileHandler(tmp_path, max_bytes=1, clock=Clock())
    handler.handle(record("one"))
    handler.handle(record("two"))
    handler.close()
    assert (tmp_path / "voice_cloning_2026-01-15.log").read_text() == "older\n"
    assert (tmp_path / "voice_cloning_2026-01-15.7.log").read_text() == "old\n"
    assert "one" in (tmp_path / "voice_cloning_2026-01-15.8.log").read_text()


def test_two_handlers_cross_midnight_together(tmp_path: Path) -> None:
    clock = Clock()
    first, second = DatedFileHandler(tmp_path, clock=clock), DatedFileHandler(tmp_path, clock=clock)
    first.handle(record("first on the 15th"))
    second.handle(record("second on the 15th"))
    clock.now += ONE_DAY
    first.handle(record("first on the 16th"))
    second.handle(record("second on the 16th"))
    clock.now += 3 * ONE_DAY
    second.handle(record("second on the 19th"))
    first.handle(record("first on the 19th"))
    for handler in (first, second):
        handler.close()
    contents = {
        name: re.findall(r"(?:first|second) on the \d+th", (tmp_path / name).read_text())
        for name in names(tmp_path)
    }
    assert contents == {
        "voice_cloning_2026-01-15.log": ["first on the 15th", "second on the 15th"],
        "voice_cloning_2026-01-16.log": ["first on the 16th", "second on the 16th"],
        "voice_cloning.log": ["second on the 19th", "first on the 19th"],
    }


def test_a_peer_that_rotates_while_we_wait_saves_us_the_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (DatedFileHandler(tmp_path, max_bytes=150) for _ in "ab")
    first.handle(record("one" + "x" * 80))
    locked = DatedFileHandler._locked

    def peer_first(self: DatedFileHandler, wait_s: float) -> contextlib.AbstractContextManager[bool]:
        monkeypatch.setattr(DatedFileHandler, "_locked", locked)
        second.handle(record("two"))
        return locked(self, wait_s)

    monkeypatch.setattr(DatedFileHandler, "_locked", peer_first)
    first.handle(record("three"))
    first.close()
    second.close()
    assert len(names(tmp_path)) == 2
    assert re.findall("two|three", text_of(tmp_path)) == ["two", "three"]


def test_two_processes_that_rotate_by_size_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import logging, sys; from voicekit.log_files import DatedFileHandler\n"
        "h = DatedFileHandler(sys.argv[1], max_bytes=4000, keep_files=1)\n"
        "for i in range(400):\n"
        "    h.handle(logging.LogRecord('w', 20, '', 1, f'<{sys.argv[2]}-{i}>' + 'x' * 60, (), None))\n"
        "assert h.dropped == 0"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), n], cwd=ROOT) for n in "abc"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    lines = "".join((tmp_path / name).read_text() for name in names(tmp_path)).splitlines()
    assert all(HEAD.fullmatch(line) for line in lines)
    assert sorted(re.findall(r"<(\w-\d+)>", "\n".join(lines))) == sorted(
        f"{w}-{i}" for w in "abc" for i in range(400)
    )
    assert len(names(tmp_path)) > 10


def test_retention_removes_old_and_surplus_logs_of_ours_alone(tmp_path: Path) -> None:
    clock = Clock()

    def make(name: str, days_ago: float) -> None:
        (tmp_path / name).write_text("x\n")
        os.utime(tmp_path / name, (clock.now - days_ago * ONE_DAY,) * 2)

    foreign = [
        "voice_cloning_2020-01-01.log.gz",
        "voice_cloning_2020-1-1.log",
        "runs.jsonl",
        "other_2020-01-01.log",
    ]
    foreign += [
        "voice_cloning_2020-01-01.0.log",
        "my_voice_cloning_2020-01-01.log",
        "voice_cloning_2020-01-01.txt",
    ]
    for name in foreign:
        make(name, 2000)
    make("voice_cloning_2025-12-01.log", 45)  # too old
    make("voice_cloning_2025-11-01.log", 0.5)  # its name is old, but somebody wrote to it lately
    make("voice_cloning_2026-01-10.log", 5)  # in time, but one too many
    make("voice_cloning_2026-01-11.log", 4)
    make("voice_cloning_2026-01-12.log", 3)
    (tmp_path / "voice_cloning_2019-01-01.log").mkdir()
    handler = DatedFileHandler(tmp_path, max_bytes=1, keep_days=30, keep_files=3, clock=clock)
    for _ in range(3):
        handler.handle(record("x"))
    handler.close()
    ours = ["voice_cloning_2025-11-01.log", "voice_cloning_2026-01-12.log", "voice_cloning_2026-01-15.log"]
    ours += ["voice_cloning_2026-01-15.2.log", "voice_cloning.log", "voice_cloning_2019-01-01.log"]
    assert names(tmp_path) == sorted(foreign + ours)


def test_a_rotation_that_fails_costs_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = DatedFileHandler(tmp_path, max_bytes=1)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "rename", refuse)
    for i in range(3):
        handler.handle(record(f"record {i}"))
    handler.close()
    assert re.findall(r"record \d", text_of(tmp_path)) == ["record 0", "record 1", "record 2"]


def test_a_folder_that_vanishes_is_made_again(tmp_path: Path) -> None:
    handler = DatedFileHandler(tmp_path / "logs")
    (tmp_path / "logs" / "voice_cloning.log").unlink()
    (tmp_path / "logs").rmdir()
    handler.handle(record("after"))
    handler.close()
    assert "after" in text_of(tmp_path / "logs")


def test_a_full_disk_is_said_once_and_counted_and_never_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = DatedFileHandler(tmp_path)
    write = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    for _ in range(5):
        handler.handle(record("lost"))
    monkeypatch.setattr(os, "write", write)
    first = capsys.readouterr().err
    assert first.count("\n") == 1 and os.strerror(errno.ENOSPC) in first
    handler.handle(record("there is room again"))
    handler.close()
    handler.close()
    assert capsys.readouterr().err.splitlines()[0].startswith("5 log records")
    assert [line.split(" - ", 3)[3] for line in text_of(tmp_path).splitlines()] == ["there is room again"]


def test_a_line_cut_by_a_full_disk_does_not_swallow_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = DatedFileHandler(tmp_path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    handler.handle(record("cut"))
    monkeypatch.setattr(os, "write", write)
    handler.handle(record("whole"))
    handler.close()
    cut, whole = text_of(tmp_path).splitlines()
    assert len(cut) == 10 and HEAD.fullmatch(whole)


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


def test_a_generator_is_refused_not_timed_wrongly() -> None:
    def items() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="items"):
        timed(items)


# --- what values are called ----------------------------------------------------------------------------


def test_private_values_are_not_shown() -> None:
    words = "my secret words"
    assert listing({"text": words, "api_token": "hf_x", "password": "p"}) == (
        "text_length=15, api_token=***, password=***"
    )
    for name in (
        "text",
        "sentences",
        "segments",
        "prompt",
        "speaker_text",
        "lexicon",
        "note",
        "",
        "max_text",
    ):
        for value in (words, [words], {"secret": words}, (words, words)):
            assert "secret" not in summary(value, name).replace("secret=", ""), (name, value)
    assert "secret" not in summary({"secretly": words}, "lexicon")


def test_paths_arrays_and_settings_are_shown() -> None:
    numpy = pytest.importorskip("numpy")

    @dataclass(frozen=True)
    class Settings:
        temperature: float
        text: str

    assert summary("my voice.wav", "speaker_audio") == "my voice.wav"
    assert summary(["a b.wav", "c.wav"], "speaker_audio") == "[a b.wav, c.wav]"
    assert summary(Path("book.txt"), "text_file") == "book.txt" == summary("book.txt", "text_file")
    assert summary(numpy.zeros((2, 480), numpy.float32)) == "float32[2, 480]"
    assert summary(Settings(0.75, "hello")) == "Settings(temperature=0.75, text_length=5)"
    assert summary({"score": 82, "issues": ["noisy"]}) == "{score=82, issues=[noisy]}"
    assert summary(list(range(100))) == "<100 items>"
    assert summary("en", "language") == "en"


def test_an_odd_object_is_named_by_its_type() -> None:
    class Odd:
        @property
        def shape(self) -> int:
            raise RuntimeError

    assert summary(Odd()) == "<Odd>"


def test_private_flags_are_masked_in_every_spelling() -> None:
    argv = [
        "--text",
        "--secret words",
        "--tex=secret",
        "--text-file",
        "book.txt",
        "--consent",
        "secret",
        "-v",
    ]
    masked = mask_argv(argv, ("--text", "--consent"))
    assert "secret" not in " ".join(masked)
    assert masked == [
        "--text", "<14 characters>", "--tex=<6 characters>", "--text-file", "book.txt", "--consent",
        "<6 characters>", "-v",
    ]  # fmt: skip


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
    before = r"Memory before: \d+\.\d [MG]B \([+-]\d+\.\d [KMG]B\)"
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


def test_a_stage_in_a_stage_is_not_counted_twice(ticks: list[float]) -> None:
    @timed(stage="preprocess")
    def preprocess() -> None:
        ticks[0] += 3

    with StageClock() as clock:
        with span("clone", stage="generate"):
            ticks[0] += 1
            with span("not a stage"):
                ticks[0] += 10
                with span("v", stage="vocode"):
                    ticks[0] += 2
                    with span("g", stage="generate"):
                        ticks[0] += 20
            preprocess()
        ticks[0] += 4
    assert clock.seconds() == {"generate": 31, "vocode": 2, "preprocess": 3}
    assert clock.total() == 40


def test_a_clock_in_a_clock_tells_the_outer_one(ticks: list[float]) -> None:
    with StageClock() as whole:
        for _ in range(2):
            with StageClock() as job:
                assert stage_clock() is job
                with span("s", stage="write"):
                    ticks[0] += 1
            assert job.seconds() == {"write": 1} and job.total() == 1
        assert stage_clock() is whole
    assert whole.seconds() == {"write": 2}
    assert stage_clock() is not whole


def test_work_of_other_threads_is_no_time_of_the_main_thread() -> None:
    def work() -> None:
        with span("beside", stage="vocode"):
            pass

    with StageClock() as clock, span("main", stage="generate") as outer:
        context = contextvars.copy_context()
        for target in (work, lambda: context.run(work)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert set(clock.seconds()) == {"generate"}
    assert outer.self_seconds == outer.seconds


def test_the_clock_knows_the_innermost_stage_that_failed() -> None:
    with StageClock() as clock:
        for stages in (("write", "vocode"), ("generate", "condition_voice")):
            with pytest.raises(ValueError, match="x"), span("a", stage=stages[0]), span("b", stage=stages[1]):
                raise ValueError("x")
    assert clock.failed_stage == "condition_voice"


def test_the_process_is_older_than_this_test() -> None:
    age = stage_clock_module.process_age_s()
    psutil = pytest.importorskip("psutil")
    assert age == pytest.approx(time.time() - psutil.Process().create_time(), abs=2.0)
    clock = StageClock(since_process_start=True)
    assert clock.total() >= age and clock.seconds()["import"] >= age


# --- memory --------------------------------------------------------------------------------------------


def test_a_memory_snapshot_sees_what_is_allocated() -> None:
    before = memory_snapshot()
    block = mmap.mmap(-1, 64 * 2**20)  # from the kernel: malloc might reuse pages that are resident already
    block.write(bytes(64 * 2**20))
    after = memory_snapshot()
    assert after.rss_mb - before.rss_mb > 48
    block.close()
    later = memory_snapshot()
    assert (
        later.rss_mb < after.rss_mb - 48
    )  # and yet the peak stays, but for what the kernel counts in batches
    assert later.peak_rss_mb > after.rss_mb - 4 and later.available_mb > 0


def test_a_memory_snapshot_never_imports_torch() -> None:
    code = (
        "import sys, logger_config as c; m = c.memory_snapshot(); c.log_torch_info()\n"
        "assert 'torch' not in sys.modules and m.cuda_allocated_mb is None and m.cuda_peak_mb is None"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


class FakeTorch:
    """The few names that are asked of torch."""

    __version__ = "9.9"

    class cuda:
        is_available = is_initialized = staticmethod(lambda: True)
        memory_allocated = staticmethod(lambda: 3 * 2**20)
        max_memory_allocated = staticmethod(lambda: 5 * 2**20)
        get_device_name = staticmethod(lambda: "Some GPU")

    get_num_threads = staticmethod(lambda: 2)


def test_gpu_memory_and_name_come_from_a_torch_that_is_there(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", FakeTorch)
    snapshot = memory_snapshot()
    assert (snapshot.cuda_allocated_mb, snapshot.cuda_peak_mb) == (3.0, 5.0)
    logger_config.log_torch_info()
    assert messages(logs) == ["PyTorch: 9.9, CUDA available: True, GPU: Some GPU, Threads: 2"]


# --- a run ---------------------------------------------------------------------------------------------


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
    assert re.fullmatch(r"System: Python 3\.\S+, .+, CPUs: \d+, RAM: \d+\.\d [MG]B", found[1])
    assert re.search(r"^Stages: import \d+\.\d+s, load_model 0\.\d{3}s, Memory peak: ", found[-2])
    assert re.fullmatch(
        r"simple_voice_clone finished - exit code 1 - Total execution time: \d+\.\d{3}s", found[-1]
    )
    (kept,) = run_history.read_runs(logs)
    assert kept["run_id"] == this_run.run_id and kept["script"] == "simple_voice_clone"
    assert kept["status"] == "error" and kept["exit_code"] == 1 and kept["error"] is None
    assert set(kept["timings_s"]) == {"import", "load_model", "total"}
    assert kept["memory_mb"]["peak_rss"] > 0 and kept["text_length"] == 12 and kept["rtf"] is None
    assert dt.datetime.fromisoformat(kept["started"]).tzinfo is not None
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
    (kept,) = run_history.read_runs(logs)
    assert (kept["exit_code"], kept["status"]) == (code, status)
    assert kept["error"] == {"type": type(error).__name__, "stage": "load_model"}
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


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_run_is_found_by_the_next(logs: Path) -> None:
    code = (
        "import os, sys, pathlib, logger_config as c\n"
        "with c.run('victim', [], log_dir=pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    victim = subprocess.run([sys.executable, "-c", code, str(logs)], cwd=ROOT, check=False)
    assert victim.returncode == -9
    with run("s", [], log_dir=logs), run("other", [], log_dir=logs):
        pass
    kept = {each["script"]: each["status"] for each in run_history.read_runs(logs)}
    assert kept == {"victim": "killed", "other": "ok", "s": "ok"}


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
    assert re.search(r"^s +2 +0 +5\.00 s +load_model 2\.50 s$", table, re.MULTILINE)
    assert logger_config.main(["--log-dir", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["runs"] == 3 and report["scripts"]["s"]["median_total_s"] == 6.0


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
