"""What a clone will come to: told before it begins, and without writing or fetching anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voicekit import checkpoint, clone_plans, machine
from voicekit.audio import Audio
from voicekit.audio_writing import write_audio
from voicekit.clone_plans import model_state, plan
from voicekit.cloning import CloneSettings, Request
from voicekit.errors import AudioError, ModelError, TextError, VoiceError

SETTINGS = CloneSettings(model="rehearsal-tiny")
TEXT = "The first sentence is short. The second one is a little longer than the first."


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def request_(voice_file: Path) -> Request:
    return Request(TEXT, (str(voice_file),), "out.wav", "en", SETTINGS)


def test_a_plan_says_what_would_be_done_and_writes_nothing(request_: Request, voice_file: Path) -> None:
    made = plan([request_], SETTINGS, Path("logs"))
    assert made.samples == ((voice_file.name, 8.0),)
    assert made.characters == len(TEXT) - made.segments + 1  # but for the spaces between segments
    assert made.segments == len(made.cuts[0].segments) >= 1
    assert made.requests == (request_,)
    assert made.expected is not None and made.expected.total_s is None  # no run is on record
    # English is read at 10 to 20 characters a second.
    assert len(TEXT) / 20 < made.expected.speech_s.expected < len(TEXT) / 10 + 3
    assert os.listdir() == []


def test_several_requests_are_one_plan(request_: Request, other_voice_file: Path, voice_file: Path) -> None:
    second = replace(request_, voice=(str(other_voice_file), str(voice_file)), output="b.wav")
    alone, both = plan([request_], SETTINGS, Path("logs")), plan([request_, second], SETTINGS, Path("logs"))
    assert both.samples == ((voice_file.name, 8.0), (other_voice_file.name, 7.0))  # each once
    assert len(both.cuts) == 2 and both.characters >= 2 * alone.characters - 2
    assert both.expected and alone.expected
    assert both.expected.speech_s.expected > 1.5 * alone.expected.speech_s.expected


@pytest.mark.parametrize(("change", "error"), [
    (lambda request: replace(request, text="..."), TextError),
    (lambda request: replace(request, voice=("none.wav",)), AudioError),
    (lambda request: replace(request, settings=replace(SETTINGS, lexicon="none.txt")), TextError),
])  # fmt: skip
def test_what_cannot_be_done_is_refused_now(
    change: Callable[[Request], Request], error: type[VoiceError], request_: Request
) -> None:
    with pytest.raises(error):
        plan([request_, change(request_)], SETTINGS, Path("logs"))


def test_a_silent_sample_is_refused_now(request_: Request) -> None:
    write_audio(Audio(np.full(22_050, 1e-5, np.float32), 22_050), "silent.wav")
    with pytest.raises(AudioError, match="silent"):
        plan([replace(request_, voice=("silent.wav",))], SETTINGS, Path("logs"))


def test_a_plan_of_nothing_is_no_defect() -> None:
    """A job file of which no line is good."""
    made = plan([], SETTINGS, Path("logs"))
    assert (made.segments, made.characters, made.samples) == (0, 0, ())


def test_where_the_model_is(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert model_state("rehearsal-tiny") == "here"
    assert model_state(str(tiny_checkpoint)) == "here"
    monkeypatch.setattr(checkpoint, "find_released", lambda: None)
    assert "downloaded" in model_state(checkpoint.RELEASED)
    monkeypatch.setattr(checkpoint, "find_released", lambda: object())
    assert model_state(checkpoint.RELEASED) == "here"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    assert model_state("rehearsal-tiny") == "would be built first"
    assert not (tmp_path / "empty").exists()
    with pytest.raises(ModelError):
        model_state(str(tmp_path / "none"))


def test_the_machine_is_asked_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is there and not used is advised; without one nothing is said of it."""
    asked: list[tuple[str, bool]] = []

    def advice(records: object, *, device: str, gpu_unused: bool, **rest: object) -> None:
        asked.append((device, gpu_unused))

    monkeypatch.setattr(clone_plans, "device_advice", advice)
    for has_gpu, wanted in ((False, "auto"), (True, "auto"), (True, "cpu")):
        monkeypatch.setattr(machine, "has_nvidia_gpu", lambda has_gpu=has_gpu: has_gpu)
        clone_plans._advice([], replace(SETTINGS, device=wanted))
    assert asked == [("cpu", False), ("auto", True), ("cpu", True)]
