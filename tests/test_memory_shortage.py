"""A machine without memory is told of as that, and nothing else is."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from voicekit.errors import AudioError, ModelError, ModelUnavailable, TextError
from voicekit.memory_shortage import NotEnoughMemory, shortage

ROOT = Path(__file__).resolve().parent.parent
WORDS = {
    "numpy": MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,) and data type float64"),
    "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: 12 bytes."),
    "a file": RuntimeError("unable to mmap 1867854631 bytes from file <model.pth>: Cannot allocate memory (12)"),
    "a library": ImportError("libtorch_python.so: failed to map segment from shared object"),
    "a library for GPUs": ImportError("libtorch_cuda.so: failed to map segment from shared object"),
    "ctypes": OSError("libgomp.so: failed to map segment from shared object"),
    "the system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "C++": RuntimeError("std::bad_alloc"),
}


@pytest.mark.parametrize("who", WORDS)
def test_every_way_of_saying_it_is_understood(who: str) -> None:
    found = shortage(WORDS[who])
    assert isinstance(found, NotEnoughMemory) and "ulimit" in found.hint and found.__cause__ is WORDS[who]


def test_it_is_found_behind_another_error_of_ours() -> None:
    for ours in (ModelError("model.pth cannot be read."), ModelUnavailable("XTTS cannot be imported.")):
        ours.__cause__ = WORDS["a file"]
        assert shortage(ours) is not None


def test_a_gpu_has_its_own_advice() -> None:
    found = shortage(RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."))
    assert found is not None and "GPU" in found.message and "--device cpu" in found.hint


@pytest.mark.parametrize("error", [
    TextError("The file 'out of memory.txt' is empty."), ValueError("no"), KeyboardInterrupt(), SystemExit(1),
    FileNotFoundError(errno.ENOENT, "No such file", "Cannot allocate memory.wav"), OSError(errno.ENOSPC, "No space"),
])  # fmt: skip
def test_what_is_none_stays_what_it_is(error: BaseException) -> None:
    assert shortage(error) is None


def test_a_recording_that_wants_all_memory_is_damaged() -> None:
    error = AudioError("The file is not audio that can be read.")
    error.__cause__ = MemoryError()
    assert shortage(error) is None


def test_errors_that_led_to_each_other_come_to_an_end() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert shortage(one) is None


LIMITED = """
import resource, sys
from pathlib import Path
import numpy, onnxruntime, scipy.signal
import improve_voice_sample
from voicekit import denoising, dnsmos, speech_detection
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 120_000_000, resource.RLIM_INFINITY))
sys.exit(improve_voice_sample.main([sys.argv[1], "-o", "better.wav"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space, and what is used of it")
def test_a_limit_is_told_of_and_nothing_is_written(tmp_path: Path) -> None:
    for _ in range(4):  # now and then a package's own thread meets the limit and ends the process: that tells nothing
        done = subprocess.run([sys.executable, "-c", LIMITED, str(ROOT / "samples" / "reference.wav")], cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": str(ROOT), "VOICE_CLONING_LOG_DIR": "logs"},
                              check=False, capture_output=True, text=True)  # fmt: skip
        if done.returncode not in (-signal.SIGABRT, -signal.SIGSEGV):
            break
    assert done.returncode == 1, done.stderr
    assert "Error: There is too little memory." in done.stderr and "Internal error" not in done.stderr
    assert not (tmp_path / "better.wav").exists()
