"""voicekit.stretches: recordings whose good part is known, because they were made so."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.voices import talking
from voicekit.audio import Audio
from voicekit.edits import Kept
from voicekit.stretches import best_stretch, measure

Spoil = Callable[[NDArray[np.float32]], None]

RATE = 16_000
SECONDS = 180
DIRTY = slice(0, 120 * RATE)
SPEECH = [(start + 0.05, start + 2.3) for start in np.arange(0.0, SECONDS, 3.0).tolist()]


@pytest.fixture(scope="module")
def voice() -> Audio:
    """Three minutes of one talker: 2.4 s of speech every 3 s, over a floor of -70 dBFS."""
    return Audio(np.tile(talking(30, RATE).samples, SECONDS // 30), RATE)


def noise(count: int, level_db: float) -> NDArray[np.float32]:
    return (10 ** (level_db / 20) * np.random.default_rng(1).standard_normal(count)).astype(np.float32)


def noisy(samples: NDArray[np.float32]) -> None:
    samples[DIRTY] += noise(120 * RATE, -40)


def silent(samples: NDArray[np.float32]) -> None:
    samples[DIRTY] = noise(120 * RATE, -70)


def digitally_silent(samples: NDArray[np.float32]) -> None:
    samples[DIRTY] = 0


def clipped(samples: NDArray[np.float32]) -> None:
    samples[DIRTY] = np.clip(8 * samples[DIRTY], -0.9, 0.9)


def slammed(samples: NDArray[np.float32]) -> None:
    for start in range(0, 120 * RATE, 5 * RATE):
        samples[start + 100 : start + 1_700] += noise(1_600, -6)


def wandering(samples: NDArray[np.float32]) -> None:
    samples[DIRTY] *= np.where(np.arange(120 * RATE) // (6 * RATE) % 2, 0.15, 1.0).astype(np.float32)


@pytest.mark.parametrize("spoil", [noisy, silent, digitally_silent, clipped, slammed, wandering])
def test_the_stretch_lies_in_the_clean_part(voice: Audio, spoil: Spoil) -> None:
    samples = voice.samples.copy()
    spoil(samples)
    spoken = [region for region in SPEECH if spoil not in (silent, digitally_silent) or region[0] > 120]
    best = best_stretch(Audio(samples, RATE), spoken)
    assert best is not None and best.start_s >= 119.5
    assert 26 <= best.end_s - best.start_s <= 32.2
    starts, ends = np.array(SPEECH).T
    assert np.abs(starts - best.start_s - 0.15).min() < 1e-3, "just before a word"
    assert np.abs(ends - best.end_s + 0.15).min() < 1e-3, "in a pause"
    assert all((at * RATE) == pytest.approx(round(at * RATE), abs=1e-6) for at in (best.start_s, best.end_s))


def test_a_recording_that_is_the_same_throughout_stays_as_it_is(voice: Audio) -> None:
    assert best_stretch(voice, SPEECH) is None
    everywhere = voice.samples + noise(len(voice.samples), -40)
    assert best_stretch(Audio(everywhere, RATE), SPEECH) is None


def test_a_good_beginning_is_not_moved(voice: Audio) -> None:
    samples = voice.samples[::-1].copy()
    noisy(samples)
    turned = [(SECONDS - end, SECONDS - start) for start, end in reversed(SPEECH)]
    assert best_stretch(Audio(samples[::-1].copy(), RATE), [(start, end) for start, end in SPEECH]) is None
    assert best_stretch(Audio(samples, RATE), turned) is not None


def test_what_is_found_is_not_moved_again(voice: Audio) -> None:
    samples = voice.samples.copy()
    noisy(samples)
    best = best_stretch(Audio(samples, RATE), SPEECH)
    assert best is not None
    start = round(best.start_s * RATE)
    order = np.concatenate([samples[start:], samples[:start]])
    speech = [(a - best.start_s, b - best.start_s) for a, b in SPEECH if a > best.start_s]
    speech += [(a + SECONDS - best.start_s, b + SECONDS - best.start_s) for a, b in SPEECH if a < best.start_s]
    assert best_stretch(Audio(order, RATE), speech) is None


def test_where_only_a_short_part_is_clean_that_part_is_taken(voice: Audio) -> None:
    samples = voice.samples + noise(len(voice.samples), -34)
    samples[120 * RATE : 138 * RATE] = voice.samples[120 * RATE : 138 * RATE]
    best = best_stretch(Audio(samples, RATE), SPEECH)
    assert best is not None
    inside = min(best.end_s, 138) - max(best.start_s, 120)
    assert inside > 0.85 * (best.end_s - best.start_s) and best.end_s - best.start_s >= 12


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 20.0, 35.9])
def test_short_recordings_stay_as_they_are(seconds: float) -> None:
    audio = talking(seconds, RATE) if seconds else Audio(np.zeros(0, np.float32), RATE)
    assert best_stretch(audio, [(0.0, seconds)]) is None


def test_silence_no_speech_and_no_pause_are_none(voice: Audio) -> None:
    silence = Audio(np.zeros(60 * RATE, np.float32), RATE)
    assert best_stretch(silence, []) is None
    assert best_stretch(silence, [(0.0, 60.0)]) is None, "one region without a pause"
    assert best_stretch(silence, [(float(at), at + 0.9) for at in range(60)]) is None
    assert best_stretch(voice, [(0.0, 180.0)]) is None
    assert best_stretch(voice, [(170.0, 171.0)]) is None, "too little speech for a window"


def test_frames_that_are_no_whole_samples_do_not_drift() -> None:
    """22,050 Hz: 50 ms are 1102.5 samples. Half an hour in, half a sample a frame would be most of a second."""
    audio = Audio(np.tile(talking(30, 22_050).samples, 60), 22_050)
    speech = [(start + 0.05, start + 2.3) for start in np.arange(0.0, 1800, 3.0).tolist()]
    measured = measure(audio, speech)
    onsets = np.flatnonzero(np.diff((measured.spoken > 0.5).astype(int)) > 0) + 1
    np.testing.assert_allclose(onsets[-5:] * measured.frame_s, [start for start, _ in speech[-5:]], atol=0.06)


def test_an_hour_takes_a_few_seconds() -> None:
    """Linear, and no window is measured again: 20 minutes here, within 2 s of one core even on a busy machine."""
    audio = Audio(np.tile(talking(30, 24_000).samples, 40), 24_000)
    audio.samples[: 600 * 24_000] += noise(600 * 24_000, -40)
    speech = [(start + 0.05, start + 2.3) for start in np.arange(0.0, 1200, 3.0).tolist()]
    began = time.process_time()
    best = best_stretch(audio, speech)
    assert time.process_time() - began < 2.0
    assert isinstance(best, Kept) and best.start_s > 599
