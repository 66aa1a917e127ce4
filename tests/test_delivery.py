"""Segments to the outputs that they belong to: each finished with its last one, a failed one never half written."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from voicekit.audio import Audio
from voicekit.cloning import Cloned, CloneSettings, Listener, Request, SpokenSegment
from voicekit.cutting import Cut
from voicekit.delivery import Delivery, tags_of
from voicekit.errors import ModelUnavailable, OutputError, VoiceError
from voicekit.journal import Spoken
from voicekit.metadata import read_tags
from voicekit.speech_plan import Line
from voicekit.tasks import Task, Tasks
from voicekit.text import Segment
from voicekit.utterances import SpeechSettings, Utterance

RATE = 24_000


class Told(Listener):
    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.warnings: list[str] = []

    def warn(self, line: str) -> None:
        self.warnings.append(line)

    def spoken(self, segment: SpokenSegment, characters: int) -> None:
        self.events.append(("spoken", (segment.index, characters)))

    def done(self, request: Request, cloned: Cloned) -> None:
        assert request.output == "-" or Path(request.output).exists()
        self.events.append(("done", request.output))

    def failed(self, request: Request, error: VoiceError) -> None:
        self.events.append(("failed", request.output))

    def outputs(self, what: str) -> list[str]:
        return [output for name, output in self.events if name == what]


class Hearing:
    """A recogniser that understands the text, or what it is told to, or fails at a call."""

    def __init__(self, heard: str = "", fails_at: int = -1) -> None:
        self.calls, self._heard, self._fails_at = 0, heard, fails_at

    def hears(self, audio: Audio, language: str) -> str:
        self.calls += 1
        if self.calls - 1 == self._fails_at:
            raise ModelUnavailable("The recogniser is gone.", "Install it.")
        return self._heard


def a_model(similarity: float = 0.5, *, trained: bool = True) -> Any:
    def speech_settings(**wanted: float | None) -> SpeechSettings:
        return SpeechSettings(**{name: value for name, value in wanted.items() if value is not None})  # type: ignore[arg-type]

    checkpoint = SimpleNamespace(name="tiny", licence_url="https://example.org/licence", trained=trained)
    return SimpleNamespace(
        checkpoint=checkpoint, device=SimpleNamespace(name="cpu"), precision="float32",
        speech_settings=speech_settings, similarity=lambda audio, voice: similarity,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tasks_of(names: Sequence[str], told: Listener, segments: int = 2, *, alone: bool = False, **settings: Any) -> Tasks:
    requests = [Request("One. Two.", ("voice.wav",), name, "en", CloneSettings(**settings), title=f"T {name}")
                for name in names]  # fmt: skip
    tasks = Tasks(requests, told, alone=alone)
    for task in tasks.left:
        task.cut = Cut(tuple(Segment(f"words {n}", 0.25) for n in range(segments)), (0.0,) * segments)
        task.voice, task.seed = SimpleNamespace(), 100 + task.number  # type: ignore[assignment]
    return tasks


def line(reading: int, index: int) -> Line:
    return Line(reading, index, Utterance(f"words {index}", "en", 7, index))


def spoken(seconds: float = 0.5, **facts: Any) -> Spoken:
    return Spoken(Audio(np.full(round(seconds * RATE), 0.5, np.float32), RATE), 20, True, **facts)


def delivered(
    tasks: Tasks, told: Listener, order: Sequence[tuple[int, int]], tts: Any = None, *, recogniser: Any = None,
    each: Spoken | None = None,
) -> tuple[Cloned, ...]:  # fmt: skip
    with Delivery(tasks, tts or a_model(), told, hears=None, recogniser=recogniser) as delivery:
        for reading, index in order:
            delivery.add(line(reading, index), each or spoken())
        return delivery.done


# --- outputs --------------------------------------------------------------------------------------------------


def test_each_output_is_finished_with_its_last_segment() -> None:
    told = Told()
    done = delivered(tasks_of(("a.wav", "b.wav"), told), told, [(0, 0), (1, 0), (1, 1), (0, 1)])
    assert told.outputs("done") == ["b.wav", "a.wav"]
    assert [name for name, _ in told.events] == ["spoken", "spoken", "spoken", "done", "spoken", "done"]
    assert told.events[0] == ("spoken", (0, len("words 0")))
    assert [(cloned.output, cloned.seed) for cloned in done] == [("a.wav", 100), ("b.wav", 101)]  # of the requests
    for cloned in done:
        assert soundfile.info(cloned.output).duration == pytest.approx(1.25)
        assert (cloned.device, cloned.precision, cloned.model, cloned.similarity) == ("cpu", "float32", "tiny", 0.5)


def test_what_was_cut_short_leaves_nothing() -> None:
    told = Told()
    with pytest.raises(KeyboardInterrupt):
        with Delivery(tasks_of(("a.wav", "b.wav"), told), a_model(), told, hears=None, recogniser=None) as delivery:
            for reading, index in ((0, 0), (1, 0), (1, 1)):
                delivery.add(line(reading, index), spoken())
            raise KeyboardInterrupt
    assert os.listdir() == ["b.wav"]  # which was finished
    assert [cloned.output for cloned in delivery.done] == ["b.wav"]


def test_what_fails_in_the_middle_is_absent_and_the_others_go_on() -> None:
    told = Told()
    tasks = tasks_of(("a.wav", "b.wav"), told, 3)
    order = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    done = delivered(tasks, told, order, recogniser=Hearing(fails_at=1))
    assert told.outputs("failed") == ["a.wav"] and told.outputs("done") == ["b.wav"]
    assert [cloned.output for cloned in done] == ["b.wav"]
    assert [task.number for task in tasks.left] == [1]
    assert os.listdir() == ["b.wav"]  # neither half of the other one, nor anything hidden


def test_what_failed_takes_no_more_segments() -> None:
    told, hearing = Told(), Hearing(fails_at=0)
    delivered(tasks_of(("a.wav", "b.wav"), told), told, [(0, 0), (0, 1), (1, 0), (1, 1)], recogniser=hearing)
    assert hearing.calls == 3
    assert len(told.outputs("failed")) == 1


def test_a_name_that_was_taken_meanwhile_fails_alone() -> None:
    told = Told()
    tasks = tasks_of(("a.wav", "b.wav"), told)
    with Delivery(tasks, a_model(), told, hears=None, recogniser=None) as delivery:
        delivery.add(line(0, 0), spoken())
        Path("a.wav").write_bytes(b"theirs")
        for reading, index in ((0, 1), (1, 0), (1, 1)):
            delivery.add(line(reading, index), spoken())
    assert told.outputs("failed") == ["a.wav"] and told.outputs("done") == ["b.wav"]
    assert Path("a.wav").read_bytes() == b"theirs"


def test_the_failure_of_one_that_is_alone_is_an_exception() -> None:
    told = Told()
    with pytest.raises(ModelUnavailable):
        delivered(tasks_of(("a.wav",), told, alone=True), told, [(0, 0), (0, 1)], recogniser=Hearing(fails_at=1))
    assert os.listdir() == [] and told.outputs("failed") == []


def test_what_failed_before_is_not_counted() -> None:
    """A line names its reading by its place among the tasks that were left when the speaking began."""
    told = Told()
    tasks = tasks_of(("a.wav", "b.wav"), told)
    tasks.fail(tasks.left[0], OutputError("The disk is full."))
    (cloned,) = delivered(tasks, told, [(0, 0), (0, 1)])
    assert (cloned.output, cloned.seed) == ("b.wav", 101)


# --- what is said of the sound --------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "similarity", "expected"), [
    (0.5, 0.66666, 0.667), (0.5, math.nan, None), (0.2, 0.66666, None), (0.25, -0.1, -0.1),
])  # fmt: skip
def test_similarity_is_told_where_there_is_something_to_hear(
    seconds: float, similarity: float, expected: float | None
) -> None:
    told = Told()
    (cloned,) = delivered(
        tasks_of(("a.wav",), told), told, [(0, 0), (0, 1)], a_model(similarity), each=spoken(seconds)
    )
    assert cloned.similarity == expected


def test_faults_in_every_take_are_warned_of_but_not_of_noise() -> None:
    for trained in (True, False):
        told = Told()
        delivered(tasks_of(("a.wav",), told, 12, overwrite=True), told, [(0, n) for n in range(12)],
                  a_model(trained=trained), each=spoken(faults=("loop", "ceiling")))  # fmt: skip
        assert len(told.warnings) == trained
    told = Told()
    delivered(tasks_of(("b.wav",), told), told, [(0, 0), (0, 1)])
    assert told.warnings == []


def test_a_warning_names_the_segments_and_few_of_many() -> None:
    told = Told()
    with Delivery(tasks_of(("a.wav",), told, 12), a_model(), told, hears=None, recogniser=None) as delivery:
        for n in range(12):
            delivery.add(line(0, n), spoken(faults=() if n == 1 else ("loop",)))
    (warning,) = told.warnings
    assert "11 of 12" in warning and "1 (loop), 3 (loop)" in warning and "2 (loop)" not in warning
    assert warning.count("(loop)") == 8 and "and 3 more" in warning


def test_words_that_were_not_heard_are_told() -> None:
    told = Told()
    (cloned,) = delivered(tasks_of(("a.wav",), told), told, [(0, 0), (0, 1)], recogniser=Hearing("words 0"))
    assert cloned.segments[0].missing == ()
    assert cloned.segments[1].missing
    (warning,) = told.warnings
    assert "1 of 2 segments: 2." in warning
    assert "words" not in warning  # none of the text
    told = Told()
    (cloned,) = delivered(tasks_of(("b.wav",), told), told, [(0, 0), (0, 1)])
    assert [segment.missing for segment in cloned.segments] == [None, None]


# --- what the file says ---------------------------------------------------------------------------------------


def a_task(**settings: Any) -> Task:
    (task,) = tasks_of(("a.wav",), Told(), **settings).left
    task.request = replace(task.request, title="A title", artist="Somebody", album="A book", track=(2, 9))
    return task


def test_tags_say_how_it_was_made() -> None:
    tags = tags_of(a_task(temperature=0.5, top_k=7, top_p=0.25, speed=1.5, tempo=1.25, batch_size=4), a_model())
    assert (tags.title, tags.artist, tags.album, tags.track) == ("A title", "Somebody", "A book", (2, 9))
    assert (tags.language, tags.model, tags.seed) == ("en", "tiny", 100)
    assert tags.licence_url == "https://example.org/licence"
    for said in ("temperature 0.5", "top-k 7", "top-p 0.25", "repetition penalty 5", "speed 1.5", "tempo 1.25",
                 "precision float32", "batch size 4"):  # fmt: skip
        assert said in tags.settings


def test_equal_runs_give_equal_bytes_and_no_tags_where_none_are_wanted() -> None:
    for name in ("a.flac", "b.flac", "c.flac"):
        told = Told()
        tasks = tasks_of((name,), told, metadata=name != "c.flac")
        tasks.left[0].request = replace(tasks.left[0].request, title="The same")
        delivered(tasks, told, [(0, 0), (0, 1)])
    assert Path("a.flac").read_bytes() == Path("b.flac").read_bytes()
    assert "temperature 0.75" in str(read_tags("a.flac"))
    assert not any(word in Path("c.flac").read_bytes() for word in (b"temperature", b"The same"))
