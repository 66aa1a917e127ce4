"""What kills a process, or is lost in one, leaves word of itself: shown on processes that really die."""

from __future__ import annotations

import faulthandler
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from voicekit import crash_reports
from voicekit.crash_reports import CrashReports, collect, retire

ROOT = Path(crash_reports.__file__).resolve().parent.parent
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

_BEGIN = """
import ctypes, faulthandler, os, pathlib, signal, sys, threading, time
from voicekit.crash_reports import CrashReports

folder = pathlib.Path(sys.argv[1])

def told(where, error):
    print(f"{where}: {error!r}", flush=True)

class Model:
    def __del__(self):
        raise ValueError("lost")

"""


def child(code: str, folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, *options, "-c", _BEGIN + code, str(folder)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=-1, stdout=-1, stderr=-1, text=True, env={**os.environ, **environment}
    )


def run(code: str, folder: Path, *options: str) -> tuple[int, str, str]:
    process = child(code, folder, *options)
    out, err = process.communicate()
    return process.returncode, out, err


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- a process that dies -------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("death", "number", "cause"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", signal.SIGSEGV, "Segmentation fault"),
        ("ctypes.string_at(0)", signal.SIGSEGV, "Segmentation fault"),
        ("os.abort()", signal.SIGABRT, "Aborted"),
        ("os.kill(os.getpid(), signal.SIGFPE)", signal.SIGFPE, "Floating point exception"),
        ("threading.Thread(target=ctypes.string_at, args=(0,)).start(); time.sleep(60)", signal.SIGSEGV,
         "Segmentation fault"),
    ],
)  # fmt: skip
def test_a_crash_leaves_the_stacks_and_its_cause(tmp_path: Path, death: str, number: int, cause: str) -> None:
    code = f"def in_native_code():\n    {death}\nwith CrashReports(folder, 'r1', told):\n    in_native_code()"
    assert run(code, tmp_path) == (-number, "", "")
    assert files(tmp_path) == ["running/r1.crash"]
    assert stat.S_IMODE((tmp_path / "running" / "r1.crash").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "running").stat().st_mode) == 0o700
    assert collect(tmp_path, "r1") == cause
    assert files(tmp_path) == ["crashes/r1.txt"]
    kept = (tmp_path / "crashes" / "r1.txt").read_text()
    assert kept.startswith(f"Fatal Python error: {cause}\n") and "in in_native_code" in kept
    assert stat.S_IMODE((tmp_path / "crashes" / "r1.txt").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "crashes").stat().st_mode) == 0o700
    assert collect(tmp_path, "r1") is None


@posix
def test_a_kill_leaves_an_empty_file_and_no_cause(tmp_path: Path) -> None:
    code = "with CrashReports(folder, 'r1', told): os.kill(os.getpid(), signal.SIGKILL)"
    assert run(code, tmp_path)[0] == -signal.SIGKILL
    assert files(tmp_path) == ["running/r1.crash"]
    assert collect(tmp_path, "r1") is None
    assert files(tmp_path) == []


@posix
def test_a_crash_inside_a_run_within_a_run_and_one_after_it(tmp_path: Path) -> None:
    code = (
        "with CrashReports(folder, 'outer', told):\n"
        "    with CrashReports(folder, 'inner', told): pass\n"
        "    os.abort()"
    )
    assert run(code, tmp_path) == (-signal.SIGABRT, "", "")
    assert files(tmp_path) == ["running/outer.crash"] and collect(tmp_path, "outer") == "Aborted"
    code = (
        "with CrashReports(folder, 'outer', told):\n"
        "    with CrashReports(folder, 'inner', told): os.abort()"
    )
    assert run(code, tmp_path) == (-signal.SIGABRT, "", "")
    assert collect(tmp_path, "outer") is None and collect(tmp_path, "inner") == "Aborted"


@posix
@pytest.mark.parametrize(("options", "says"), [(["-X", "faulthandler"], True), ([], False)])
def test_afterwards_faulthandler_is_as_it_was(tmp_path: Path, options: list[str], says: bool) -> None:
    code = (
        "with CrashReports(folder, 'r1', told): pass\n"
        "print(faulthandler.is_enabled(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSEGV)"
    )
    returncode, out, err = run(code, tmp_path, *options)
    assert returncode == -signal.SIGSEGV and out == f"{says}\n"
    assert ("Fatal Python error: Segmentation fault" in err) is says
    assert files(tmp_path) == []
    code = "with CrashReports(folder, 'r1', told): pass\nos.kill(os.getpid(), signal.SIGUSR1)"
    assert run(code, tmp_path, *options)[0] == -signal.SIGUSR1


# --- a process that hangs ------------------------------------------------------------------------------

_HANG = """
seen = []
if "handler" in sys.argv[2:]:
    signal.signal(signal.SIGUSR1, lambda *_: seen.append("handler"))

def waits_for_a_lock(): sys.stdin.readline()
def sleeps(): time.sleep(600)

with CrashReports(folder, "r1", told):
    threading.Thread(target=sleeps, daemon=True, name="loader").start()
    print("ready", flush=True)
    waits_for_a_lock()
    print(*seen, flush=True)
"""


@posix
@pytest.mark.parametrize("has_handler", [False, True])
def test_a_signal_shows_where_a_run_hangs_and_it_goes_on(tmp_path: Path, has_handler: bool) -> None:
    code = _HANG.replace("sys.argv[2:]", repr(["handler"] if has_handler else []))
    process = child(code, tmp_path)
    assert process.stdout and process.stdin and process.stdout.readline() == "ready\n"
    under_way = tmp_path / "running" / "r1.crash"
    deadline = time.monotonic() + 60
    while "in sleeps" not in under_way.read_text() or "in waits_for_a_lock" not in under_way.read_text():
        assert process.poll() is None and time.monotonic() < deadline
        process.send_signal(signal.SIGUSR1)  # again: the first may come before the thread sleeps
        time.sleep(0.05)
    out, err = process.communicate("go on\n")
    assert (process.returncode, err) == (0, "") and ("handler" in out) is has_handler
    assert files(tmp_path) == ["crashes/r1.txt"]
    kept = (tmp_path / "crashes" / "r1.txt").read_text()
    assert "in sleeps" in kept and "in waits_for_a_lock" in kept and "Fatal" not in kept


# --- an exception that nobody caught -------------------------------------------------------------------


def test_an_exception_in_a_thread_is_told_once_and_python_says_its_own(tmp_path: Path) -> None:
    code = (
        "with CrashReports(folder, 'r1', told):\n"
        "    lost = threading.Thread(target=lambda: 1 / 0, name='loader'); lost.start(); lost.join()\n"
        "lost = threading.Thread(target=lambda: [][1], name='later'); lost.start(); lost.join()"
    )
    returncode, out, err = run(code, tmp_path)
    assert (returncode, out) == (0, "thread loader: ZeroDivisionError('division by zero')\n")
    assert err.count("Exception in thread loader") == err.count("Exception in thread later") == 1
    assert files(tmp_path) == []


def test_an_exception_in_del_is_told_once_and_python_says_its_own(tmp_path: Path) -> None:
    returncode, out, err = run("with CrashReports(folder, 'r1', told):\n    Model()", tmp_path)
    assert (returncode, out) == (0, "Model.__del__: ValueError('lost')\n")
    assert err.count("Exception ignored in") == 1


def test_runs_in_one_another_tell_once(tmp_path: Path) -> None:
    code = "with CrashReports(folder, 'a', told), CrashReports(folder, 'b', told):\n    Model()"
    assert run(code, tmp_path)[1] == "Model.__del__: ValueError('lost')\n"


@pytest.mark.parametrize("wish", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_what_somebody_wished_is_not_told(tmp_path: Path, wish: str) -> None:
    code = (
        f"def stop(): raise {wish}\n"
        "with CrashReports(folder, 'r1', told):\n"
        "    lost = threading.Thread(target=stop); lost.start(); lost.join()\n"
        f"    sys.excepthook(*[(type(e), e, None) for e in [{wish}]][0])"
    )
    returncode, out, _ = run(code, tmp_path)
    assert (returncode, out) == (0, "")


def test_a_listener_that_fails_does_no_harm(tmp_path: Path) -> None:
    code = "def told(where, error): raise RuntimeError('deaf')\nwith CrashReports(folder, 'r1', told): Model()"
    returncode, _, err = run(code, tmp_path)
    assert returncode == 0 and "ValueError: lost" in err and "deaf" not in err


def test_the_hooks_are_put_back_and_foreign_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *about: called.append(about[1]))
    monkeypatch.setattr(sys, "unraisablehook", called.append)
    before = sys.excepthook, threading.excepthook, sys.unraisablehook, faulthandler.is_enabled()
    told: list[tuple[str, BaseException]] = []
    error, later = ValueError("x"), ValueError("y")
    with CrashReports(tmp_path, "r1", lambda where, lost: told.append((where, lost))):
        assert faulthandler.is_enabled()
        sys.excepthook(ValueError, error, None)
        sys.excepthook(ValueError, error, None)
        ours = sys.excepthook
        wrapper = lambda *about: ours(*about)  # noqa: E731 - somebody who wraps the hook in the meantime
        sys.excepthook = wrapper
    assert sys.excepthook is wrapper
    sys.excepthook(ValueError, later, None)
    assert told == [("the main thread", error)] and called == [error, error, later]
    monkeypatch.setattr(sys, "excepthook", before[0])
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook, faulthandler.is_enabled()) == before
    assert files(tmp_path) == []


# --- folders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_folder", [False, True])
def test_without_a_folder_that_can_be_written_exceptions_are_told_all_the_same(
    tmp_path: Path, has_folder: bool
) -> None:
    (tmp_path / "running").write_text("in the way")
    folder = "folder" if has_folder else "None"
    code = f"with CrashReports({folder}, 'r1', told):\n    Model()\n    print(faulthandler.is_enabled())"
    returncode, out, _ = run(code, tmp_path)
    assert (returncode, out) == (0, "Model.__del__: ValueError('lost')\nFalse\n")
    assert files(tmp_path) == ["running"]


def test_the_file_that_is_kept_names_no_user_and_moves_no_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")
    (tmp_path / "running").mkdir()
    under_way = tmp_path / "running" / "r1.crash"
    under_way.write_bytes(
        b'Current thread:\n  File "/home/ann/a.py", line 1\x1b[2J\r\n\nFatal Python error: Aborted\n\nCurrent \xff\n'
    )
    os.utime(under_way, (1e9, 1e9))
    assert collect(tmp_path, "r1") == "Aborted"
    kept = tmp_path / "crashes" / "r1.txt"
    assert kept.read_text().splitlines() == [
        "Current thread:", '  File "~/a.py", line 1\\x1b[2J\\r', "", "Fatal Python error: Aborted", "", "Current \\xff"
    ]  # fmt: skip
    assert kept.stat().st_mtime == 1e9


def test_of_a_run_without_a_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert collect(tmp_path, "r1") is None and collect(tmp_path / "none", "r1") is None
    retire(tmp_path / "none")
    assert files(tmp_path) == []


def test_the_newest_crash_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "crashes").mkdir()
    for number in range(25):
        path = tmp_path / "crashes" / f"{(number * 7) % 25:02}.txt"
        path.touch()
        os.utime(path, (1e9 + number, 1e9 + number))
    (tmp_path / "crashes" / "notes.md").touch()
    retire(tmp_path)
    assert files(tmp_path) == sorted(
        ["crashes/notes.md", *(f"crashes/{(number * 7) % 25:02}.txt" for number in range(5, 25))]
    )
    retire(tmp_path, keep=1)
    assert files(tmp_path) == ["crashes/18.txt", "crashes/notes.md"]
