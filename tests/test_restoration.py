"""voicekit.restoration: each step does what it says, no more, and nothing the second time.

Truth: the result measured again, pyloudnorm, SciPy, a PCM_16 file read back, and what a recording was before it
was spoiled.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.voices import fall, talk, talking
from voicekit.audio import Audio, Recording, read_recording, resample, to_mono
from voicekit.audio_writing import write_audio
from voicekit.declipping import declip
from voicekit.edits import Edits, Kept, apply, compose, regions_in_result, to_result_time, total_s, whole
from voicekit.hum_removal import remove_hum
from voicekit.quality import level_spread_lu, speech_regions
from voicekit.restoration import (
    apply_gain_db,
    even_level,
    high_pass,
    normalise_loudness,
    remove_dc,
    shorten_pauses,
    spoken_span,
    trim_silence,
)

RATE = 24_000
REFERENCE = Path(__file__).resolve().parent.parent / "samples" / "reference.wav"


@pytest.fixture(scope="module")
def reference() -> Audio:
    """Ten seconds of synthetic speech, 22,050 Hz."""
    return to_mono(read_recording(REFERENCE))


def lufs(audio: Audio) -> float:
    """pyloudnorm's reading."""
    import pyloudnorm

    return float(pyloudnorm.Meter(audio.sample_rate).integrated_loudness(audio.samples.astype(np.float64)))


def true_peak(audio: Audio) -> float:
    """dBTP by SciPy."""
    from scipy.signal import resample_poly

    return float(20 * np.log10(np.abs(resample_poly(audio.samples.astype(np.float64), 4, 1)).max()))


def sdr_db(truth: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Signal to distortion in dB."""
    error = estimate.astype(np.float64) - truth
    return float(10 * np.log10(np.sum(np.square(truth, dtype=np.float64)) / (np.sum(np.square(error)) + 1e-20)))


def chain(recording: Recording) -> Audio:
    """Preprocessing, as the scripts order it."""
    audio = resample(to_mono(recording), 22_050)
    return normalise_loudness(even_level(trim_silence(audio)))


# --- trimming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor_db", [-120, -70, -45])
@pytest.mark.parametrize("start, end", [(1.0, 5.0), (0.5, 7.0), (3.0, 3.4)])
def test_trimming_keeps_the_speech_and_a_little_silence(start: float, end: float, floor_db: float) -> None:
    audio = talk([(start, end)], 8.0, floor_db=floor_db)
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
    for step in (remove_dc, high_pass, trim_silence, even_level, normalise_loudness):
        assert step(audio) is audio
    assert declip(audio, -0.5, 0.5) is audio and declip(audio, None, None) is audio
    assert remove_hum(audio, [50.0, 100.0]) is audio
    assert shorten_pauses(audio, []) == (audio, () if not len(samples) else whole(audio.duration_s))


def test_the_span_that_trimming_keeps_can_be_told() -> None:
    audio = talk([(1.0, 5.0)], 8.0)
    span = spoken_span(audio)
    np.testing.assert_array_equal(trim_silence(audio).samples, apply(audio, (span,)).samples)
    assert span.start_s == pytest.approx(0.85, abs=0.1) and span.end_s == pytest.approx(5.15, abs=0.1)
    assert span.start_s * RATE == pytest.approx(round(span.start_s * RATE), abs=1e-6)
    silence = Audio(np.zeros(RATE, np.float32), RATE)
    assert spoken_span(silence) == Kept(0.0, 1.0)


# --- pauses --------------------------------------------------------------------------------------

SPOKEN = [(0.5, 2.0), (2.7, 3.5), (5.5, 7.0), (10.0, 11.0)]


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_the_middle_of_long_pauses_goes_and_speech_stays(rate: int) -> None:
    audio = talk(SPOKEN, 14.0, floor_db=-50, rate=rate)
    result, edits = shorten_pauses(audio, SPOKEN)
    grid = np.array([[kept.start_s, kept.end_s] for kept in edits])
    np.testing.assert_allclose(grid, [(0, 3.8), (5.2, 7.3), (9.7, 14.0)], atol=0.51 / rate)
    assert len(result.samples) == round(total_s(edits) * rate)
    moved = regions_in_result(edits, SPOKEN)
    for before, after in zip(SPOKEN, moved, strict=True):
        assert after[1] - after[0] == pytest.approx(before[1] - before[0], abs=1e-9), "no speech was cut"
        start, count = round(before[0] * rate), int((before[1] - before[0]) * rate) - 1
        to = to_result_time(edits, start / rate)
        assert to is not None
        heard = result.samples[round(to * rate) :][:count]
        np.testing.assert_array_equal(heard, audio.samples[start : start + count])
    gaps = [after[0] - before[1] for before, after in pairwise(moved)]
    np.testing.assert_allclose(gaps, [0.7, 0.6, 0.6], atol=1.1 / rate)
    assert np.abs(np.diff(result.samples)).max() <= np.abs(np.diff(audio.samples)).max() + 1e-6, "no click"


def test_shortening_a_second_time_changes_nothing() -> None:
    audio = talk(SPOKEN, 14.0)
    result, edits = shorten_pauses(audio, SPOKEN)
    for spoken in (regions_in_result(edits, SPOKEN), speech_regions(result)):
        again, kept = shorten_pauses(result, spoken)
        assert again is result and kept == whole(result.duration_s)


@pytest.mark.parametrize("spoken", [[], [(0.0, 14.0)], [(13.9, 14.0)], [(0.0, 5.0), (5.0, 9.0), (9.79, 14.0)]])
def test_without_a_long_pause_between_words_nothing_is_cut(spoken: list[tuple[float, float]]) -> None:
    audio = talk(SPOKEN, 14.0)
    result, edits = shorten_pauses(audio, spoken)
    assert result is audio and edits == whole(14.0)


def test_what_was_cut_composes_with_a_choice_of_stretch() -> None:
    audio = talk(SPOKEN, 14.0)
    result, edits = shorten_pauses(audio, SPOKEN)
    stretch: Edits = (Kept(3.0, 6.0), Kept(0.0, 3.0))
    once = apply(audio, compose(edits, stretch), fade_s=0.0)
    twice = apply(apply(audio, edits, fade_s=0.0), stretch, fade_s=0.0)
    np.testing.assert_array_equal(once.samples, twice.samples)
    assert once.duration_s == pytest.approx(6.0) and result.duration_s > 6.0


# --- clipping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [22_050, 48_000])
@pytest.mark.parametrize("share, gain_db", [(0.5, 7.0), (0.25, 5.0), (0.1, 4.0)])
def test_clipped_speech_comes_closer_to_what_it_was(
    reference: Audio, rate: int, share: float, gain_db: float
) -> None:
    """Better than SciPy's PCHIP over the flat tops, too; every sample that was not clipped stays."""
    from scipy.interpolate import PchipInterpolator

    truth = resample(reference, rate).samples[: 6 * rate]
    level = np.float32(share * np.abs(truth).max())
    clipped = Audio(np.clip(truth, -level, level), rate)
    result = declip(clipped, float(-level), float(level))
    flat = np.abs(clipped.samples) >= level
    np.testing.assert_array_equal(result.samples[~flat], clipped.samples[~flat])
    assert (np.abs(result.samples[flat]) >= level).all(), "consistent: at or beyond the level"
    assert (result.samples[flat] * clipped.samples[flat] > 0).all()
    gained = sdr_db(truth, result.samples) - sdr_db(truth, clipped.samples)
    at = np.flatnonzero(~flat)
    curve = PchipInterpolator(at, clipped.samples[at])(np.arange(len(truth))).astype(np.float32)
    assert gained > gain_db
    assert gained > sdr_db(truth, curve) - sdr_db(truth, clipped.samples) + 2
    assert declip(result, float(-level), float(level)) is result, "a second pass has nothing to do"


@pytest.mark.parametrize("gain", [0.02, 1.0, 30.0])
def test_declipping_does_not_depend_on_the_level_or_the_sign(reference: Audio, gain: float) -> None:
    truth = (reference.samples[:66_150] * np.float32(gain)).astype(np.float32)
    level = float(0.3 * truth.max())
    one_side = Audio(np.minimum(truth, np.float32(level)), 22_050)
    result = declip(one_side, None, level)
    assert sdr_db(truth, result.samples) > sdr_db(truth, one_side.samples) + 5
    turned = declip(Audio(-one_side.samples, 22_050), -level, None)
    np.testing.assert_allclose(turned.samples, -result.samples, atol=1e-5 * gain)
    assert result.samples.max() > 1.2 * level


def test_tops_that_resampling_has_rippled_are_mended_too(reference: Audio) -> None:
    truth, level = reference.samples[: 6 * 22_050], 0.1 * reference.samples.max()
    spoiled = resample(Audio(np.clip(truth, -level, level), 22_050), RATE)
    clean = resample(Audio(truth, 22_050), RATE)
    result = declip(spoiled, -0.9 * level, 0.9 * level)
    assert sdr_db(clean.samples, result.samples) > sdr_db(clean.samples, spoiled.samples) + 2.5
    assert declip(result, -0.9 * level, 0.9 * level) is result


def test_what_goes_beyond_a_level_was_not_clipped_there(reference: Audio) -> None:
    for share in (0.1, 0.3, 0.6):
        level = float(share * np.abs(reference.samples).max())
        assert declip(reference, -level, level) is reference
    assert declip(reference, None, None) is reference and declip(reference, -2.0, 2.0) is reference


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.5])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_declipping_stands_short_and_hopeless_signals(seconds: float, rate: int) -> None:
    at = np.arange(int(seconds * rate)) / rate
    square = Audio(np.sign(np.sin(2 * np.pi * 200 * at + 0.1)).astype(np.float32), rate)
    tone = Audio(np.clip(np.sin(2 * np.pi * 200 * at + 0.1), -0.3, 0.3).astype(np.float32), rate)
    for audio, level in ((square, 1.0), (tone, 0.3), (Audio(np.full(len(at), 0.5, np.float32), rate), 0.5)):
        result = declip(audio, -level, level)
        assert len(result.samples) == len(at) and np.isfinite(result.samples).all()
        assert np.abs(result.samples).max() < 30 * level


# --- rumble --------------------------------------------------------------------------------------


def tone(hz: float, seconds: float, rate: int = RATE, level: float = 0.1) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
def test_rumble_goes_and_the_lowest_voices_stay(rate: int) -> None:
    """85 Hz and up within 1 dB and in phase; 50 Hz by 40 dB and more."""
    low = tone(30, 4, rate, 0.2) + tone(50, 4, rate)
    inside = slice(rate, 3 * rate)
    for hz in (85.0, 100.0, 400.0):
        voice = tone(hz, 4, rate)
        result = high_pass(Audio(voice + low, rate)).samples[inside]
        gain = float(np.dot(result, voice[inside]) / np.dot(voice[inside], voice[inside]))
        assert abs(20 * np.log10(gain)) < 1.0
        np.testing.assert_allclose(result, gain * voice[inside], atol=0.002)
    rest = high_pass(Audio(low, rate)).samples[inside]
    assert np.abs(rest).max() < 0.001


def test_an_offset_goes_without_a_click_at_either_end(reference: Audio) -> None:
    moved = Audio(reference.samples + np.float32(0.3), reference.sample_rate)
    result = high_pass(moved)
    assert np.abs(high_pass(Audio(np.full(RATE, 0.3, np.float32), RATE)).samples).max() < 1e-6
    assert sdr_db(reference.samples - reference.samples.mean(), result.samples) > 30
    assert np.abs(result.samples[:200]).max() < 0.01 and np.abs(result.samples[-200:]).max() < 0.01
    assert high_pass(result) is result


def test_a_long_recording_is_filtered_as_in_one_piece() -> None:
    from scipy.signal import butter, sosfiltfilt

    audio = Audio(talking(70, 8_000).samples + tone(30, 70, 8_000), 8_000)
    whole_length = sosfiltfilt(butter(8, 70.0, "highpass", fs=8_000, output="sos"), audio.samples, padlen=2_000)
    np.testing.assert_allclose(high_pass(audio).samples, whole_length, atol=1e-5)


def test_a_voice_without_rumble_is_left_alone(reference: Audio) -> None:
    voice = high_pass(reference)  # the synthesiser's offset wanders
    for same in (voice, talking(3.0, pitch_hz=85.0), talking(0.5), Audio(tone(85, 2), RATE)):
        assert high_pass(same) is same
    for level in (0.01, 0.1, 1.0):
        rumble = tone(40, 11, 22_050, level)[: len(voice.samples)]
        result = high_pass(Audio(voice.samples + rumble, 22_050))
        assert high_pass(result) is result
        assert sdr_db(voice.samples, result.samples) > 20


# --- hum -----------------------------------------------------------------------------------------


def hum(count: int, rate: int, mains_hz: float, level_db: float) -> NDArray[np.float32]:
    """A mains frequency and five harmonics at an RMS level; the grid wanders by 0.02 Hz in 40 s."""
    at = np.arange(count) / rate
    turns = np.cumsum(mains_hz + 0.02 * np.sin(2 * np.pi * at / 40)) / rate
    sizes = enumerate([1.0, 0.5, 0.6, 0.25, 0.3, 0.15], start=1)
    sound = np.sum([size * np.cos(2 * np.pi * order * turns + order) for order, size in sizes], axis=0)
    return (10 ** (level_db / 20) * sound / np.sqrt(np.mean(sound**2))).astype(np.float32)


@pytest.mark.parametrize("level_db", [-20, -30])
@pytest.mark.parametrize("nominal_hz, mains_hz", [(50, 49.8), (50, 50.05), (60, 60.2)])
def test_hum_goes_and_the_voice_over_it_stays(
    reference: Audio, nominal_hz: float, mains_hz: float, level_db: float
) -> None:
    """Given the nominal frequencies; and at least 10 dB better than SciPy's notches at the actual ones."""
    from scipy.signal import iirnotch, sosfiltfilt, tf2sos

    voice = reference.samples * np.float32(10 ** (-25 / 20) / np.sqrt(np.mean(reference.samples**2)))
    spoiled = Audio(voice + hum(len(voice), 22_050, mains_hz, level_db), 22_050)
    result = remove_hum(spoiled, [nominal_hz * order for order in range(1, 7)])
    notched = spoiled.samples.astype(np.float64)
    for order in range(1, 7):
        notched = sosfiltfilt(tf2sos(*iirnotch(order * mains_hz, 30, 22_050)), notched)
    assert sdr_db(voice, result.samples) > 28
    assert sdr_db(voice, result.samples) > sdr_db(voice, notched) + 10
    assert remove_hum(result, [nominal_hz * order for order in range(1, 7)]) is result


def test_hum_is_removed_up_to_both_ends_and_only_where_said(reference: Audio) -> None:
    voice = reference.samples[: 7 * 22_050 + 123]
    lines = hum(len(voice), 22_050, 50.0, -20)
    result = remove_hum(Audio(voice + lines, 22_050), [50.0 * order for order in range(1, 7)])
    for end in (slice(0, 2_000), slice(-2_000, None)):
        assert np.sqrt(np.mean((result.samples - voice)[end] ** 2)) < 0.15 * np.sqrt(np.mean(lines[end] ** 2))
    beside = Audio(voice + lines, 22_050)
    assert remove_hum(beside, [80.0, 275.0]) is beside


@pytest.mark.parametrize("nominal_hz", [50, 60])
def test_a_voice_without_hum_is_left_alone(reference: Audio, nominal_hz: float) -> None:
    lines = [nominal_hz * order for order in range(1, 7)]
    for same in (reference, talking(8.0, pitch_hz=100.0), talking(8.0, pitch_hz=120.0), talk(SPOKEN, 12.0)):
        assert remove_hum(same, lines) is same


def test_hum_of_nothing_or_on_no_line() -> None:
    for seconds in (0.0, 0.3, 0.5, 1.0, 2.9, 3.1):
        silence = Audio(np.zeros(int(seconds * RATE), np.float32), RATE)
        assert remove_hum(silence, [50.0, 100.0]) is silence
        noise = Audio(np.random.default_rng(0).standard_normal(len(silence.samples)).astype(np.float32), RATE)
        assert len(remove_hum(noise, [50.0, 100.0]).samples) == len(noise.samples)
    voice = talking(2.0)
    assert remove_hum(voice, []) is voice and remove_hum(voice, [20_000.0, -3.0]) is voice


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


@pytest.mark.parametrize("by_db", [13, 15])
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
    audio = fall(talk(SPEECH, 15.0, floor_db=-60), 15)
    result = even_level(audio)
    ratio = result.samples.astype(np.float64) / np.where(np.abs(audio.samples) > 1e-6, audio.samples, np.nan)
    track = np.array(
        [np.nanmedian(part) for part in np.array_split(20 * np.log10(ratio), 150)]
    )  # every 0.1 s
    assert np.abs(np.diff(track)).max() < 0.5, "under 5 dB a second"
    pause = track[41:54]  # 4.1 to 5.4 s
    assert pause.max() <= max(track[39], track[56]) + 0.3, "not raised over the speech beside it"


# --- the whole chain -----------------------------------------------------------------------------


@pytest.mark.parametrize("falls_by_db", [0, 14])
@pytest.mark.parametrize("floor_db", [-90, -60, -45])
def test_the_chain_changes_its_own_result_no_more(
    tmp_path: Path, floor_db: float, falls_by_db: float
) -> None:
    voice = fall(talk([(1.0, 5.0), (6.0, 9.0), (9.5, 13.0)], 15.0, 48_000, -120), falls_by_db).samples
    voice = voice + talk([], 15.0, 48_000, floor_db).samples
    once = chain(Recording(np.stack([voice, 0.9 * voice]), 48_000))
    assert once.sample_rate == 22_050 and 12.1 < once.duration_s < 12.6
    path = write_audio(resample(once, 24_000), tmp_path / "a.wav")
    for again in (chain(Recording(once.samples[None], 22_050)), chain(read_recording(path))):
        assert again.duration_s == pytest.approx(once.duration_s, abs=0.05)
        assert lufs(again) == pytest.approx(lufs(once), abs=0.5)
        length = min(len(again.samples), len(once.samples))
        rest = again.samples[500 : length - 500] - once.samples[500 : length - 500]
        assert np.sqrt(np.mean(rest**2)) < 0.02 * np.sqrt(np.mean(once.samples**2)), "the same sound"
