"""Ctrl-C and SIGTERM before a command begins and after it has ended: a number, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from voicekit.interrupts import exit_code_of

ROOT = Path(__file__).resolve().parent.parent
WAITS = "print(flush=True)\nimport time\ntime.sleep(600)\n"
QUIET = "from voicekit import interrupts\ninterrupts.leave_quietly()\n"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def ended_by(number: signal.Signals, code: str) -> tuple[int, str]:
    """The exit code and stderr of a program that gets the signal where it waits."""
    begin = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-c", begin + code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        _, told = process.communicate()
        return process.returncode, told


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_while_packages_are_imported_there_is_no_traceback(number: signal.Signals, expected: int) -> None:
    assert ended_by(number, QUIET + WAITS) == (expected, "")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_the_end_there_is_no_traceback(number: signal.Signals, expected: int) -> None:
    assert ended_by(number, QUIET + "interrupts.exit_code_of(lambda: 0)\n" + WAITS) == (expected, "")


def test_a_command_gets_its_interrupt() -> None:
    own = f"def main():\n  try:\n    exec({WAITS!r})\n  except KeyboardInterrupt:\n    return 7\n"
    assert ended_by(signal.SIGINT, QUIET + own + "raise SystemExit(interrupts.exit_code_of(main))") == (7, "")


def test_one_that_no_command_caught_is_a_number_too() -> None:
    own = f"def main():\n  exec({WAITS!r})\n"
    assert ended_by(signal.SIGINT, QUIET + own + "raise SystemExit(interrupts.exit_code_of(main))") == (130, "")


def test_who_ignores_interrupts_is_not_interrupted() -> None:
    """A background job of a shell."""
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + QUIET
    then = "interrupts.exit_code_of(lambda: 0)\nimport os\nos.kill(os.getpid(), signal.SIGINT)\nprint(flush=True)\n"
    assert ended_by(signal.SIGTERM, ignoring + then + WAITS) == (143, "")


@pytest.mark.parametrize("code", [0, 1, 130])
def test_a_command_that_ends_by_itself_has_its_own_code(code: int) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        assert exit_code_of(lambda: code) == code
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
