"""What a run used in each of its stages: seconds, processor time, memory, without counting a second twice.

A ``Stopwatch`` measures a block and knows the measured blocks inside it; a ``StageClock`` collects what they
measured. Work that other threads do meanwhile is not added: the parts are the main thread's time. Neither
writes anything: ``logger_config.span`` does. Standard library, and psutil where there is no /proc.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from voicekit.memory import METER, Block, BlockMemory


@dataclass
class Stage:
    """What a stage used, all its blocks together, without the stages inside them.

    seconds: wall time. cpu_s: processor time of all threads of the process meanwhile. calls: how many blocks.
    major_faults: pages that had to be read from the disk; None where the system does not say.
    rss_before_mb, rss_after_mb, rss_peak_mb: resident memory of that block which needed most on top of what was
        there before it, MB (2**20 bytes); stages inside it included.
    cuda_peak_mb: the most in any block.
    sizes: what ``count`` was told: how much was worked on.
    """

    seconds: float = 0.0
    cpu_s: float = 0.0
    calls: int = 0
    major_faults: int | None = None
    rss_before_mb: float | None = None
    rss_after_mb: float | None = None
    rss_peak_mb: float | None = None
    cuda_peak_mb: float | None = None
    sizes: dict[str, float] = field(default_factory=dict)


class Used(NamedTuple):
    """Seconds of wall and processor, pages read from the disk; a span of them, or a reading of the counters."""

    seconds: float
    cpu_s: float = 0.0
    major_faults: int = 0

    def plus(self, other: Used) -> Used:
        """The sum, number by number."""
        return Used(self[0] + other[0], self[1] + other[1], self[2] + other[2])

    def minus(self, other: Used) -> Used:
        """The difference, number by number."""
        return Used(self[0] - other[0], self[1] - other[1], self[2] - other[2])


NOTHING = Used(0.0)


class StageClock:
    """What was used by stage; a context manager that makes it the current clock.

    A stage inside another is taken from the outer one, so the parts never add up to more than ``total()``. A
    clock inside another (one job of several) tells the outer one what it was told.

    Args:
        since_process_start: count ``total()`` from there, not from now; what has passed is ``import``.
        entered: is told the name of each stage as a block of it begins.

    Attributes:
        failed_stage: the innermost stage that the latest exception left; None if there was none.
    """

    def __init__(
        self, *, since_process_start: bool = False, entered: Callable[[str], None] | None = None
    ) -> None:
        age = process_age_s() if since_process_start else 0.0
        self._start = time.perf_counter() - age
        self._stages: dict[str, Stage] = {}
        if age:
            self._stages["import"] = Stage(age, time.process_time())
        self._thread = threading.get_ident()
        self._outer: StageClock | None = None
        self._entered = entered
        self.failed_stage: str | None = None

    def __enter__(self) -> Self:
        self._outer = _clock.get()
        _clock.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _clock.set(self._outer)

    @property
    def is_here(self) -> bool:
        """Whether this thread is the one whose time is counted."""
        return threading.get_ident() == self._thread

    def enter(self, stage: str) -> None:
        """A block of a stage begins."""
        if self._entered:
            self._entered(stage)
        if self._outer:
            self._outer.enter(stage)

    def add(self, stage: str, used: Used, memory: BlockMemory | None = None) -> None:
        """Count what a block of a stage used."""
        kept = self._stages.setdefault(stage, Stage())
        kept.seconds += used.seconds
        kept.cpu_s += used.cpu_s
        kept.calls += 1
        if _FAULTS_ARE_COUNTED:
            kept.major_faults = (kept.major_faults or 0) + used.major_faults
        if memory:
            _remember(kept, memory)
        if self._outer:
            self._outer.add(stage, used, memory)

    def count(self, stage: str, sizes: dict[str, float]) -> None:
        """Add to how much a stage worked on: codes, samples, seconds of audio."""
        kept = self._stages.setdefault(stage, Stage()).sizes
        for name, amount in sizes.items():
            kept[name] = kept.get(name, 0) + amount
        if self._outer:
            self._outer.count(stage, sizes)

    def fail(self, stage: str, error: BaseException) -> None:
        """Remember where an exception came from; the stages around that one tell of it again."""
        # A mark on the exception: keeping the exception itself would keep the arrays of its frames.
        if not getattr(error, "_stage_is_known", False):
            self.failed_stage = stage
            if self._outer:
                self._outer.fail(stage, error)
            with contextlib.suppress(AttributeError):
                error._stage_is_known = True  # type: ignore[attr-defined]

    def stages(self) -> dict[str, Stage]:
        """The stages that have ended, in the order of their first end; not one still open."""
        return dict(self._stages)

    def seconds(self) -> dict[str, float]:
        """Seconds of these stages."""
        return {name: stage.seconds for name, stage in self._stages.items()}

    def total(self) -> float:
        """Seconds since the clock's start."""
        return time.perf_counter() - self._start


def _remember(stage: Stage, memory: BlockMemory) -> None:
    needed = (stage.rss_peak_mb or 0.0) - (stage.rss_before_mb or 0.0)
    if stage.rss_peak_mb is None or memory.peak_mb - memory.before_mb > needed:
        stage.rss_before_mb, stage.rss_after_mb, stage.rss_peak_mb = memory[:3]
    if memory.cuda_peak_mb is not None:
        stage.cuda_peak_mb = max(stage.cuda_peak_mb or 0.0, memory.cuda_peak_mb)


class Stopwatch:
    """Measures a block from ``start`` to ``stop``, for the blocks around it and the clock of its stage.

    A block without a stage costs two readings of a clock; one with a stage reads the counters of the process too
    (some 100 microseconds). In a thread that is not the clock's, a block is measured for itself alone.

    Args:
        stage: what its time counts for; None for none.
        memory: measure memory before, after and at the peak; None: if the block has a stage.

    Attributes:
        seconds: wall time of the block; 0 before its end.
        memory: what the block held; None before its end, or if that is not measured.
    """

    __slots__ = (
        "_begin", "_block", "_clock", "_inner_s", "_parent", "_previous", "_staged", "_thread", "_usage",
        "_wants_memory", "memory", "name", "seconds", "stage",
    )  # fmt: skip

    def __init__(self, name: str, stage: str | None = None, *, memory: bool | None = None) -> None:
        self.name, self.stage, self._wants_memory = name, stage, memory
        self.memory: BlockMemory | None = None
        self.seconds = self._inner_s = self._begin = 0.0
        self._staged = self._usage = NOTHING
        self._parent: Stopwatch | None = None
        self._previous: Stopwatch | None = None
        self._clock: StageClock | None = None
        self._block: Block | None = None
        self._thread = 0

    def start(self) -> None:
        """Begin: what starts within this block, on this thread, is part of it."""
        self._thread = threading.get_ident()
        self._previous = previous = _current.get()
        # A block of another thread (its context was copied) runs beside this one: no time is taken from it.
        self._parent = previous if previous is not None and previous._thread == self._thread else None
        _current.set(self)
        if self.stage and (clock := _clock.get()) and clock.is_here:
            clock.enter(self.stage)
            self._clock, self._usage = clock, _usage()
        if self._wants_memory or (self._clock and self._wants_memory is None):
            self._block = METER.begin()
        self._begin = time.perf_counter()

    def stop(self, error: BaseException | None = None) -> None:
        """End; the error is the one by which the block was left, if by any."""
        self.seconds = time.perf_counter() - self._begin
        _current.set(self._previous)
        used = self._staged
        if self._block:
            self.memory = METER.end(self._block)
        if self.stage and self._clock:
            used = _usage().minus(self._usage)._replace(seconds=self.seconds)
            self._clock.add(self.stage, used.minus(self._staged), self.memory)
            if error is not None:
                self._clock.fail(self.stage, error)
        if self._parent:
            self._parent._inner_s += self.seconds
            if used is not NOTHING:
                self._parent._staged = self._parent._staged.plus(used)

    def count(self, **sizes: float) -> None:
        """How much is worked on here, for the stage of this block or of the nearest one around it."""
        watch: Stopwatch | None = self
        while watch and not (watch.stage and watch._clock):
            watch = watch._parent
        if watch and watch.stage and watch._clock:
            watch._clock.count(watch.stage, sizes)

    @property
    def self_seconds(self) -> float:
        """Seconds outside the measured blocks inside this one."""
        return self.seconds - self._inner_s

    @property
    def is_nested(self) -> bool:
        """Whether a measured block of the same thread is around this one."""
        return self._parent is not None


_clock: ContextVar[StageClock | None] = ContextVar("stage_clock", default=None)
_current: ContextVar[Stopwatch | None] = ContextVar("current_stopwatch", default=None)


def stage_clock() -> StageClock:
    """The current clock; outside of any, a new one that no stopwatch knows."""
    return _clock.get() or StageClock()


def _usage() -> Used:
    """The process's counters now; their seconds are not used."""
    try:
        import resource
    except ImportError:  # Windows
        return Used(0.0, time.process_time())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Used(0.0, usage.ru_utime + usage.ru_stime, usage.ru_majflt)


_FAULTS_ARE_COUNTED = os.name == "posix"


def process_age_s() -> float:
    """Seconds since this process began, to 10 ms on Linux, where psutil's time of creation is good to 1 s."""
    with contextlib.suppress(OSError, ValueError, IndexError, AttributeError):
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        if age >= 0:
            return age
    import psutil  # type: ignore[import-untyped, unused-ignore]

    return max(0.0, time.time() - float(psutil.Process().create_time()))
