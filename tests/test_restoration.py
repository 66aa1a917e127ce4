"""voicekit.restoration: each step does what it says, no more, and nothing the second time.

Truth: the result measured again, pyloudnorm, SciPy, and a PCM_16 file read back.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voicekit.audio import Audio, Recording, read_recording, resample, to_mono, write_audio
from voicekit.quality import level_spread_lu
from voicekit.restoration import apply_gain_db, even_level, normalise_loudness, remove_dc, trim_silence

RATE = 24_000


def talk(
    spans: list[tuple[float, float]], seconds: float, floor_db: float = -70.0, rate: int = RATE
) -> Audio:
    """Noise with syllables (4 a second) inside the spans, over a noise floor; deterministic."""
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng(0)
    at = np.arange(int(rate * seconds)) / rate
    voice = sosfilt(butter(2, [120, 2500], "bandpass", fs=rate, output="sos"), rng.standard_normal(len(at)))
    envelope = 0.15 + np.sin(2 * np.pi * 2 * at) ** 2
    spoken = sum(((at >= start) & (at < end)).astype(float) for start, end in spans)
    floor = 10 ** (floor_db / 20) * rng.standard_normal(len(at))
    return Audio((0.15 * voice * envelope * spoken + floor).astype(np.float32), rate)


def fall(audio: Audio, by_db: float) -> Audio:
    """The level falls steadily from start to end."""
    gain = 10 ** (np.linspace(0, -by_db, len(audio.samples)) / 20)
    return Audio((audio.samples * gain).astype(np.float32), audio.sample_rate)


def lufs(audio: Audio) -> float:
    """pyloudnorm's reading."""
    import pyloudnorm

    return float(pyloudnorm.Meter(audio.sample_rate).integrated_loudness(audio.samples.astype(np.float64)))


def true_peak(audio: Audio) -> float:
    """dBTP by SciPy."""
    from scipy.signal import resample_poly

    return float(20 * np.log10(np.abs(resample_poly(audio.samples.astype(np.float64), 4, 1)).max()))


def chain(recording: Recording) -> Audio:
    """Preprocessing, as the scripts order it."""
    audio = resample(to_mono(recording), 22_050)
    return normalise_loudness(even_level(trim_silence(audio)))


# --- trimming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor_db", [-120, -70, -45])
@pytest.mark.parametrize("start, end", [(1.0, 5.0), (0.5, 7.0), (3.0, 3.4)])
def test_trimming_keeps_the_speech_and_a_little_silence(start: float, end: float, floor_db: float) -> None:
    audio = talk([(start, end)], 8.0, floor_db)
    result = trim_silence(audio)
    lost = int(np.argmax(np.correlate(audio.samples, result.samples[200:-200], "valid"))) - 200
    head, tail = start - lost / RATE, (lost + len(result.samples)) / RATE - end
    assert 0.03 < head < 0.3 and 0.03 < tail < 0.3
    inside = slice(lost + 200, lost + len(result.samples) - 200)
    np.testing.assert_array_equal(result.samples[200:-200], audio.samples[inside])


def test_trimming_leaves_pauses_and_what_is_within_bounds() -> None:
    audio = talk([(1.0, 2.0), (6.0, 7.0)], 8.0)
    assert trim_silence(audio).duration_s == pytest.approx(6.3, abs=0.15)
    for same in (trim_silence(audio), talk([(0.2, 3.8)], 4.0), talk([(0.0, 4.0)], 4.0)):
        assert trim_silence(same) is same
    assert trim_silence(audio, keep_s=0.5).duration_s == pytest.approx(7.0, abs=0.15)


def test_one_end_is_cut_alone_and_the_cut_fades() -> None:
    audio = talk([(0.1, 3.0)], 6.0, floor_db=-45)
    result = trim_silence(audio)
    np.testing.assert_array_equal(result.samples[:50_000], audio.samples[:50_000])
    assert result.duration_s < 3.4 and abs(result.samples[-1]) < 1e-4


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(0), np.zeros(3)])
def test_silence_passes_every_step_unchanged(samples: NDArray[np.float64]) -> None:
    audio = Audio(samples.astype(np.float32), RATE)
    for step in (remove_dc, trim_silence, even_level, normalise_loudness):
        assert step(audio) is audio


# --- level ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain_db", [-30.0, -6.0, 0.0, 12.0])
def test_normalising_meets_the_loudness_where_the_peak_allows(gain_db: float) -> None:
    audio = apply_gain_db(talk([(0.2, 5.8)], 6.0), gain_db)
    result = normalise_loudness(audio)
    assert true_peak(result) <= -3.0 + 0.01
    assert lufs(result) == pytest.approx(-20.0, abs=0.1) or true_peak(result) == pytest.approx(-3.0, abs=0.1)
    loudest = normalise_loudness(audio, target_lufs=-30.0)
    assert lufs(loudest) == pytest.approx(-30.0, abs=0.1), "far from the cap"
    np.testing.assert_allclose(
        loudest.samples * audio.samples[9999], audio.samples * loudest.samples[9999], rtol=1e-5
    )


def test_a_peak_caps_the_gain_and_is_not_bent() -> None:
    audio = talk([(0.2, 5.8)], 6.0)
    audio.samples[50_000] = 0.9
    result = normalise_loudness(audio)
    assert true_peak(result) == pytest.approx(-3.0, abs=0.02) and lufs(result) < -20.5
    assert result.samples[50_000] / result.samples[60_000] == pytest.approx(
        0.9 / audio.samples[60_000], rel=1e-5
    )


def test_gain_and_offset() -> None:
    audio = talk([(0.2, 2.8)], 3.0)
    np.testing.assert_allclose(apply_gain_db(audio, 6.0).samples, audio.samples * 1.99526, rtol=1e-5)
    assert apply_gain_db(audio, 0.0) is audio
    moved = Audio(audio.samples + np.float32(0.1), RATE)
    fixed = remove_dc(moved)
    assert abs(fixed.samples.mean(dtype=np.float64)) < 1e-7
    np.testing.assert_allclose(fixed.samples, audio.samples - audio.samples.mean(), atol=1e-6)
    assert moved.samples[0] == audio.samples[0] + np.float32(0.1), "the input is left alone"


# --- compression ---------------------------------------------------------------------------------

SPEECH = [(0.5, 4.0), (5.5, 9.0), (9.6, 14.0)]


def gains_db(before: Audio, after: Audio) -> NDArray[np.float64]:
    """The gain at each sample that is loud enough to tell."""
    clear = np.abs(before.samples) > 1e-5
    ratio = after.samples[clear].astype(np.float64) / before.samples[clear]
    return np.asarray(20 * np.log10(ratio))


def test_an_even_talker_is_left_alone() -> None:
    audio = talk(SPEECH, 15.0)
    assert even_level(audio) is audio
    short = fall(talk([(0.1, 1.9)], 2.0), 20)
    assert even_level(short) is short, "too little to tell"


@pytest.mark.parametrize("by_db", [9, 12])
def test_a_wandering_talker_is_evened_within_bounds_and_only_once(by_db: float) -> None:
    audio = fall(talk(SPEECH, 15.0), by_db)
    result = even_level(audio)
    before, after = level_spread_lu(audio), level_spread_lu(result)
    assert before is not None and after is not None
    assert before > 6.0 and before / 2.7 < after < 5.0
    gains = gains_db(audio, result)
    assert np.abs(gains).max() <= 6.001
    assert even_level(result) is result


def test_the_bound_on_the_gain_holds_for_extremes() -> None:
    audio = fall(talk(SPEECH, 15.0), 40)
    assert np.abs(gains_db(audio, even_level(audio, max_gain_db=3.0))).max() <= 3.001


def test_the_gain_is_slow_and_pauses_do_not_pump() -> None:
    audio = fall(talk(SPEECH, 15.0, floor_db=-60), 12)
    result = even_level(audio)
    ratio = result.samples.astype(np.float64) / np.where(np.abs(audio.samples) > 1e-6, audio.samples, np.nan)
    track = np.array(
        [np.nanmedian(part) for part in np.array_split(20 * np.log10(ratio), 150)]
    )  # every 0.1 s
    assert np.abs(np.diff(track)).max() < 0.5, "under 5 dB a second"
    pause = track[41:54]  # 4.1 to 5.4 s
    assert pause.max() <= max(track[39], track[56]) + 0.3, "not raised over the speech beside it"


# --- the whole chain -----------------------------------------------------------------------------


@pytest.mark.parametrize("falls_by_db", [0, 10])
@pytest.mark.parametrize("floor_db", [-90, -60, -45])
def test_the_chain_changes_its_own_result_no_more(
    tmp_path: Path, floor_db: float, falls_by_db: float
) -> None:
    voice = fall(talk([(1.0, 5.0), (6.0, 9.0), (9.5, 13.0)], 15.0, -120, 48_000), falls_by_db).samples
    voice = voice + talk([], 15.0, floor_db, 48_000).samples
    once = chain(Recording(np.stack([voice, 0.9 * voice]), 48_000))
    assert once.sample_rate == 22_050 and 12.1 < once.duration_s < 12.6
    path = write_audio(resample(once, 24_000), tmp_path / "a.wav")
    for again in (chain(Recording(once.samples[None], 22_050)), chain(read_recording(path))):
        assert again.duration_s == pytest.approx(once.duration_s, abs=0.05)
        assert lufs(again) == pytest.approx(lufs(once), abs=0.5)
        length = min(len(again.samples), len(once.samples))
        rest = again.samples[500 : length - 500] - once.samples[500 : length - 500]
        assert np.sqrt(np.mean(rest**2)) < 0.02 * np.sqrt(np.mean(once.samples**2)), "the same sound"
