"""voicekit.levelling: the loudness afterwards is measured with pyloudnorm's own meter, the true peak with SciPy."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import resample_poly

from tests.spoken_faults import RATE_HZ, good, noise
from voicekit.audio import Audio
from voicekit.levelling import MAX_TRUE_PEAK_DBTP, MOST_DB, TARGET_LUFS, level


def loudness(audio: Audio) -> float:
    return float(pyloudnorm.Meter(audio.sample_rate).integrated_loudness(audio.samples.astype(np.float64)))


def true_peak_db(audio: Audio) -> float:
    return float(20 * np.log10(np.abs(resample_poly(audio.samples.astype(np.float64), 4, 1)).max()))


def scaled(audio: Audio, db: float) -> Audio:
    return Audio(audio.samples * np.float32(10 ** (db / 20)), audio.sample_rate)


def peaking() -> Audio:
    """One high peak over soft speech."""
    samples = good().audio.samples * np.float32(0.05)
    samples[samples.size // 2] = 0.95
    return Audio(samples, RATE_HZ)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("off_db", [-10.0, -3.0, 0.0, 8.0])
def test_segments_come_to_one_loudness(seed: int, off_db: float) -> None:
    said = good(seed=seed).audio
    there = scaled(said, TARGET_LUFS - loudness(said) + off_db)
    result, gain_db = level(there)
    assert loudness(result) == pytest.approx(TARGET_LUFS, abs=0.1)
    assert gain_db == pytest.approx(-off_db, abs=0.1)


def test_the_gain_has_a_bound_both_ways() -> None:
    said = good().audio
    for off_db, expected in ((-30.0, MOST_DB), (18.0, -MOST_DB)):
        quiet_peak = Audio(np.clip(scaled(said, TARGET_LUFS - loudness(said) + off_db).samples, -0.9, 0.9), RATE_HZ)
        _, gain_db = level(quiet_peak)
        assert gain_db == pytest.approx(expected, abs=3.0) and abs(gain_db) <= MOST_DB
    assert level(scaled(said, -30.0), most_db=4.0)[1] == pytest.approx(4.0)


@pytest.mark.parametrize("audio", [peaking(), scaled(noise().audio, 26.0), scaled(good().audio, 30.0)])
def test_the_true_peak_stays_under_its_bound(audio: Audio) -> None:
    result, gain_db = level(audio)
    assert true_peak_db(result) == pytest.approx(MAX_TRUE_PEAK_DBTP, abs=0.01)
    assert gain_db < max(TARGET_LUFS - loudness(audio), -MOST_DB)  # it is the peak that asks for so little


def test_the_gain_is_one_for_all_samples() -> None:
    audio = good().audio
    result, gain_db = level(audio)
    assert np.allclose(result.samples, audio.samples * 10 ** (gain_db / 20), atol=1e-6)
    assert result.samples.dtype == np.float32 and result.sample_rate == RATE_HZ


def test_sound_shorter_than_a_block_comes_to_the_same_loudness() -> None:
    """As if it went on: the same sound for two seconds measures the same."""
    short = Audio(noise(0.2).audio.samples * np.float32(0.2), RATE_HZ)
    result, gain_db = level(short)
    assert gain_db > 1.0
    assert loudness(Audio(np.tile(result.samples, 10), RATE_HZ)) == pytest.approx(TARGET_LUFS, abs=0.5)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(48_000), np.full(48_000, 1e-7)])
def test_silence_keeps_its_level(samples: np.ndarray) -> None:
    result, gain_db = level(Audio(samples.astype(np.float32), RATE_HZ))
    assert gain_db == 0.0 and np.array_equal(result.samples, samples.astype(np.float32))


def test_a_segment_does_not_depend_on_what_was_levelled_before() -> None:
    alone = level(good(seed=4).audio)[0].samples.tobytes()
    level(noise().audio)
    assert level(good(seed=4).audio)[0].samples.tobytes() == alone
