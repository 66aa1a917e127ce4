"""How much memory the process holds, and the most that it held during a block.

On Linux the kernel keeps the highest resident size and lets a process reset it, so that the peak of each block is
exact without a thread that samples. Elsewhere, or with ``VOICE_CLONING_STAGE_PEAKS=0``, a block's peak is a lower
bound unless the block set the record of the whole run. torch is asked only where it is imported already.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MB = 2**20  # bytes; sizes and memory are in these everywhere
STAGE_PEAKS_ENV = "VOICE_CLONING_STAGE_PEAKS"


@dataclass(frozen=True)
class MemorySnapshot:
    """Memory in MB (2**20 bytes); the CUDA fields are None without torch or without a GPU in use."""

    rss_mb: float
    peak_rss_mb: float
    available_mb: float
    cuda_allocated_mb: float | None = None
    cuda_peak_mb: float | None = None


class BlockMemory(NamedTuple):
    """Resident memory before and after a block and its peak, in MB; ``cuda_peak_mb`` is None without a GPU in use."""

    before_mb: float
    after_mb: float
    peak_mb: float
    cuda_peak_mb: float | None


def memory_snapshot() -> MemorySnapshot:
    """This process's resident memory and its peak, what the machine has left, tensors on the GPU."""
    cuda = _cuda()
    allocated = cuda.memory_allocated() / MB if cuda else None
    peak = METER.run_peak_mb()
    return MemorySnapshot(rss_mb(), peak, available_mb(), allocated, METER.run_cuda_peak_mb())


def rss_mb() -> float:
    """Resident memory of this process, MB; 10 microseconds on Linux."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/statm", "rb", 0) as statm:
        return int(statm.read().split()[1]) * _PAGE_MB
    return float(psutil().Process().memory_info().rss) / MB


def available_mb() -> float:
    """What the machine can still give to programs, MB."""
    return float(psutil().virtual_memory().available) / MB


def psutil() -> Any:
    """The package, imported when it is first needed: 20 ms that ``--help`` has no use for."""
    import psutil  # type: ignore[import-untyped, unused-ignore]

    return psutil


@dataclass(slots=True, eq=False)
class Block:
    """A block that is being measured."""

    before_mb: float
    peak_mb: float
    cuda_peak_mb: float | None = None


@dataclass
class PeakMeter:
    """Peaks of blocks that may lie inside each other.

    The counters of kernel and GPU are one for the process and are reset at every border of a block, so what they
    held goes to all blocks that are open first, and to the peak of the whole run.
    """

    _open: list[Block] = field(default_factory=list)
    _run_mb: float = 0.0
    _run_cuda_mb: float | None = None
    _floor_mb: float = 0.0  # a counter above it has risen since the latest border

    def begin(self) -> Block:
        """A block begins; ``end`` has to be called with it."""
        now_mb = self._border()
        block = Block(now_mb, now_mb)
        self._open.append(block)
        return block

    def end(self, block: Block) -> BlockMemory:
        """A block is over."""
        now_mb = self._border()
        self._open = [each for each in self._open if each is not block]  # threads may end theirs in any order
        return BlockMemory(block.before_mb, now_mb, max(block.peak_mb, now_mb), block.cuda_peak_mb)

    def run_peak_mb(self) -> float:
        """The most that this process ever held, MB."""
        self._run_mb = max(self._run_mb, _kernel_peak_mb(), rss_mb())
        return self._run_mb

    def run_cuda_peak_mb(self) -> float | None:
        """The most that tensors ever took on the GPU, MB."""
        return _largest(self._run_cuda_mb, _cuda_peak_mb())

    def _border(self) -> float:
        """Give what the counters hold to the open blocks, reset the counters; the resident memory now, MB."""
        now_mb, counted_mb, cuda_mb = rss_mb(), _kernel_peak_mb(), _cuda_peak_mb()
        peak_mb = counted_mb if counted_mb > self._floor_mb else now_mb
        for block in self._open:
            block.peak_mb = max(block.peak_mb, peak_mb)
            block.cuda_peak_mb = _largest(block.cuda_peak_mb, cuda_mb)
        self._run_mb = max(self._run_mb, counted_mb)
        self._run_cuda_mb = _largest(self._run_cuda_mb, cuda_mb)
        self._floor_mb = now_mb if _reset_counters() else counted_mb
        return now_mb


METER = PeakMeter()  # the counters are the process's, so there is one of it


def _largest(first: float | None, second: float | None) -> float | None:
    return max((each for each in (first, second) if each is not None), default=None)


def _kernel_peak_mb() -> float:
    """The highest resident size since the counter was reset, MB."""
    # Not getrusage's ru_maxrss: a program that a large one starts inherits the large one's.
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/status", "rb", 0) as status:
        return int(status.read().partition(b"VmHWM:")[2].split(None, 1)[0]) / 1024
    if sys.platform == "win32":
        return float(psutil().Process().memory_info().peak_wset) / MB
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024  # bytes there, KiB elsewhere


def _reset_counters() -> bool:
    """Whether the kernel's counter could be reset."""
    if cuda := _cuda():
        cuda.reset_peak_memory_stats()
    # Linux 4.0 and later: 5 resets the highest resident size (the kernel's documentation of proc, clear_refs).
    # Who asks the kernel for the process's peak afterwards sees the time since the latest border only.
    if sys.platform == "linux" and os.environ.get(STAGE_PEAKS_ENV) != "0":
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb", 0) as clear_refs:
            clear_refs.write(b"5")
            return True
    return False


def _cuda() -> Any:
    """torch.cuda where it is imported and has a GPU in use: asking must not create a CUDA context."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda if cuda and cuda.is_available() and cuda.is_initialized() else None


def _cuda_peak_mb() -> float | None:
    cuda = _cuda()
    return cuda.max_memory_allocated() / MB if cuda else None


_PAGE_MB = os.sysconf("SC_PAGESIZE") / MB if hasattr(os, "sysconf") else 4096 / MB
