"""What fails is told of and left out, and the others go on; unless somebody waits for one."""

from __future__ import annotations

import logging

import pytest

from voicekit.cloning import Listener, Request
from voicekit.errors import AudioError, VoiceError
from voicekit.tasks import Task, Tasks


class Told(Listener):
    def __init__(self) -> None:
        self.failures: list[tuple[Request, VoiceError]] = []

    def failed(self, request: Request, error: VoiceError) -> None:
        self.failures.append((request, error))


REQUESTS = [Request(f"text {number}", ("voice.wav",), f"{number}.wav", "en", line=number) for number in range(3)]
ERROR = AudioError("It is silent.", "Record it again.")


def failing(at: int, seen: list[int]) -> object:
    def stage(task: Task) -> None:
        seen.append(task.number)
        if task.number == at:
            raise ERROR

    return stage


def test_the_failure_of_one_that_is_alone_is_an_exception() -> None:
    told = Told()
    tasks = Tasks(REQUESTS[:1], told, alone=True)
    with pytest.raises(AudioError) as raised:
        tasks.each(failing(0, []))  # type: ignore[arg-type]
    assert raised.value is ERROR
    assert told.failures == []


@pytest.mark.parametrize("at", [0, 1, 2])
def test_of_several_the_others_go_on(at: int, caplog: pytest.LogCaptureFixture) -> None:
    told, seen = Told(), list[int]()
    tasks = Tasks(REQUESTS, told, alone=False)
    with caplog.at_level(logging.ERROR):
        tasks.each(failing(at, seen))  # type: ignore[arg-type]
    assert seen == [0, 1, 2]
    assert told.failures == [(REQUESTS[at], ERROR)]
    others = [number for number in range(3) if number != at]
    assert [task.number for task in tasks.left] == others
    assert f"Request {at + 1} failed" in caplog.text
    seen.clear()
    tasks.each(failing(9, seen))  # type: ignore[arg-type]
    assert seen == others  # what failed is not tried again


def test_all_may_fail() -> None:
    told = Told()
    tasks = Tasks(REQUESTS, told, alone=False)

    def stage(task: Task) -> None:
        raise ERROR

    tasks.each(stage)
    assert tasks.left == [] and len(told.failures) == 3
    tasks.each(stage)
    assert len(told.failures) == 3


def test_a_defect_is_nobodys_failure() -> None:
    told = Told()
    tasks = Tasks(REQUESTS, told, alone=False)

    def stage(task: Task) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tasks.each(stage)
    assert told.failures == [] and len(tasks.left) == 3


def test_what_a_stage_makes_of_a_task_the_next_one_finds() -> None:
    tasks = Tasks(REQUESTS, Listener(), alone=False)
    tasks.each(lambda task: setattr(task, "seed", task.number + 10))
    assert [task.seed for task in tasks.left] == [10, 11, 12]
