"""voicekit.tempo: other lengths, the same pitch.

Truth: autocorrelation and Fourier peaks of what comes out, and arithmetic.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.voices import talking
from voicekit.audio import Audio
from voicekit.tempo import change_tempo

RATE = 24_000
FACTORS = [0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0]


def rich_tone(seconds: float, hz: float = 220.0) -> Audio:
    """A tone of ten harmonics, peak 0.9."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.sum([np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 11)], axis=0)
    return Audio((0.9 * sound / np.abs(sound).max()).astype(np.float32), RATE)


def pitches(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Pitch of each voiced frame of 50 ms, Hz, by the autocorrelation's peak between 80 and 400 Hz."""
    length, found = rate // 20, []
    for start in range(0, len(samples) - length, length // 2):
        frame = samples[start : start + length].astype(np.float64)
        frame = (frame - frame.mean()) * np.hanning(length)
        if np.sqrt(np.mean(frame**2)) < 0.01:
            continue
        power = np.abs(np.fft.rfft(frame, 4 * length)) ** 2
        window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(length), 4 * length)) ** 2)
        heard = np.fft.irfft(power)[: rate // 80 + 2] / window[: rate // 80 + 2]
        low = rate // 400
        peak = low + int(np.argmax(heard[low:-1]))
        before, at, after = heard[peak - 1 : peak + 2]
        shift = 0.5 * (before - after) / (before - 2 * at + after)
        if at > 0.7 * heard[0]:
            found.append(rate / (peak + shift))
    return np.array(found)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_tone_keeps_its_pitch_its_level_and_gets_its_length(factor: float) -> None:
    audio = rich_tone(4.0)
    changed = change_tempo(audio, factor)
    assert changed.sample_rate == RATE and len(changed.samples) == round(len(audio.samples) / factor)
    middle = changed.samples[RATE // 2 : RATE // 2 + RATE]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(int(np.argmax(spectrum)) - 220) <= 2  # of bins of 1 Hz: under 1 %
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(np.sqrt(np.mean(audio.samples**2)), rel=0.05)
    assert np.abs(changed.samples).max() <= 1


@pytest.mark.parametrize("factor", FACTORS)
def test_a_voice_keeps_its_pitch_and_every_phrase(factor: float) -> None:
    audio = talking(9.0, RATE, pitch_hz=140.0)
    changed = change_tempo(audio, factor)
    assert np.median(pitches(changed.samples, RATE)) == pytest.approx(np.median(pitches(audio.samples, RATE)), rel=0.01)
    old, new = loudness(audio.samples, factor), loudness(changed.samples, 1.0)
    count = min(len(old), len(new))
    assert np.corrcoef(old[:count], new[:count])[0, 1] > 0.95, "the same syllables at the same, scaled, times"


def loudness(samples: NDArray[np.float32], factor: float) -> NDArray[np.float64]:
    """RMS of frames of 50 ms on the time axis that a change of tempo makes."""
    length = round(RATE * factor / 20)
    frames = samples[: len(samples) // length * length].reshape(-1, length).astype(np.float64)
    return np.asarray(np.sqrt(np.mean(frames**2, axis=1)))


def test_resampling_would_fail_these_tests() -> None:
    """The control: reading the samples faster changes the pitch, and the measure hears it."""
    audio = talking(9.0, RATE, pitch_hz=140.0)
    heard = np.median(pitches(audio.samples[::2], RATE))
    assert heard > 1.8 * np.median(pitches(audio.samples, RATE))


def test_the_end_is_not_lost() -> None:
    audio = Audio(np.concatenate([np.zeros(RATE, np.float32), rich_tone(0.3).samples]), RATE)
    for factor in FACTORS:
        last = change_tempo(audio, factor).samples[-round(0.05 * RATE) :]
        assert np.sqrt(np.mean(last**2)) > 0.1


def test_full_scale_stays_within_and_equal_runs_are_equal() -> None:
    loud = Audio(np.clip(4 * talking(3.0, RATE).samples, -1, 1), RATE)
    for factor in FACTORS:
        first, second = change_tempo(loud, factor), change_tempo(loud, factor)
        assert np.abs(first.samples).max() <= 1
        np.testing.assert_array_equal(first.samples, second.samples)
        assert first.samples.dtype == np.float32


def test_nothing_to_do_and_nothing_possible() -> None:
    audio = rich_tone(0.1)
    assert change_tempo(audio, 1.0) is audio
    nothing = Audio(np.zeros(0, np.float32), RATE)
    assert change_tempo(nothing, 1.5) is nothing
    assert len(change_tempo(Audio(audio.samples[:7], RATE), 2.0).samples) == 4  # round(3.5), half to even
    for factor in (0.49, 2.01, float("nan")):
        with pytest.raises(ValueError, match=r"0\.5 to 2"):
            change_tempo(audio, factor)
