"""Where a voice comes from: recordings, which are prepared and heard, or a profile or a cache that hold what was heard.

Knows files and arrays; how a recording is prepared and how the model hears are the caller's.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from logger_config import span
from voicekit import conditioning_cache, machine, profiles
from voicekit.audio import Audio
from voicekit.checkpoint import Checkpoint
from voicekit.cloning import CloneSettings, Listener
from voicekit.conditioning_cache import Cached
from voicekit.errors import AudioError
from voicekit.loading import read_config
from voicekit.tts_model import TTSModel, Voice, VoiceSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """One voice as it is asked for: recordings, prepared first or not; or else the name of a profile."""

    samples: tuple[str, ...] = ()
    preprocess: bool = True
    profile: str | None = None

    def digest(self) -> str:
        """SHA-256 of what it holds: of the recordings' bytes, or of the profile's arrays."""
        if self.profile is not None:
            found = profiles.load(self.profile)
            return _digest(found.conditioning, found.speaker_embedding)
        hashes = [conditioning_cache.sample_hash(path) for path in self.samples]
        return hashlib.sha256(repr((hashes, self.preprocess)).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Sample:
    """One recording, prepared: a sentence about it, and what should be mended."""

    audio: Audio
    note: str
    warnings: tuple[str, ...] = ()


Hear = Callable[[str, bool, Path], Sample]  # a recording, whether to preprocess it, a scratch file


@dataclass(frozen=True, eq=False)
class Prepared:
    """Recordings as the model hears them, and what is told of them: `notes` and `warnings`, sentences."""

    audio: tuple[Audio, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def source(names: Sequence[str | Path], *, preprocess: bool) -> Source:
    """What a request's voice is: files; or, of a single name that is no file, the profile of that name.

    Raises:
        AudioError: no name was given, or there is neither file nor profile of it.
    """
    if not names:
        raise AudioError("No voice sample was given.", "Give a recording of the voice with --voice FILE.")
    given = tuple(str(name) for name in names)
    missing = [name for name in given if not os.path.exists(name)]
    if not missing:
        return Source(given, preprocess)
    if len(given) == 1:
        return Source(profile=profiles.load(missing[0]).name)  # says which names are nearest, where there is none
    raise AudioError(f"There is no file {missing[0]!r}.", "Check the name and the folder.")


class Ears:
    """The voices of a run: each is recalled, or else prepared and heard, once."""

    def __init__(self, settings: CloneSettings, hear: Hear, scratch: Path, listener: Listener) -> None:
        """`hear` prepares one recording; `scratch` is a folder for its files."""
        self._settings, self._hear, self._scratch, self._listener = settings, hear, scratch, listener
        self._begun = 0
        self._known: dict[Source, Cached] = {}
        self._prepared: dict[Source, Prepared] = {}
        self._voices: dict[Source, Voice] = {}

    def recall(self, source: Source, weights: Checkpoint) -> None:
        """Look for a voice in its profile, or for what was heard of its recordings the last time.

        Raises:
            AudioError, ModelError: the profile is damaged, or is of another model.
        """
        if source not in self._known and source not in self._prepared:
            with span("Known voices", stage="condition_voice", level=logging.DEBUG):
                found = self._of_profile(source, weights) if source.profile else self._of_cache(source, weights)
            if found:
                self._known[source] = found

    def prepare(self, source: Source) -> None:
        """Prepare the recordings of a voice that is not known, telling what they are like.

        Raises:
            AudioError: a recording cannot be read, or holds no sound.
        """
        if source.profile or source in self._known or source in self._prepared:
            return
        with span("Preprocess", stage="preprocess") as step:
            self._begun += 1  # a voice that failed may have left files
            heard = [self._hear(path, source.preprocess, self._scratch / f"voice_{self._begun}_{number}.wav")
                     for number, path in enumerate(source.samples, 1)]  # fmt: skip
            step.count(sample_s=sum(each.audio.duration_s for each in heard))
        self._prepared[source] = prepared = Prepared(
            tuple(each.audio for each in heard), tuple(each.note for each in heard),
            tuple(warning for each in heard for warning in each.warnings),
        )  # fmt: skip
        self._tell(prepared.notes, prepared.warnings)

    def voice(self, source: Source, tts: TTSModel) -> Voice:
        """What the model knows of a voice; recordings are heard now, and what was heard is kept for the next run.

        Raises:
            AudioError: no recording is long enough.
        """
        self.recall(source, tts.checkpoint)
        if source not in self._voices:
            known = self._known.get(source)
            self._voices[source] = _as_voice(known) if known else self._listen(source, tts)
        return self._voices[source]

    def _listen(self, source: Source, tts: TTSModel) -> Voice:
        prepared = self._prepared[source]
        with span("Condition", done="Voice conditioned", stage="condition_voice") as step:
            voice = tts.condition(prepared.audio, tts.voice_settings())
            step.note(samples=len(prepared.audio))
            step.count(heard_s=voice.heard_s)
            sample_s = sum(audio.duration_s for audio in prepared.audio)
            conditioning_cache.keep(_key(source, tts.checkpoint, self._settings), Cached(
                voice.conditioning.numpy(), voice.speaker_embedding.numpy(), voice.heard_s, sample_s,
                prepared.notes, prepared.warnings))  # fmt: skip
        return voice

    def _of_cache(self, source: Source, weights: Checkpoint) -> Cached | None:
        found = conditioning_cache.find(_key(source, weights, self._settings))
        if found:
            self._tell(found.notes, found.warnings)
            logger.info("Voice: heard before, taken from the cache")
        return found

    def _of_profile(self, source: Source, weights: Checkpoint) -> Cached:
        assert source.profile
        profile = profiles.load(source.profile)
        identity = conditioning_cache.identity(weights)
        profiles.check_model(profile, model=identity)
        own = conditioning_cache.settings_text(VoiceSettings.of(read_config(weights.config)), preprocess=True)
        if stale := profiles.staleness(profile, model=identity, settings=own):
            self._listener.note(stale)
        for name in profiles.changed_samples(profile):
            self._listener.note(f"The sample {name} has changed since the voice {profile.name} was saved.")
        self._listener.note(f"Voice: {profile.name}, saved on {profile.created[:10]}, {profile.heard_s:.1f} s heard")
        return Cached(profile.conditioning, profile.speaker_embedding, profile.heard_s)

    def _tell(self, notes: Sequence[str], warnings: Sequence[str]) -> None:
        for note in notes:
            self._listener.note(note)
        for warning in warnings:
            self._listener.warn(warning)


def _as_voice(known: Cached) -> Voice:
    """What is known of a voice, as the model takes it."""
    import torch

    return Voice(torch.tensor(known.conditioning), torch.tensor(known.speaker_embedding), known.heard_s)


def save(
    voice: Voice, wanted: Source, weights: Checkpoint, settings: CloneSettings, listener: Listener, *, again: bool
) -> None:
    """Keep a voice under the name that the settings give it; `again`: an interrupted run may have done so.

    Raises:
        OutputError: the name is taken, or cannot be written.
    """
    assert settings.save_voice is not None
    if again and profiles.exists(settings.save_voice):
        known = profiles.load(settings.save_voice)
        if _digest(known.conditioning, known.speaker_embedding) == digest(voice):
            return
    own = VoiceSettings.of(read_config(weights.config))
    profiles.save(
        profiles.Profile(
            settings.save_voice, voice.conditioning.numpy(), voice.speaker_embedding.numpy(), voice.heard_s,
            tuple(conditioning_cache.sample_hash(path) for path in wanted.samples),
            conditioning_cache.identity(weights), weights.name,
            conditioning_cache.settings_text(own, preprocess=wanted.preprocess), settings.consent,
            sample_names=tuple(Path(path).name for path in wanted.samples),
        ), overwrite=settings.overwrite,
    )  # fmt: skip
    listener.note(f"Voice saved: --voice {settings.save_voice} speaks in it from now on")


def digest(voice: Voice) -> str:
    """SHA-256 of a voice's arrays."""
    return _digest(voice.conditioning.numpy(), voice.speaker_embedding.numpy())


def _digest(*arrays: NDArray[np.float32]) -> str:
    counted = hashlib.sha256()
    for array in arrays:
        counted.update(array.tobytes())
    return counted.hexdigest()


def _key(wanted: Source, weights: Checkpoint, settings: CloneSettings) -> str:
    return conditioning_cache.key(
        wanted.samples, preprocess=wanted.preprocess, settings=VoiceSettings.of(read_config(weights.config)),
        model=conditioning_cache.identity(weights), device=settings.device,
        threads=settings.threads or machine.cores(),
    )
