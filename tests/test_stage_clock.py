"""Stages: no second counted twice, processor time and memory where they belong, exceptions and threads."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from logger_config import span, timed
from tests.test_memory import Held, hold_for_a_moment
from voicekit.stage_clock import StageClock, Stopwatch, process_age_s, stage_clock


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list whose first item is the time of every clock of the module under test."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def busy(cpu_s: float) -> None:
    end = time.process_time() + cpu_s
    while time.process_time() < end:
        pass


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
    calls = {name: stage.calls for name, stage in clock.stages().items()}
    assert calls == {"generate": 2, "vocode": 1, "preprocess": 1}


def test_a_generator_is_timed_while_it_works_not_while_its_caller_does(ticks: list[float]) -> None:
    @timed(stage="generate")
    def segments() -> Iterator[int]:
        for number in range(3):
            ticks[0] += 5
            yield number
        ticks[0] += 1

    with StageClock() as clock, span("caller", stage="write"):
        for _ in segments():
            ticks[0] += 100
    assert clock.seconds() == {"generate": 16, "write": 300}


def test_a_clock_in_a_clock_tells_the_outer_one(ticks: list[float]) -> None:
    with StageClock() as whole:
        for _ in range(2):
            with StageClock() as job:
                assert stage_clock() is job
                with span("s", stage="write") as step:
                    ticks[0] += 1
                    step.count(audio_s=2.5)
            assert job.seconds() == {"write": 1} and job.total() == 1
            assert job.stages()["write"].sizes == {"audio_s": 2.5}
        assert stage_clock() is whole
    assert whole.seconds() == {"write": 2} and whole.stages()["write"].sizes == {"audio_s": 5.0}
    assert stage_clock() is not whole


def test_sizes_go_to_the_nearest_stage_around_them() -> None:
    with StageClock() as clock:
        with span("outer", stage="generate"):
            with span("inner") as inner:
                inner.count(codes=100)
            with span("other", stage="vocode") as other:
                other.count(codes=100, samples=5)
            with span("again", stage="generate") as again:
                again.count(codes=47)
        with span("alone") as alone:
            alone.count(codes=1)  # in no stage: a note of the span only
    assert {name: stage.sizes for name, stage in clock.stages().items()} == {
        "generate": {"codes": 147}, "vocode": {"codes": 100, "samples": 5},
    }  # fmt: skip


def test_processor_time_is_counted_without_that_of_stages_inside() -> None:
    with StageClock() as clock, span("outer", stage="generate"):
        busy(0.1)
        with span("inner", stage="vocode"):
            busy(0.3)
        time.sleep(0.2)
    outer, inner = clock.stages()["generate"], clock.stages()["vocode"]
    assert outer.cpu_s == pytest.approx(0.1, abs=0.04)
    assert inner.cpu_s == pytest.approx(0.3, abs=0.04)
    assert outer.seconds >= 0.3 - 0.04


@pytest.mark.skipif(sys.platform != "linux", reason="exact on Linux only")
def test_a_stages_memory_is_that_of_its_block_which_needed_most() -> None:
    with StageClock() as clock:
        for mb in (20, 90, 40):
            with span("s", stage="generate"):
                hold_for_a_moment(mb)
        held = Held(200)
        with span("a small block, when the process holds much", stage="generate"):
            hold_for_a_moment(1)
        held.free()
        with span("t", stage="vocode"):
            pass
    generate, vocode = clock.stages()["generate"], clock.stages()["vocode"]
    assert generate.rss_before_mb and generate.rss_after_mb and generate.rss_peak_mb and vocode.rss_peak_mb
    assert generate.rss_peak_mb - generate.rss_before_mb == pytest.approx(90, abs=4)
    assert generate.rss_after_mb == pytest.approx(generate.rss_before_mb, abs=4)
    assert vocode.rss_peak_mb < generate.rss_peak_mb - 80


def test_the_block_around_all_stages_takes_no_memory() -> None:
    with StageClock() as clock:
        rest = Stopwatch("script", "import", memory=False)
        rest.start()
        rest.stop()
    assert clock.stages()["import"].rss_peak_mb is None and rest.memory is None


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


def test_each_stage_is_announced_as_it_begins() -> None:
    entered: list[str] = []
    with StageClock(entered=entered.append), span("a", stage="generate"), span("b"), span("c", stage="vocode"):
        pass
    assert entered == ["generate", "vocode"]


def test_the_clock_knows_the_innermost_stage_that_failed() -> None:
    with StageClock() as clock:
        for stages in (("write", "vocode"), ("generate", "condition_voice")):
            with pytest.raises(ValueError, match="x"), span("a", stage=stages[0]), span("b", stage=stages[1]):
                raise ValueError("x")
    assert clock.failed_stage == "condition_voice"


def test_the_parts_add_up_to_the_whole() -> None:
    with StageClock() as clock:
        rest = Stopwatch("script", "import", memory=False)
        rest.start()
        for stage in ("preprocess", "generate", "vocode", "generate"):
            time.sleep(0.01)
            with span(stage, stage=stage):
                time.sleep(0.03)
                with span("inside", stage="write"):
                    time.sleep(0.01)
        rest.stop()
        total = clock.total()
    assert sum(clock.seconds().values()) == pytest.approx(total, rel=0.02)


def test_the_process_is_older_than_this_test() -> None:
    psutil = pytest.importorskip("psutil")
    age = process_age_s()
    assert age == pytest.approx(time.time() - psutil.Process().create_time(), abs=2.0)
    clock = StageClock(since_process_start=True)
    assert clock.total() >= age and clock.seconds()["import"] >= age
