"""voicekit.reverberation: against decays and rooms of known length, built from their definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.voices import talking
from voicekit.audio import Audio, read_recording, to_mono
from voicekit.quality import speech_regions
from voicekit.reverberation import reverb_rt60_s

SAMPLE = Path(__file__).resolve().parent.parent / "samples" / "reference.wav"


@pytest.fixture(scope="module")
def voice() -> Audio:
    """10 s of synthetic speech with pauses, dry."""
    return to_mono(read_recording(SAMPLE))


def in_room(audio: Audio, rt60_s: float, direct_db: float | None = None, seed: int = 1) -> Audio:
    """The sound in a room: convolved with noise that falls by 60 dB in ``rt60_s``, at the same level.

    ``direct_db``: energy of a direct path 2.5 ms ahead over the room's; None for no direct path.
    """
    from scipy.signal import fftconvolve

    at = np.arange(int(1.2 * rt60_s * audio.sample_rate)) / audio.sample_rate
    room = np.random.default_rng(seed).standard_normal(len(at)) * 10 ** (-3 * at / rt60_s)
    room /= np.linalg.norm(room)
    if direct_db is not None:
        room = np.concatenate([np.zeros(int(0.0025 * audio.sample_rate)), 10 ** (-direct_db / 20) * room])
        room[0] = 1.0
    wet = fftconvolve(audio.samples, room)[: len(audio.samples)]
    return Audio((wet * audio.samples.std() / wet.std()).astype(np.float32), audio.sample_rate)


def with_noise(audio: Audio, snr_db: float) -> Audio:
    noise = np.random.default_rng(5).standard_normal(len(audio.samples))
    noise *= audio.samples.std() * 10 ** (-snr_db / 20)
    return Audio((audio.samples + noise).astype(np.float32), audio.sample_rate)


def seconds(audio: Audio) -> float:
    measured = reverb_rt60_s(audio, speech_regions(audio))
    assert measured is not None
    return measured


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("rt60_s", [0.2, 0.3, 0.6, 1.0, 1.5])
def test_noise_that_falls_at_a_known_rate(rt60_s: float, rate: int) -> None:
    """No speech in between: bursts of 0.2 s every two seconds, each falling by 60 dB in the known time."""
    rng = np.random.default_rng(0)
    at = np.arange(2 * rate) / rate
    envelope: NDArray[np.float64] = 10 ** (-3 * np.maximum(at - 0.2, 0) / rt60_s)
    sound = np.concatenate([0.1 * envelope * rng.standard_normal(len(at)) for _ in range(6)])
    assert reverb_rt60_s(Audio(sound.astype(np.float32), rate), []) == pytest.approx(rt60_s, rel=0.1)


@pytest.mark.parametrize("direct_db", [None, 0, 5])
def test_rooms_are_told_apart_and_read_about_right(voice: Audio, direct_db: float | None) -> None:
    read = [seconds(in_room(voice, rt60_s, direct_db)) for rt60_s in (0.3, 0.6, 1.0)]
    np.testing.assert_allclose(read, [0.3, 0.6, 1.0], rtol=0.2)


def test_a_strong_direct_sound_hides_a_part_of_the_room(voice: Audio) -> None:
    read = [seconds(in_room(voice, rt60_s, 10)) for rt60_s in (0.3, 0.6, 1.0)]
    assert read == sorted(read) and read[1] > 0.38 and read[2] > 0.5


def test_dry_speech_reads_its_own_falls(voice: Audio) -> None:
    assert seconds(voice) < 0.2
    assert all(seconds(talking(8.0, pitch_hz=pitch)) < 0.2 for pitch in (90, 120, 200))


@pytest.mark.parametrize("snr_db", [30, 20, 10])
def test_noise_is_not_taken_for_a_room(voice: Audio, snr_db: float) -> None:
    assert seconds(with_noise(voice, snr_db)) < 0.25
    assert seconds(with_noise(in_room(voice, 0.6, 0), snr_db)) == pytest.approx(0.6, rel=0.25)


def test_neither_clipping_nor_hum_nor_level_is_taken_for_a_room(voice: Audio) -> None:
    at = np.arange(len(voice.samples)) / voice.sample_rate
    hum = 0.1 * sum(np.sin(2 * np.pi * 50 * order * at) for order in range(1, 7))
    limit = 0.1 * float(np.abs(voice.samples).max())
    for samples in (voice.samples + hum, np.clip(voice.samples, -limit, limit), 0.003 * voice.samples):
        assert seconds(Audio(np.asarray(samples, dtype=np.float32), voice.sample_rate)) < 0.25


def test_sound_outside_the_speech_does_not_count(voice: Audio) -> None:
    """Somebody bangs a door in a hall, twenty times, before anybody speaks."""
    bangs = np.zeros(20 * voice.sample_rate, dtype=np.float32)
    bangs[:: voice.sample_rate] = 1.0
    hall = in_room(Audio(bangs, voice.sample_rate), 2.0)
    both = Audio(np.concatenate([hall.samples, voice.samples]), voice.sample_rate)
    speech = [(start + 20, end + 20) for start, end in speech_regions(voice)]
    assert reverb_rt60_s(both, speech) == pytest.approx(reverb_rt60_s(voice, speech_regions(voice)), abs=0.05)


def test_where_no_fall_shows_there_is_no_reading() -> None:
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    for samples in (0.1 * noise, np.zeros(48_000, np.float32), noise[:8_000] * 0, np.zeros(0, np.float32), noise[:50]):
        for speech in ([], [(0.0, 1.0)], [(50.0, 60.0)]):
            assert reverb_rt60_s(Audio(samples, 16_000), speech) is None


def test_half_a_second_is_read_or_not_but_never_fails() -> None:
    for rate in (8_000, 11_025, 44_100, 96_000):
        short = Audio(talking(3.0, rate).samples[: rate // 2], rate)
        assert (reverb_rt60_s(short, []) or 0.0) < 0.4
