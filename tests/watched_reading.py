"""Reading files that nobody trusts, under a watch: what came of it, the memory it took, whether a sample was decoded.

Meant for a process of its own (``in_a_child``): a decoder that never ends is killed by the kernel, and one that
crashes takes no test run with it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from voicekit import audio_reading
from voicekit.audio import Recording, read_recording
from voicekit.errors import AudioError
from voicekit.memory import METER
from voicekit.screening import read_excerpt

ROOT = Path(__file__).resolve().parent.parent
HANG_S = 10.0  # of processor time: a busy machine is no hang
SLEEP_S = 300.0  # of wall time, for a whole child: what only waits uses no processor
ADDRESS_SPACE = 8 * 2**30  # bytes; protects the machine, not the assertion


@dataclass(frozen=True)
class Outcome:
    """What came of reading a file.

    heard: a decoder gave at least one block of samples. refusal: what a user is told; None where the file was read.
    values: samples times channels that came. grown_mb: resident memory at the peak, over what was there before.
    defect: what must never happen, in words; None where nothing did.
    """

    heard: bool
    refusal: str | None
    values: int
    grown_mb: float
    defect: str | None


def _improving(path: str | Path) -> Recording:
    return read_excerpt(path).recording


READERS: dict[str, Callable[[str | Path], Recording]] = {"clone": read_recording, "improve": _improving}


def watched(path: str | Path, reader: str) -> Outcome:
    """Reads as one of the commands does; kills the process where that takes over ``HANG_S`` of processor time."""
    heard: list[bool] = []
    checked = audio_reading._checked

    def noting(blocks: Iterator[audio_reading.Block], *limits: Any) -> Iterator[audio_reading.Block]:
        return checked((heard.append(True) or block for block in blocks), *limits)  # type: ignore[func-returns-value]

    refusal = defect = None
    values = 0
    block = METER.begin()
    _alarm(HANG_S)
    try:
        with mock.patch.object(audio_reading, "_checked", noting):
            recording = READERS[reader](path)
        values, defect = recording.samples.size, _flaw(recording)
    except AudioError as error:
        refusal, defect = error.message, _poor_refusal(error)
    except Exception:
        defect = traceback.format_exc()
    _alarm(0)
    used = METER.end(block)
    return Outcome(bool(heard), refusal, values, used.peak_mb - used.before_mb, defect)


def _flaw(recording: Recording) -> str | None:
    """What is wrong with a recording that was read."""
    samples = recording.samples
    if samples.dtype != np.float32 or samples.ndim != 2 or not samples.size:
        return f"samples are {samples.dtype} {samples.shape}"
    return None if np.isfinite(samples).all() else "samples that are no numbers"


def _poor_refusal(error: AudioError) -> str | None:
    """What is wrong with what a user is told."""
    if type(error.__cause__) is MemoryError:  # not FFmpeg's, which keeps to a limit that is set
        return f"the memory ran out: {error.__cause__}"
    return None if error.message and error.hint else f"no message or no hint: {error!r}"


def _alarm(seconds: float) -> None:
    """The kernel ends the process after so much processor time; 0: it does not."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def prepare_child() -> None:
    """To be called first in a child: limits, and a traceback of where a decoder hangs."""
    if hasattr(signal, "SIGPROF"):
        faulthandler.enable()
        faulthandler.register(signal.SIGPROF, chain=True)
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def in_a_child(function: str, *arguments: Any, seconds: float = SLEEP_S) -> Any:
    """Calls ``tests.module.function`` with JSON arguments in a new process; gives what it returned.

    The child must end by itself, in time, and without a word on its streams: the C libraries speak there.
    """
    module, _, name = function.rpartition(".")
    program = (
        f"import json, sys; from tests.watched_reading import prepare_child; from {module} import {name}\n"
        f"prepare_child(); found = {name}(*json.loads(sys.argv[1])); open(3, 'w').write(json.dumps(found))"
    )
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as answer:
        child = subprocess.Popen(
            [sys.executable, "-c", program.replace("open(3", f"open({writing}"), json.dumps(arguments)],
            cwd=ROOT, pass_fds=(writing,), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace",
        )  # fmt: skip
        os.close(writing)
        try:
            said, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        assert child.returncode == 0, f"ended with {child.returncode}:\n{said[-4000:]}"
        assert not said, f"the libraries spoke:\n{said[:4000]}"
        return json.loads(answer.read())
