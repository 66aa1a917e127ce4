"""voicekit.quality: levels against the figures of ITU-R BS.1770 and EBU Tech 3341, pyloudnorm and SciPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.voices import fall, talk
from voicekit.audio import Audio
from voicekit.quality import (
    UNEVEN_LEVEL_LU,
    level_spread_lu,
    loudness_lufs,
    peak_dbfs,
    rms_dbfs,
    speech_level_track,
    speech_regions,
    true_peak_dbtp,
)

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]


def sine(
    level_dbfs: float, seconds: float, rate: int = 48_000, hz: float = 1000.0, phase: float = 0.0
) -> Audio:
    """A sine of a peak level."""
    at = np.arange(int(rate * seconds)) / rate
    wave = 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * at + phase)
    return Audio(wave.astype(np.float32), rate)


def join(*parts: Audio) -> Audio:
    """One after the other."""
    return Audio(np.concatenate([part.samples for part in parts]), parts[0].sample_rate)


# --- loudness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
def test_a_sine_at_full_scale_reads_minus_3_01_lufs(rate: int) -> None:
    """ITU-R BS.1770-4: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LKFS; EBU allows 0.1 LU."""
    assert loudness_lufs(sine(0, 20, rate, 997.0)) == pytest.approx(-3.01, abs=0.1)


TECH_3341: dict[
    str, tuple[list[tuple[float, float]], float]
] = {  # cases 1 to 5: (level in dBFS, seconds) of a 1 kHz stereo sine -> LUFS
    "1": ([(-23, 20)], -23),
    "2": ([(-33, 20)], -33),
    "3": ([(-36, 10), (-23, 60), (-36, 10)], -23),
    "4": ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
    "5": ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
}


@pytest.mark.parametrize("case", TECH_3341)
def test_ebu_tech_3341(case: str) -> None:
    """Its signals are stereo; one channel holds half the power, so 3.01 LU less."""
    parts, expected = TECH_3341[case]
    measured = loudness_lufs(join(*[sine(level, seconds, 24_000) for level, seconds in parts]))
    assert measured == pytest.approx(expected - 3.01, abs=0.1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.4, 0.77, 3.333, 20.0])
def test_loudness_equals_pyloudnorm(rate: int, seconds: float) -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    audio = fall(talk([(0.0, 1.0), (1.5, 9.0), (14.0, 19.0)], seconds, rate), 15)
    expected = pyloudnorm.Meter(rate).integrated_loudness(audio.samples.astype(np.float64))
    assert loudness_lufs(audio) == pytest.approx(expected, abs=0.01)


def test_loudness_of_nothing_is_none() -> None:
    assert loudness_lufs(sine(-20, 0.39)) is None
    assert loudness_lufs(sine(-20, 0.41)) is not None
    assert loudness_lufs(Audio(np.zeros(48_000, np.float32), 48_000)) is None
    assert loudness_lufs(sine(-75, 2)) is None
    assert loudness_lufs(Audio(np.zeros(0, np.float32), 48_000)) is None


# --- peaks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hz, phase_deg, level_dbfs, expected",
    [
        (12_000, 0, -6, -6.0),
        (12_000, 45, -6, -6.0),
        (8_000, 60, -6, -6.0),
        (6_000, 67.5, -6, -6.0),
        (12_000, 45, 3, 3.0),
    ],
)
def test_true_peaks_of_ebu_tech_3341(hz: float, phase_deg: float, level_dbfs: float, expected: float) -> None:
    """Cases 15 to 19: sines whose samples miss the peak by up to 3 dB; tolerance +0.2 -0.4 dB."""
    audio = sine(level_dbfs, 1.0, 48_000, hz, np.deg2rad(phase_deg))
    measured = true_peak_dbtp(Audio(audio.samples * np.hanning(48_000).astype(np.float32) ** 0.01, 48_000))
    assert measured is not None and expected - 0.4 <= measured <= expected + 0.2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("length", [1, 5, 511, 512, 513, 30_000])
def test_true_peak_equals_oversampling_everything(seed: int, length: int) -> None:
    from scipy.signal import resample_poly

    noise = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    noise *= np.random.default_rng(seed + 9).random(length).astype(np.float32) ** 6
    expected = max(np.abs(resample_poly(noise.astype(float), 4, 1)).max(), np.abs(noise).max())
    assert true_peak_dbtp(Audio(noise, 24_000)) == pytest.approx(20 * np.log10(expected), abs=1e-3)


@pytest.mark.parametrize("place", [0, 510, 511, 512, 513, 1023, 1024, 9_999])
def test_true_peak_between_two_samples_at_a_block_border(place: int) -> None:
    """Two equal neighbours: the peak lies between them, higher than both."""
    from scipy.signal import resample_poly

    samples = np.zeros(10_000, np.float32)
    samples[place : place + 2] = 0.5
    expected = 20 * np.log10(np.abs(resample_poly(samples.astype(float), 4, 1)).max())
    assert true_peak_dbtp(Audio(samples, 24_000)) == pytest.approx(expected, abs=1e-3)


def test_peak_and_rms_of_a_sine_and_of_nothing() -> None:
    assert peak_dbfs(sine(-6, 1)) == pytest.approx(-6, abs=0.01)
    assert rms_dbfs(sine(0, 1)) == pytest.approx(-3.01, abs=0.01)
    for samples in (np.zeros(100, np.float32), np.zeros(0, np.float32)):
        silent = Audio(samples, 24_000)
        assert peak_dbfs(silent) is None and rms_dbfs(silent) is None and true_peak_dbtp(silent) is None
        assert speech_regions(silent) == [] and level_spread_lu(silent) is None


# --- speech --------------------------------------------------------------------------------------

SPANS = [(1.0, 3.0), (4.0, 4.5), (6.0, 9.0)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("gain_db", [0, -30])
@pytest.mark.parametrize("floor_db", [-120, -70, -45])
def test_speech_is_found_at_any_level_rate_and_floor(rate: int, gain_db: float, floor_db: float) -> None:
    found = speech_regions(talk(SPANS, 10.0, rate, floor_db, gain_db))
    assert len(found) == 3
    np.testing.assert_allclose(found, SPANS, atol=0.12)


def test_clicks_rumble_and_offset_are_no_speech() -> None:
    audio = talk(SPANS, 10.0)
    samples = audio.samples.copy()
    samples[int(0.2 * 24_000)] = 0.9
    samples[int(9.8 * 24_000) : int(9.8 * 24_000) + 24] = -0.9  # 1 ms
    samples += 0.2 + (0.05 * np.sin(2 * np.pi * 15 * np.arange(len(samples)) / 24_000)).astype(np.float32)
    np.testing.assert_allclose(speech_regions(Audio(samples, 24_000)), SPANS, atol=0.12)


def test_sound_without_pauses_is_one_region() -> None:
    assert speech_regions(sine(-20, 3.0, 24_000)) == [(0.0, 3.0)]
    assert speech_regions(sine(-80, 3.0, 24_000)) == []


def test_the_level_track_is_the_loudness_of_the_speech_alone() -> None:
    audio = talk([(0.0, 6.0), (9.0, 15.0)], 15.0)
    times, levels = speech_level_track(audio)
    assert len(times) == len(levels) == 150
    speech = Audio(audio.samples[: 6 * 24_000], 24_000)
    assert np.nanmedian(levels) == pytest.approx(loudness_lufs(speech), abs=0.5)
    assert np.nanmax(levels) - np.nanmin(levels) < 2.5, "a pause is not a fall of the level"
    assert np.isnan(levels[(times > 7.2) & (times < 7.8)]).all()


def test_a_talker_who_walks_away_wanders_and_one_who_pauses_does_not() -> None:
    steady = talk([(0.5, 4.0), (5.5, 9.0), (9.6, 14.0)], 15.0)
    spread = level_spread_lu(steady)
    assert spread is not None and spread < 0.5 * UNEVEN_LEVEL_LU
    # Of a straight fall, the 10th to 90th percentile is 80 %.
    assert level_spread_lu(fall(steady, 10)) == pytest.approx(8.0, abs=1.5)
    assert (level_spread_lu(fall(steady, 20)) or 0) > 12
    assert (level_spread_lu(fall(steady, 14)) or 0) > UNEVEN_LEVEL_LU
    assert level_spread_lu(talk([(0.2, 1.2)], 1.4)) is None
