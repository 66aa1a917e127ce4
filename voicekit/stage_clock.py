"""How long a run spent in each of its stages, without counting a second twice.

A ``Stopwatch`` measures a block and knows the measured blocks inside it; a ``StageClock`` collects what they
measured. Work that other threads do meanwhile is not added: the parts are the main thread's time. Neither
writes anything: ``logger_config.span`` does. Standard library, and psutil where there is no /proc.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Self


class StageClock:
    """Seconds by stage; a context manager that makes it the current clock.

    A stage inside another is taken from the outer one, so the parts never add up to more than ``total()``. A
    clock inside another (one job of several) tells the outer one what it was told.

    Args:
        since_process_start: count ``total()`` from there, not from now; what has passed is ``import``.

    Attributes:
        failed_stage: the innermost stage that the latest exception left; None if there was none.
    """

    def __init__(self, *, since_process_start: bool = False) -> None:
        age = process_age_s() if since_process_start else 0.0
        self._start = time.perf_counter() - age
        self._seconds: dict[str, float] = {"import": age} if age else {}
        self._thread = threading.get_ident()
        self._outer: StageClock | None = None
        self.failed_stage: str | None = None

    def __enter__(self) -> Self:
        self._outer = _clock.get()
        _clock.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _clock.set(self._outer)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds for a stage, unless another thread says so."""
        if threading.get_ident() == self._thread:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
            if self._outer:
                self._outer.add(stage, seconds)

    def fail(self, stage: str, error: BaseException) -> None:
        """Remember where an exception came from; the stages around that one tell of it again."""
        # A mark on the exception: keeping the exception itself would keep the arrays of its frames.
        if not getattr(error, "_stage_is_known", False):
            self.failed_stage = stage
            if self._outer:
                self._outer.fail(stage, error)
            with contextlib.suppress(AttributeError):
                error._stage_is_known = True  # type: ignore[attr-defined]

    def seconds(self) -> dict[str, float]:
        """Seconds of the stages that have ended, in the order of their first end; not of one still open."""
        return dict(self._seconds)

    def total(self) -> float:
        """Seconds since the clock's start."""
        return time.perf_counter() - self._start


class Stopwatch:
    """Measures a block from ``start`` to ``stop``, for the blocks around it and the clock of its stage.

    Attributes:
        seconds: wall time of the block; 0 before its end.
    """

    __slots__ = (
        "_begin", "_inner_s", "_parent", "_previous", "_staged_s", "_thread", "name", "seconds", "stage",
    )  # fmt: skip

    def __init__(self, name: str, stage: str | None = None) -> None:
        self.name, self.stage = name, stage
        self.seconds = self._inner_s = self._staged_s = self._begin = 0.0
        self._parent: Stopwatch | None = None
        self._previous: Stopwatch | None = None
        self._thread = 0

    def start(self) -> None:
        self._thread = threading.get_ident()
        self._previous = _current.get()
        # A block of another thread (its context was copied) runs beside this one: no time is taken from it.
        same = self._previous is not None and self._previous._thread == self._thread
        self._parent = self._previous if same else None
        _current.set(self)
        self._begin = time.perf_counter()

    def stop(self, error: BaseException | None = None) -> None:
        self.seconds = time.perf_counter() - self._begin
        _current.set(self._previous)
        clock = _clock.get()
        if self.stage and clock:
            clock.add(self.stage, self.seconds - self._staged_s)
            if error is not None:
                clock.fail(self.stage, error)
        if self._parent:
            self._parent._inner_s += self.seconds
            self._parent._staged_s += self.seconds if self.stage else self._staged_s

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


def process_age_s() -> float:
    """Seconds since this process began, to 10 ms on Linux, where psutil's time of creation is good to 1 s."""
    with contextlib.suppress(OSError, ValueError, IndexError, AttributeError):
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        if age >= 0:
            return age
    import psutil  # type: ignore[import-untyped, unused-ignore]

    return max(0.0, time.time() - float(psutil.Process().create_time()))
