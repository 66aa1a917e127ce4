"""voicekit.defects: against signals whose defect is known because it was put in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from tests.voices import talking
from voicekit.audio import Audio, Recording, read_recording, resample, to_mono
from voicekit.defects import bandwidth_hz, channel_correlation, clipped_ratio, clipping, dc_offset, hum
from voicekit.quality import speech_regions

SAMPLE = Path(__file__).resolve().parent.parent / "samples" / "reference.wav"
Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def voice() -> Audio:
    """10 s of synthetic speech with sibilants and pauses, 22,050 Hz."""
    return to_mono(read_recording(SAMPLE))


@pytest.fixture(scope="module")
def clean_voices(voice: Audio) -> list[Audio]:
    return [voice, talking(5.0), talking(5.0, 44_100, pitch_hz=90.0, seed=3), resample(voice, 48_000)]


def floats(samples: ArrayLike) -> Samples:
    return np.asarray(samples, dtype=np.float32)


def stored(samples: ArrayLike, bits: int = 16) -> Samples:
    """As a file of that many bits holds it."""
    scale = 2 ** (bits - 1)
    return floats(np.clip(np.rint(np.asarray(samples) * scale), -scale, scale - 1) / scale)


def sine(hz: float, seconds: float = 5.0, rate: int = 48_000, amplitude: float = 1.0, phase: float = 0.0) -> Samples:
    return floats(amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate + phase))


def at_level(audio: Audio, rms_dbfs: float) -> Audio:
    gain = 10 ** (rms_dbfs / 20) / float(np.sqrt(np.mean(np.square(audio.samples))))
    return Audio(floats(audio.samples * gain), audio.sample_rate)


def with_noise(audio: Audio, snr_db: float, seed: int = 0) -> Audio:
    noise = np.random.default_rng(seed).standard_normal(len(audio.samples))
    noise *= audio.samples.std() * 10 ** (-snr_db / 20)
    return Audio(floats(audio.samples + noise), audio.sample_rate)


# --- clipping ------------------------------------------------------------------------------------


def clipped_at(samples: Samples, share: float) -> tuple[Samples, float]:
    """Clipped at a share of its peak, and the share of the samples that this reached."""
    limit = share * float(np.abs(samples).max())
    return np.clip(samples, -limit, limit), float(np.mean(np.abs(samples) >= limit))


@pytest.mark.parametrize("gain", [1.0, 0.3, 0.05])
@pytest.mark.parametrize("share", [0.5, 0.25, 0.1])
@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_clipping_is_found_and_measured_at_any_level(voice: Audio, rate: int, share: float, gain: float) -> None:
    samples, truth = clipped_at(resample(voice, rate).samples, share)
    found = clipping(stored(gain * samples))
    assert found.ratio == pytest.approx(truth, rel=0.1)
    limit = gain * float(samples.max())
    assert found.high == pytest.approx(limit, abs=3 / 32768) and found.low == pytest.approx(-limit, abs=3 / 32768)


def test_clipping_at_full_scale(voice: Audio) -> None:
    samples = stored(4 * voice.samples)
    truth = np.mean((samples >= 32767 / 32768) | (samples <= -1))
    assert clipped_ratio(samples) == pytest.approx(truth, rel=0.05) and truth > 0.005


def test_each_polarity_has_its_own_level(voice: Audio) -> None:
    peak = float(np.abs(voice.samples).max())
    samples = stored(np.clip(voice.samples, -0.25 * peak, 0.4 * peak) * 0.5 + 0.03)
    found = clipping(samples)
    assert found.high == pytest.approx(0.2 * peak + 0.03, abs=1e-4)
    assert found.low == pytest.approx(-0.125 * peak + 0.03, abs=1e-4)
    one_sided = clipping(stored(np.minimum(voice.samples, 0.3 * peak)))
    assert one_sided.low is None and one_sided.high == pytest.approx(0.3 * peak, abs=1e-4)


def test_dither_after_turning_down_hides_nothing(voice: Audio) -> None:
    samples, truth = clipped_at(voice.samples, 0.4)
    rng = np.random.default_rng(0)
    dither = (rng.random(len(samples)) - rng.random(len(samples))) / 32768
    assert clipped_ratio(stored(0.2 * samples + dither)) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("make", ["resampled", "noisy"])
def test_severe_clipping_shows_even_where_tops_are_no_longer_flat(voice: Audio, make: str) -> None:
    samples, truth = clipped_at(voice.samples, 0.1)
    clipped = Audio(floats(0.6 * samples), voice.sample_rate)
    changed = resample(clipped, 24_000) if make == "resampled" else with_noise(clipped, 40)
    assert clipped_ratio(changed.samples) == pytest.approx(truth, rel=0.4)


def test_the_worst_channel_counts(voice: Audio) -> None:
    clipped, truth = clipped_at(voice.samples, 0.3)
    assert clipped_ratio(np.stack([voice.samples, clipped])) == pytest.approx(truth, rel=0.1)
    assert clipped_ratio(np.zeros((2, 0), np.float32)) == 0 and clipped_ratio(np.zeros(0, np.float32)) == 0


@pytest.mark.parametrize("bits, rms_dbfs", [(16, -20), (16, -40), (16, -60), (16, -75), (8, -20), (8, -35)])
def test_clean_speech_is_not_clipped_at_any_level(clean_voices: list[Audio], bits: int, rms_dbfs: float) -> None:
    """At -60 dBFS a 16-bit file has some hundred levels, at -75 some tens: equal neighbours are natural there."""
    for audio in clean_voices:
        samples = at_level(audio, rms_dbfs).samples
        assert clipped_ratio(stored(samples, bits)) == 0
        assert clipped_ratio(20 * stored(samples * 0.05, bits)) == 0, "turned down, stored, turned up"


@pytest.mark.parametrize("hz", [50, 100, 440, 997, 1_000, 3_000, 6_000, 12_000])
@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.001])
def test_a_tone_is_not_clipped(hz: float, amplitude: float) -> None:
    """Some of these repeat exactly, so that all their peaks are the same number."""
    for phase in (0.0, np.pi / 4):
        for fade in (1.0, np.linspace(0, 1, 5 * 48_000)):
            assert clipped_ratio(stored(fade * sine(hz, amplitude=amplitude, phase=phase))) == 0


def test_soft_music_and_noise_and_silence_are_not_clipped() -> None:
    at = np.arange(8 * 44_100) / 44_100
    chords = sum(
        np.sin(2 * np.pi * 110 * 2 ** (step / 12) * at) * np.exp(-2 * np.mod(at + beat, 1.0))
        for step, beat in ((0, 0.0), (4, 0.25), (7, 0.5), (12, 0.75))
    )
    noise = np.random.default_rng(0).standard_normal(len(at))
    for samples in (0.2 * chords, 0.002 * chords, 0.1 * noise, 1e-4 * noise, 0 * noise, 0 * noise + 0.3):
        assert clipped_ratio(stored(samples)) == 0


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
@pytest.mark.parametrize("name, pitch", [("en", 0), ("en", 50), ("de", 20), ("en+f3", 50), ("en+croak", 50)])
def test_espeak_is_clean(tmp_path: Path, name: str, pitch: int) -> None:
    path = tmp_path / "speech.wav"
    text = "She sells sea shells by the sea shore. Peter Piper picked a peck of pickled peppers."
    subprocess.run(["espeak-ng", "-v", name, "-p", str(pitch), "-w", str(path), text], check=True)
    audio = to_mono(read_recording(path))
    assert clipped_ratio(audio.samples) == 0
    assert hum(audio, speech_regions(audio)).level_db == 0
    assert (bandwidth_hz(audio, speech_regions(audio)) or 0) > 7_000


# --- offset --------------------------------------------------------------------------------------


def test_dc_offset_is_signed_and_of_the_worst_channel() -> None:
    wave = sine(100, 1.0)
    assert dc_offset(wave) == pytest.approx(0, abs=1e-6)
    assert dc_offset(floats(wave - 0.05)) == pytest.approx(-0.05, abs=1e-6)
    assert dc_offset(floats(np.stack([wave + 0.01, wave - 0.02]))) == pytest.approx(-0.02, abs=1e-6)
    assert dc_offset(np.zeros((2, 0), np.float32)) == 0


# --- hum -----------------------------------------------------------------------------------------

A_WEIGHTING_DB = {50: -30.2, 100: -19.1, 200: -10.9, 500: -3.2}  # IEC 61672-1, table 3 (63 Hz: -26.2)


def with_hum(audio: Audio, level_dbfs: float, mains_hz: float, fall_db: float = 0.0) -> Audio:
    """The mains and five harmonics, each ``fall_db`` under the one before, together at ``level_dbfs``."""
    at = np.arange(len(audio.samples)) / audio.sample_rate
    lines = sum(
        10 ** (-fall_db * order / 20) * np.sin(2 * np.pi * mains_hz * order * at + order) for order in range(1, 7)
    )
    return Audio(floats(audio.samples + at_level(Audio(floats(lines), 1), level_dbfs).samples), audio.sample_rate)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0, 49.82, 60.18])
@pytest.mark.parametrize("level_dbfs", [-30.0, -20.0])
@pytest.mark.parametrize("fall_db", [0.0, 3.0])
def test_hum_is_found_under_speech(voice: Audio, mains_hz: float, level_dbfs: float, fall_db: float) -> None:
    for speech in (at_level(voice, -25), at_level(talking(6.0, 16_000, pitch_hz=100.0), -25)):
        audio = with_hum(speech, level_dbfs, mains_hz, fall_db)
        found = hum(audio, speech_regions(audio))
        assert found.level_db is not None and found.level_db > 8
        assert found.level_dbfs == pytest.approx(level_dbfs, abs=1)
        assert found.mains_hz == round(mains_hz, -1)
        wanted = mains_hz * np.arange(1, 7)
        assert len(found.lines_hz) <= 7 and np.abs(np.subtract.outer(found.lines_hz, wanted)).min(axis=0).max() < 1


def test_hum_is_found_where_nobody_pauses(voice: Audio) -> None:
    regions = speech_regions(voice)
    rate = voice.sample_rate
    dense = np.concatenate([voice.samples[int(start * rate) : int(end * rate)] for start, end in regions])
    audio = with_hum(at_level(Audio(dense, rate), -25), -30, 50)
    assert (hum(audio, []).level_db or 0) > 8


@pytest.mark.parametrize("line_hz", A_WEIGHTING_DB)
def test_the_level_is_a_weighted_and_counted_from_35_db_under_the_speech(line_hz: int) -> None:
    speech = at_level(talking(8.0), -25)
    hz = [line_hz] if line_hz < 200 else [50, line_hz]  # a higher line alone would be chance
    lines = sum(sine(order, 8.0, speech.sample_rate, 0.05) for order in hz)
    found = hum(Audio(floats(speech.samples + lines), speech.sample_rate), [])
    power = sum(10 ** ((20 * np.log10(0.05) - 3.01 + A_WEIGHTING_DB[order]) / 10) for order in hz)
    assert found.level_db == pytest.approx(10 * np.log10(power) + 25 + 35, abs=0.5)


def test_a_voice_on_the_mains_frequency_is_no_hum() -> None:
    """Its harmonics move, or they stop where it pauses."""
    at = np.arange(8 * 22_050) / 22_050
    for pitch in (100.0, 120.0):
        assert hum(talking(8.0, pitch_hz=pitch), []).level_db == 0
        buzz = sum(np.sin(2 * np.pi * pitch * order * at) / order for order in range(1, 20))
        monotone = 0.1 * buzz * (np.mod(at, 1.0) < 0.7) + 1e-4 * np.random.default_rng(0).standard_normal(len(at))
        assert hum(Audio(floats(monotone), 22_050), []).level_db == 0


@pytest.mark.parametrize("hz", [41.2, 49.0, 55.0, 61.74, 98.0, 123.47])
def test_a_bass_note_is_no_hum(hz: float) -> None:
    """E1, G1, A1, B1, G2 and B2: close to mains, but not on it."""
    notes = sine(hz, 6.0, amplitude=0.1) + sine(2 * hz, 6.0, amplitude=0.05)
    noise = 1e-3 * np.random.default_rng(1).standard_normal(len(notes))
    assert hum(Audio(floats(notes + noise), 48_000), []).level_db == 0


def test_clean_speech_and_noise_and_silence_have_no_hum(voice: Audio) -> None:
    rng = np.random.default_rng(2)
    white = rng.standard_normal(5 * 16_000)
    spectrum = np.fft.rfft(rng.standard_normal(5 * 16_000))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)))
    for audio in (voice, with_noise(voice, 20), Audio(floats(0.1 * white), 16_000), Audio(floats(pink), 16_000)):
        assert hum(audio, speech_regions(audio)).level_db == 0
        assert hum(Audio(audio.samples[: 2 * audio.sample_rate], audio.sample_rate), []).level_db == 0
    assert hum(Audio(np.zeros(48_000, np.float32), 16_000), []).level_db is None
    assert hum(Audio(floats(0.1 * white[:7_000]), 16_000), []).level_db is None


def test_lines_that_nobody_hears_are_no_hum(voice: Audio) -> None:
    silent_pauses = Audio(floats(np.where(np.abs(voice.samples) < 1e-3, 0, voice.samples)), voice.sample_rate)
    found = hum(with_hum(silent_pauses, -80, 50), speech_regions(voice))
    assert found.level_db == 0 and found.lines_hz == () and found.level_dbfs is None


# --- bandwidth -----------------------------------------------------------------------------------


def low_passed(audio: Audio, cutoff_hz: float) -> Audio:
    """Through a steep filter: 60 dB down within 150 Hz."""
    from scipy.signal import fftconvolve, firwin, kaiserord

    taps, beta = kaiserord(60, 150 / (audio.sample_rate / 2))
    kernel = firwin(taps | 1, cutoff_hz, window=("kaiser", beta), fs=audio.sample_rate)
    return Audio(floats(fftconvolve(audio.samples, kernel, mode="same")), audio.sample_rate)


@pytest.mark.parametrize("cutoff_hz", [3_000, 4_000, 5_000, 6_000, 8_000])
def test_the_cutoff_of_a_filter_is_read(voice: Audio, cutoff_hz: float) -> None:
    narrow = low_passed(voice, cutoff_hz)
    for audio in (narrow, resample(narrow, 48_000), Audio(stored(0.03 * narrow.samples), narrow.sample_rate)):
        assert bandwidth_hz(audio, speech_regions(audio)) == pytest.approx(cutoff_hz, abs=250)


def test_full_speech_reads_full(voice: Audio) -> None:
    for rate in (16_000, 22_050, 48_000):
        audio = resample(voice, rate)
        highest = min(rate, 22_050) / 2
        assert 0.93 * highest < (bandwidth_hz(audio, speech_regions(audio)) or 0) <= min(1.01 * highest, rate / 2)


def test_a_telephone_band_stays_narrow_at_a_high_rate(voice: Audio) -> None:
    from scipy.signal import butter, sosfilt

    band = butter(4, [300, 3400], "bandpass", fs=voice.sample_rate, output="sos")
    telephone = resample(Audio(floats(sosfilt(band, voice.samples)), voice.sample_rate), 8_000)
    for audio in (resample(telephone, 48_000), with_noise(resample(telephone, 48_000), 35)):
        assert 3_250 <= (bandwidth_hz(audio, speech_regions(audio)) or 0) <= 4_125


@pytest.mark.parametrize("snr_db", [40, 30, 20, 10, 0])
def test_noise_over_whole_speech_is_never_called_narrow(voice: Audio, snr_db: float) -> None:
    for seed in range(3):
        noisy = with_noise(voice, snr_db, seed)
        assert (bandwidth_hz(noisy, speech_regions(noisy)) or 0) > 9_000


def test_a_wall_shows_through_noise(voice: Audio) -> None:
    noisy = with_noise(resample(resample(voice, 8_000), 16_000), 25)
    assert bandwidth_hz(noisy, speech_regions(noisy)) == pytest.approx(4_000, abs=250)


def test_hum_and_rumble_do_not_narrow_the_band(voice: Audio) -> None:
    audio = with_hum(at_level(voice, -25), -15, 60)
    assert (bandwidth_hz(audio, []) or 0) > 9_000


def test_only_the_speech_counts(voice: Audio) -> None:
    """A hiss before somebody speaks over the telephone."""
    telephone = resample(resample(voice, 8_000), voice.sample_rate)
    hiss = floats(0.05 * np.random.default_rng(0).standard_normal(3 * voice.sample_rate))
    audio = Audio(np.concatenate([hiss, telephone.samples]), voice.sample_rate)
    speech = [(start + 3, end + 3) for start, end in speech_regions(telephone)]
    assert bandwidth_hz(audio, speech) == pytest.approx(4_000, abs=250)


def test_there_is_no_band_in_silence() -> None:
    for length in (0, 1, 500, 48_000):
        assert bandwidth_hz(Audio(np.zeros(length, np.float32), 48_000), []) is None


# --- channels ------------------------------------------------------------------------------------


def pair(*channels: ArrayLike, rate: int = 22_050) -> Recording:
    return Recording(floats(np.stack([np.asarray(channel) for channel in channels])), rate)


def test_correlation_of_two_channels(voice: Audio) -> None:
    samples = voice.samples
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(samples))
    assert channel_correlation(pair(samples, 0.5 * samples)) == pytest.approx(1, abs=1e-4)
    assert channel_correlation(pair(samples, -0.3 * samples + 0.1)) == pytest.approx(-1, abs=1e-3)
    assert channel_correlation(pair(samples, noise)) == pytest.approx(0, abs=0.05)
    # Two channels that share a signal of power 1 and have noise of power 1 each: 1 / (1 + 1).
    shared, left, right = np.random.default_rng(1).standard_normal((3, 60_000))
    assert channel_correlation(pair(shared + left, shared + right)) == pytest.approx(0.5, abs=0.02)


def test_the_two_most_energetic_channels_count(voice: Audio) -> None:
    samples = voice.samples
    quiet = 0.05 * samples
    assert channel_correlation(pair(samples, quiet, -0.8 * samples, quiet)) == pytest.approx(-1, abs=1e-3)
    offset = np.full(len(samples), 0.5)
    assert channel_correlation(pair(samples, offset, -samples)) == pytest.approx(-1, abs=1e-3)


def test_one_channel_has_no_correlation(voice: Audio) -> None:
    samples, silence = voice.samples, np.zeros_like(voice.samples)
    assert channel_correlation(pair(samples)) is None
    assert channel_correlation(pair(samples, silence)) is None
    assert channel_correlation(pair(samples, 0.001 * samples)) is None
    assert channel_correlation(pair(silence, silence)) is None
    assert channel_correlation(pair(samples[:100], samples[:100])) is None


# --- all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 192_000])
@pytest.mark.parametrize("seconds", [0, 0.0001, 0.02, 0.1, 0.5, 1.0])
def test_short_and_silent_recordings_never_fail(rate: int, seconds: float) -> None:
    import warnings

    length = int(rate * seconds)
    noise = 0.1 * np.random.default_rng(0).standard_normal(length)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for samples in (noise, 0 * noise, 0 * noise + 0.3, 1e-7 * noise, noise * (np.arange(length) == length // 2)):
            audio = Audio(floats(samples), rate)
            for speech in ([], [(0.0, seconds)], [(50.0, 60.0)]):
                assert clipping(audio.samples).ratio == 0
                assert abs(dc_offset(audio.samples)) <= 0.31
                assert not hum(audio, speech).level_db
                assert (bandwidth_hz(audio, speech) or 0) <= rate / 2
                channel_correlation(pair(samples, samples, rate=rate))
