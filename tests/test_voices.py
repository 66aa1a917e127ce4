"""Voices of a run: heard once, then recalled; profiles bit for bit, and never of another model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.voices import talking
from voicekit import conditioning_cache, profiles, voices
from voicekit.audio import Audio
from voicekit.checkpoint import Checkpoint, from_folder
from voicekit.cloning import CloneSettings, Listener
from voicekit.errors import AudioError, ModelError, OutputError
from voicekit.tts_model import TTSModel, Voice, VoiceSettings
from voicekit.voices import Ears, Sample, Source, source

NOTE, WARNING = "Sample: {}, 6.0 s prepared, good", "The sample {} is short."


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("me.wav", "more.wav"):
        Path(name).write_bytes(name.encode())


class Told(Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def warn(self, line: str) -> None:
        self.warnings.append(line)


class Hearing:
    """How a sample is prepared: counted, and leaving a file where it may."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []

    def __call__(self, path: str, preprocess: bool, scratch_file: Path) -> Sample:
        self.heard.append((path, preprocess))
        scratch_file.touch(exist_ok=False)  # as preprocess_audio_for_best_quality does: never over another file
        if "silent" in Path(path).read_text():
            raise AudioError(f"{path!r} is silent.")
        return Sample(Audio(np.full(100, len(path), np.float32), 22_050), NOTE.format(path), (WARNING.format(path),))


class Model:
    """What Ears asks of a model; the voice is made of the samples, so that the right ones must have been heard."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint, self.conditioned = from_folder(folder), 0

    def voice_settings(self) -> VoiceSettings:
        return VoiceSettings()

    def condition(self, samples: tuple[Audio, ...], settings: VoiceSettings) -> Voice:
        import torch

        self.conditioned += 1
        value = sum(float(audio.samples.sum()) for audio in samples)
        generator = torch.Generator().manual_seed(int(value))
        return Voice(torch.randn(1, 32, 16, generator=generator), torch.randn(1, 512, 1, generator=generator), 12.5)


@pytest.fixture
def model(tiny_checkpoint: Path) -> Any:
    return Model(tiny_checkpoint)


def ears(tmp_path: Path, hear: Any, told: Listener = Listener(), **settings: Any) -> Ears:
    scratch = tmp_path / f"scratch{len(list(tmp_path.iterdir()))}"
    scratch.mkdir()
    return Ears(CloneSettings(**settings), hear, scratch, told)


def went_through(each: Ears, wanted: Source, model: Any) -> Voice:
    """The stages of a run."""
    each.recall(wanted, model.checkpoint)
    each.prepare(wanted)
    return each.voice(wanted, model)


def arrays(voice: Voice) -> tuple[bytes, bytes, float]:
    return voice.conditioning.numpy().tobytes(), voice.speaker_embedding.numpy().tobytes(), voice.heard_s


# --- what a name means ----------------------------------------------------------------------------------------


def test_a_file_is_a_sample_and_a_name_a_profile(model: Any) -> None:
    save(model)
    assert source(("me.wav", "more.wav"), preprocess=False) == Source(("me.wav", "more.wav"), False)
    assert source(("me",), preprocess=True) == Source(profile="me")


def test_a_file_beats_a_profile_of_its_name(model: Any) -> None:
    save(model)
    Path("me").write_bytes(b"sound")
    assert source(("me",), preprocess=True) == Source(("me",))


@pytest.mark.parametrize("names", [(), ("none.wav",), ("me.wav", "none.wav"), ("me.wav", "me"), ("me", "me")])
def test_what_is_neither_is_refused(names: tuple[str, ...], model: Any) -> None:
    save(model)
    with pytest.raises(AudioError):
        source(names, preprocess=True)


def test_a_source_is_told_from_others_by_what_it_holds(model: Any) -> None:
    save(model)
    digests = [Source(("me.wav",)).digest(), Source(("more.wav",)).digest(), Source(("me.wav",), False).digest(),
               Source(("me.wav", "more.wav")).digest(), Source(("more.wav", "me.wav")).digest(),
               Source(profile="me").digest()]  # fmt: skip
    assert len(set(digests)) == len(digests)
    Path("copy.wav").write_bytes(b"me.wav")
    assert Source(("copy.wav",)).digest() == digests[0]
    save(model, "again", overwrite=True)
    assert Source(profile="again").digest() == digests[-1]
    save(model, "again", scale=0.5, overwrite=True)
    assert Source(profile="again").digest() != digests[-1]


# --- hearing and remembering ----------------------------------------------------------------------------------


def test_the_second_run_hears_nothing(tmp_path: Path, model: Any) -> None:
    wanted = Source(("me.wav", "more.wav"))
    first, told = Hearing(), Told()
    voice = went_through(ears(tmp_path, first, told), wanted, model)
    assert first.heard == [("me.wav", True), ("more.wav", True)]

    def never(*_: object) -> Sample:
        raise AssertionError("heard again")

    told_again = Told()
    again = went_through(ears(tmp_path, never, told_again), wanted, model)
    assert arrays(again) == arrays(voice)
    assert model.conditioned == 1
    assert told_again.notes == told.notes == [NOTE.format("me.wav"), NOTE.format("more.wav")]
    assert told_again.warnings == told.warnings == [WARNING.format("me.wav"), WARNING.format("more.wav")]


@pytest.mark.parametrize("change", [
    lambda wanted: Path("me.wav").write_bytes(b"changed"),
    lambda wanted: conditioning_cache.clear(),
])  # fmt: skip
def test_what_changed_is_heard_again(change: Callable[[Source], object], tmp_path: Path, model: Any) -> None:
    wanted = Source(("me.wav",))
    went_through(ears(tmp_path, Hearing()), wanted, model)
    change(wanted)
    hearing = Hearing()
    went_through(ears(tmp_path, hearing), wanted, model)
    assert len(hearing.heard) == 1


def test_other_threads_devices_and_preparations_are_other_voices(tmp_path: Path, model: Any) -> None:
    went_through(ears(tmp_path, Hearing()), Source(("me.wav",)), model)
    for settings, wanted in (({"threads": 1}, Source(("me.wav",))), ({"device": "cpu"}, Source(("me.wav",))),
                             ({}, Source(("me.wav",), preprocess=False))):  # fmt: skip
        hearing = Hearing()
        went_through(ears(tmp_path, hearing, **settings), wanted, model)
        assert hearing.heard == [("me.wav", wanted.preprocess)]


def test_a_voice_of_many_requests_is_heard_once_and_is_one(tmp_path: Path, model: Any) -> None:
    hearing, told = Hearing(), Told()
    each = ears(tmp_path, hearing, told)
    tasks = [Source(("me.wav",)), Source(("more.wav",)), Source(("me.wav",))]
    for stage in (lambda wanted: each.recall(wanted, model.checkpoint), each.prepare):
        for wanted in tasks:
            stage(wanted)
    found = [each.voice(wanted, model) for wanted in tasks]
    assert [path for path, _ in hearing.heard] == ["me.wav", "more.wav"]
    assert found[0] is found[2] and found[1] is not found[0]  # `narration.casting` knows voices by identity
    assert arrays(found[0]) != arrays(found[1])
    assert len(told.notes) == 2


def test_a_model_that_comes_late_finds_what_was_prepared(tmp_path: Path, model: Any) -> None:
    """The model must be fetched first: nothing is recalled, the samples are prepared and not told of twice."""
    hearing, told = Hearing(), Told()
    each = ears(tmp_path, hearing, told)
    each.prepare(Source(("me.wav",)))
    each.voice(Source(("me.wav",)), model)
    assert (len(hearing.heard), len(told.notes), model.conditioned) == (1, 1, 1)


def test_a_sample_that_fails_does_not_spoil_the_next_voice(tmp_path: Path, model: Any) -> None:
    Path("more.wav").write_text("silent")
    each = ears(tmp_path, Hearing())
    with pytest.raises(AudioError):
        each.prepare(Source(("me.wav", "more.wav")))
    each.prepare(Source(("me.wav",)))
    assert went_through(each, Source(("me.wav",)), model).heard_s == 12.5


def test_what_the_model_hears_is_kept_as_it_is(tmp_path: Path, tiny_checkpoint: Path) -> None:
    """On the real classes: recalled is what was heard, bit for bit, and equals hearing without any cache."""
    tts = TTSModel.load(from_folder(tiny_checkpoint), device="cpu")

    def hear(path: str, preprocess: bool, scratch_file: Path) -> Sample:
        return Sample(talking(6.0), "note")

    heard = went_through(ears(tmp_path, hear), Source(("me.wav",)), tts)
    recalled = went_through(ears(tmp_path, Hearing()), Source(("me.wav",)), tts)
    assert arrays(recalled) == arrays(heard) == arrays(tts.condition([talking(6.0)], tts.voice_settings()))
    assert voices.digest(recalled) == voices.digest(heard)


# --- profiles -------------------------------------------------------------------------------------------------


def save(model: Any, name: str = "me", *, scale: float = 1.0, overwrite: bool = False, consent: str | None = None,
         wanted: Source = Source(("me.wav", "more.wav")), told: Listener = Listener()) -> Voice:  # fmt: skip
    import torch

    conditioning = scale * torch.linspace(-1, 1, 512).reshape(1, 32, 16)
    voice = Voice(conditioning, torch.linspace(0, 3, 512).reshape(1, 512, 1), 7.25)
    settings = CloneSettings(save_voice=name, consent=consent, overwrite=overwrite)
    voices.save(voice, wanted, model.checkpoint, settings, told, again=False)
    return voice


def test_a_profile_gives_the_same_arrays_bit_for_bit(tmp_path: Path, model: Any) -> None:
    saved, hearing, told = save(model), Hearing(), Told()
    found = went_through(ears(tmp_path, hearing, told), source(("me",), preprocess=True), model)
    assert arrays(found) == arrays(saved)
    assert voices.digest(found) == voices.digest(saved) == Source(profile="me").digest()
    assert (hearing.heard, model.conditioned) == ([], 0)
    assert len(told.notes) == 1 and "me" in told.notes[0] and "7.2 s" in told.notes[0]


def test_a_profile_of_another_model_is_refused(tmp_path: Path, model: Any) -> None:
    save(model)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for path in (model.checkpoint.config, model.checkpoint.vocab):
        (stranger / path.name).write_bytes(path.read_bytes())
    (stranger / "model.pth").write_bytes(b"other weights, in an old format")
    weights: Checkpoint = replace(model.checkpoint, weights=stranger / "model.pth")
    with pytest.raises(ModelError, match="another model"):
        ears(tmp_path, Hearing()).recall(Source(profile="me"), weights)
    model.checkpoint = weights
    with pytest.raises(ModelError, match="another model"):
        ears(tmp_path, Hearing()).voice(Source(profile="me"), model)


def test_a_damaged_profile_is_refused(tmp_path: Path, model: Any) -> None:
    save(model)
    path = profiles.path_of("me")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AudioError, match="damaged"):
        ears(tmp_path, Hearing()).recall(Source(profile="me"), model.checkpoint)
    with pytest.raises(AudioError, match="damaged"):
        Source(profile="me").digest()


def test_a_profile_says_where_it_came_from_and_no_places(model: Any) -> None:
    told = Told()
    save(model, consent="Yes, for reading aloud.", wanted=Source((str(Path("me.wav").resolve()),), False), told=told)
    found = profiles.load("me")
    assert found.sample_names == ("me.wav",)
    assert found.samples == (hashlib.sha256(b"me.wav").hexdigest(),)
    assert (found.consent, found.model_name) == ("Yes, for reading aloud.", model.checkpoint.name)
    assert "preprocess=False" in found.settings and "VoiceSettings" in found.settings
    assert str(Path.cwd()).encode() not in profiles.path_of("me").read_bytes()
    assert "--voice me" in told.notes[0]


def test_a_name_that_is_taken_is_kept(model: Any) -> None:
    before = save(model)
    with pytest.raises(OutputError):
        save(model, scale=2.0)
    assert profiles.load("me").conditioning.tobytes() == before.conditioning.numpy().tobytes()
    after = save(model, scale=2.0, overwrite=True)
    assert profiles.load("me").conditioning.tobytes() == after.conditioning.numpy().tobytes()


def test_a_voices_digest_is_of_both_arrays() -> None:
    import torch

    one = Voice(torch.zeros(1, 32, 16), torch.zeros(1, 512, 1), 1.0)
    others = [replace(one, conditioning=one.conditioning + 1e-7),
              replace(one, speaker_embedding=one.speaker_embedding + 1e-7)]  # fmt: skip
    assert len({voices.digest(each) for each in (one, *others)}) == 3
    assert voices.digest(replace(one, heard_s=2.0)) == voices.digest(one)  # which is not heard


def test_nothing_but_arrays_is_needed_of_a_model(tmp_path: Path, tiny_checkpoint: Path) -> None:
    """A voice that is known asks the model for nothing but its checkpoint."""
    model = Model(tiny_checkpoint)
    save(model)
    bare: Any = SimpleNamespace(checkpoint=model.checkpoint)
    assert ears(tmp_path, Hearing()).voice(Source(profile="me"), bare).heard_s == 7.25
