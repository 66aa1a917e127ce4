"""Memory of the process and of blocks: against blocks of known size, and against the kernel's own figures."""

from __future__ import annotations

import mmap
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from voicekit import memory
from voicekit.memory import METER, PeakMeter, memory_snapshot, rss_mb

ROOT = Path(__file__).resolve().parent.parent
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counter can be reset on Linux only")
SLACK_MB = 4  # the kernel counts pages in batches


class Held:
    """Memory from the kernel, of which every page is touched: malloc might reuse pages that are resident already."""

    def __init__(self, mb: int) -> None:
        self._block = mmap.mmap(-1, mb * 2**20)
        for _ in range(mb):  # piece by piece: what is written from would count too
            self._block.write(bytes(2**20))

    def free(self) -> None:
        self._block.close()


def hold_for_a_moment(mb: int) -> None:
    Held(mb).free()


def test_a_snapshot_sees_what_is_allocated() -> None:
    before = memory_snapshot()
    held = Held(64)
    after = memory_snapshot()
    assert after.rss_mb - before.rss_mb == pytest.approx(64, abs=SLACK_MB)
    held.free()
    later = memory_snapshot()
    assert later.rss_mb < after.rss_mb - 64 + 2 * SLACK_MB
    assert later.peak_rss_mb > after.rss_mb - SLACK_MB and later.available_mb > 0


def test_resident_memory_is_what_psutil_says() -> None:
    psutil = pytest.importorskip("psutil")
    assert rss_mb() == pytest.approx(psutil.Process().memory_info().rss / 2**20, abs=SLACK_MB)


@LINUX
def test_each_blocks_peak_is_its_own_although_blocks_lie_inside_each_other() -> None:
    hold_for_a_moment(300)  # before: must not be seen in any of them
    outer = METER.begin()
    hold_for_a_moment(40)
    first = METER.begin()
    hold_for_a_moment(120)
    first_memory = METER.end(first)
    second = METER.begin()
    hold_for_a_moment(20)
    second_memory = METER.end(second)
    outer_memory = METER.end(outer)
    for found, expected in ((first_memory, 120), (second_memory, 20), (outer_memory, 120)):
        assert found.peak_mb - found.before_mb == pytest.approx(expected, abs=SLACK_MB)
        assert found.after_mb == pytest.approx(found.before_mb, abs=SLACK_MB)
    assert METER.run_peak_mb() >= first_memory.before_mb + 300 - SLACK_MB  # the run's peak was before them


@LINUX
def test_what_a_block_keeps_is_after_it() -> None:
    block = METER.begin()
    held = Held(50)
    found = METER.end(block)
    assert found.after_mb - found.before_mb == pytest.approx(50, abs=SLACK_MB)
    held.free()


@LINUX
def test_blocks_of_threads_may_end_in_any_order() -> None:
    first, second = METER.begin(), METER.begin()
    assert METER.end(first).peak_mb > 0
    worker = threading.Thread(target=hold_for_a_moment, args=(30,))
    worker.start()
    worker.join()
    found = METER.end(second)
    assert found.peak_mb - found.before_mb == pytest.approx(30, abs=SLACK_MB)


@LINUX
def test_a_program_does_not_inherit_the_peak_of_the_one_that_starts_it() -> None:
    held = Held(300)
    code = "from voicekit.memory import METER; print(METER.run_peak_mb())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    held.free()
    assert float(done.stdout) < 100


def test_where_the_counter_cannot_be_reset_a_peak_is_never_that_of_an_earlier_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peak = [500.0]
    monkeypatch.setattr(memory, "_kernel_peak_mb", lambda: peak[0])
    monkeypatch.setattr(memory, "_reset_counters", lambda: False)
    monkeypatch.setattr(memory, "rss_mb", lambda: 100.0)
    meter = PeakMeter()
    block = meter.begin()
    assert meter.end(block).peak_mb == 100.0  # the 500 were another's
    block = meter.begin()
    peak[0] = 600.0
    assert meter.end(block).peak_mb == 600.0  # the record of the run was set in it
    assert meter.run_peak_mb() == 600.0


@LINUX
def test_the_kernels_counter_is_left_alone_where_that_is_asked_for() -> None:
    code = (
        "import mmap, re\n"
        "from voicekit.memory import METER\n"
        "block = mmap.mmap(-1, 200 * 2**20); block.write(bytes(200 * 2**20)); block.close()\n"
        "METER.end(METER.begin())\n"
        "kernels = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(int(kernels) / 1024, METER.run_peak_mb())"
    )
    for value, kept in (("0", True), ("1", False)):
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"VOICE_CLONING_STAGE_PEAKS": value},
                              check=True, capture_output=True, text=True)  # fmt: skip
        kernels, ours = (float(figure) for figure in done.stdout.split())
        assert ours > 200
        assert (kernels > 200) is kept


def test_a_snapshot_never_imports_torch() -> None:
    code = (
        "import sys, logger_config as c; m = c.memory_snapshot(); c.log_torch_info()\n"
        "assert 'torch' not in sys.modules and m.cuda_allocated_mb is None and m.cuda_peak_mb is None"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


class FakeCuda:
    """The few names that are asked of torch.cuda, over counters that a test sets."""

    def __init__(self) -> None:
        self.allocated = self.peak = 0

    def hold(self, mb: int) -> None:
        self.allocated = mb * 2**20
        self.peak = max(self.peak, self.allocated)

    def is_available(self) -> bool:
        return True

    is_initialized = is_available

    def memory_allocated(self) -> int:
        return self.allocated

    def max_memory_allocated(self) -> int:
        return self.peak

    def reset_peak_memory_stats(self) -> None:
        self.peak = self.allocated


def test_the_gpus_peak_is_folded_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    monkeypatch.setattr(memory, "_cuda", lambda: cuda)
    meter = PeakMeter()
    outer = meter.begin()
    cuda.hold(900)
    cuda.hold(100)
    inner = meter.begin()
    cuda.hold(300)
    cuda.hold(0)
    assert meter.end(inner).cuda_peak_mb == 300
    assert meter.end(outer).cuda_peak_mb == 900
    cuda.hold(50)
    assert meter.run_cuda_peak_mb() == 900
