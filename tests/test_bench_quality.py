"""The quality benchmark measures what it says: damage of a known size, alignment, metrics, ranks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from scipy.signal import butter, sosfilt

from bench import quality, quality_contestants, quality_metrics, quality_report, quality_speech
from bench import quality_degradations as degrading
from tests.voices import talking

RATE = 22_050


def voice(seconds: float = 7.0, **options: Any) -> np.ndarray:
    return talking(seconds, RATE, **options).samples.astype(np.float64)


CLEAN = degrading.Clean(voice(), RATE, (voice(pitch_hz=200.0, seed=3), voice(5.0, pitch_hz=160.0, seed=4)),
                        (np.random.default_rng(5).standard_normal(RATE) * 0.1,))
BY_NAME = {cell.name: cell for cell in degrading.GRID}


def degraded(name: str, clean: degrading.Clean = CLEAN) -> degrading.Degraded:
    cell = BY_NAME[name]
    return cell.degrade(clean, cell.level, degrading.generator("voice", cell.kind))


def reference_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    found = degraded(name)
    assert found.reference is not None
    return found.samples, found.reference


def db(ratio: float) -> float:
    return float(20 * np.log10(ratio))


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed (dependency group bench)")


# --- degradations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in ("mp3 32",)])
def test_every_cell_is_finite_within_full_scale_and_the_same_each_time(name: str) -> None:
    first, second = degraded(name), degraded(name)
    assert np.isfinite(first.samples).all() and np.abs(first.samples).max() <= 1.0
    assert np.array_equal(first.samples, second.samples)
    assert first.reference is None or first.reference.shape == first.samples.shape[1:]


@pytest.mark.parametrize("kind", ["white", "pink", "babble", "recorded"])
@pytest.mark.parametrize("snr_db", [20, 0])
def test_noise_has_the_ratio_that_it_says(kind: str, snr_db: int) -> None:
    samples, reference = reference_of(f"{kind} {snr_db}")
    assert db(rms(reference) / rms(samples[0] - reference)) == pytest.approx(snr_db, abs=0.1)


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    samples, reference = reference_of("pink 0")
    power = np.abs(np.fft.rfft(samples[0] - reference)) ** 2
    hertz = np.fft.rfftfreq(samples.shape[1], 1 / RATE)
    low, high = (power[(hertz >= f) & (hertz < 1.2 * f)].mean() for f in (200, 3200))
    assert 10 * np.log10(low / high) == pytest.approx(12, abs=1.0)


@pytest.mark.parametrize("mains_hz", [50, 60])
@pytest.mark.parametrize("level_dbfs", [-30, -20])
def test_hum_has_its_level_and_six_lines(mains_hz: int, level_dbfs: int) -> None:
    samples, reference = reference_of(f"hum{mains_hz} {level_dbfs}")
    hum = samples[0] - reference
    assert db(rms(hum)) == pytest.approx(level_dbfs, abs=0.1)
    spectrum = np.abs(np.fft.rfft(hum[: 6 * RATE] * np.hanning(6 * RATE)))
    lines = [spectrum[6 * mains_hz * k - 3 : 6 * mains_hz * k + 4] for k in range(1, 7)]
    assert sum(np.square(line).sum() for line in lines) > 0.999 * np.square(spectrum).sum()


@pytest.mark.parametrize("share", [0.5, 0.25, 0.1])
def test_clipping_flattens_what_is_over_its_share_of_the_peak(share: float) -> None:
    over = np.mean(np.abs(CLEAN.samples) >= share * np.abs(CLEAN.samples).max())
    hot, down = degraded(f"clip {share}").samples, degraded(f"clip_down {share}").samples
    assert over > 0 and np.mean(np.abs(hot) == 1.0) == pytest.approx(over)
    assert np.abs(down).max() == pytest.approx(10 ** (-12 / 20), rel=1e-4)
    assert np.mean(np.abs(down) > 0.9999 * np.abs(down).max()) == pytest.approx(over, abs=2e-4)


@pytest.mark.parametrize("rt60_s", [0.3, 0.6, 1.0])
def test_the_tail_decays_as_said(rt60_s: float) -> None:
    """Schroeder's backward integration, -5 to -35 dB."""
    response = degrading.impulse_response(rt60_s, RATE, np.random.default_rng(1))
    assert response[0] == 1.0 and np.square(response[1:]).sum() == pytest.approx(1.0, rel=0.01)
    decay_db = 10 * np.log10(np.cumsum(np.square(response[1:])[::-1])[::-1])
    low, high = (int(np.argmax(decay_db < bound)) for bound in (-5, -35))
    assert 2 * (high - low) / RATE == pytest.approx(rt60_s, rel=0.07)


def test_a_quiet_recording_has_the_level_that_it_says() -> None:
    assert db(rms(degraded("level -45").samples)) == pytest.approx(-45, abs=0.1)


def test_silence_is_forty_percent_and_no_speech_is_lost() -> None:
    samples = degraded("silence 0.4").samples[0]
    assert (len(samples) - len(CLEAN.samples)) / len(samples) == pytest.approx(0.4, abs=0.001)
    loud = np.abs(CLEAN.samples) > 0.01
    assert np.array_equal(samples[np.abs(samples) > 0.01], CLEAN.samples[loud])
    assert np.abs(samples[: RATE // 10]).max() < 0.01 and np.abs(samples[-RATE // 10 :]).max() < 0.01


def test_phase_cancels_in_the_mean() -> None:
    samples = degraded("phase").samples
    assert np.corrcoef(samples)[0, 1] < -0.99
    assert rms(samples.mean(axis=0)) < 0.001


def test_an_offset_is_a_mean() -> None:
    samples, reference = reference_of("dc 0.05")
    assert np.mean(samples[0] - reference) == pytest.approx(0.05)


def test_the_telephone_has_no_treble_and_keeps_the_rate() -> None:
    samples, _ = reference_of("telephone")
    power = np.abs(np.fft.rfft(samples[0])) ** 2
    hertz = np.fft.rfftfreq(samples.shape[1], 1 / RATE)
    assert power[hertz > 4000].sum() < 1e-5 * power.sum()


def test_two_speakers_are_both_there_and_have_no_reference() -> None:
    for name in ("two appended", "two alternating"):
        found = degraded(name)
        assert found.reference is None
        assert found.samples.shape[1] > len(CLEAN.samples) + len(CLEAN.others[0])


def test_mp3_is_aligned_and_only_then_expected_to_be_narrow() -> None:
    try:
        samples, reference = reference_of("mp3 32")
    except degrading.Impossible as reason:
        pytest.skip(str(reason))
    assert abs(quality_metrics.delay(reference, samples[0], 2000)) < 1
    assert quality_metrics.si_sdr(reference, samples[0]) > 8
    narrow = sosfilt(butter(8, 3000, fs=RATE, output="sos"), samples)
    assert degrading.expected_codes(BY_NAME["mp3 32"], narrow, RATE) == ("narrow_band",)
    wide = np.random.default_rng(0).standard_normal((1, RATE))
    assert degrading.expected_codes(BY_NAME["mp3 32"], wide, RATE) == ()


def test_without_company_a_cell_is_impossible() -> None:
    alone = degrading.Clean(CLEAN.samples, RATE)
    for name in ("babble 5", "recorded 5", "two appended"):
        with pytest.raises(degrading.Impossible):
            degraded(name, alone)


def test_files_are_sixteen_bit_at_the_clean_rate(tmp_path: Path) -> None:
    path = degrading.write_wav(degraded("phase"), RATE, tmp_path / "a.wav")
    found = soundfile.info(path)
    assert (found.subtype, found.samplerate, found.channels) == ("PCM_16", RATE, 2)


# --- alignment and metrics ---------------------------------------------------------------------------


def noise(seconds: float, rate: int = 16_000) -> np.ndarray:
    return np.random.default_rng(9).standard_normal(round(seconds * rate))


@pytest.mark.parametrize("late", [0, 37, -410, 0.5, 100.25])
def test_a_delay_is_found_to_a_hundredth_of_a_sample(late: float) -> None:
    signal = sosfilt(butter(4, 7000, fs=16_000, output="sos"), noise(3))
    moved = np.fft.irfft(np.fft.rfft(signal) * np.exp(-2j * np.pi * np.fft.rfftfreq(len(signal)) * late), len(signal))
    assert quality_metrics.delay(signal, -moved, 800) == pytest.approx(late, abs=0.011)
    reference, result = quality_metrics.align(signal, moved, 800)
    inside = slice(600, -600)
    assert quality_metrics.si_sdr(reference[inside], result[inside]) > 30


def test_trimmed_ends_are_found_without_a_limit() -> None:
    signal = noise(6)
    reference, result = quality_metrics.align(signal, signal[40_000:-20_000])
    assert len(reference) == len(signal) - 60_000 and np.allclose(reference, result, atol=1e-6)


def test_si_sdr_is_the_ratio_whatever_the_scale_and_sign() -> None:
    speech, hiss = voice(3.0), np.random.default_rng(2).standard_normal(3 * RATE)
    hiss -= np.dot(hiss, speech) / np.dot(speech, speech) * speech
    hiss *= rms(speech) / rms(hiss) * 10 ** (-12 / 20)
    for scale in (1.0, -0.03, 20.0):
        assert quality_metrics.si_sdr(speech, scale * (speech + hiss)) == pytest.approx(12, abs=0.01)


def test_the_edit_list_is_laid_over_the_reference() -> None:
    signal = noise(4, 24_000)
    spans = [(2.5, 3.25), (0.125, 1.0)]
    laid = quality_metrics.lay(signal, 24_000, spans)
    assert np.array_equal(laid, np.concatenate([signal[60_000:78_000], signal[3_000:24_000]]))
    assert len(quality_metrics.lay(signal, 24_000, [])) == 0
    assert len(quality_metrics.lay(signal, 24_000, [(3.5, 4.5)])) == 24_000  # what lies outside is silence


def test_spans_cut_at_another_rate_do_not_drift() -> None:
    """A result cut at 48 kHz between the reference's samples, then brought to 24 kHz, lies exactly on it."""
    signal = sosfilt(butter(8, 6000, fs=RATE, output="sos"), noise(6, RATE))
    fine = soxr.resample(signal, RATE, 48_000, quality="VHQ")
    bounds = [(100_003, 180_001), (5, 60_006), (200_017, 280_018)]
    result = soxr.resample(np.concatenate([fine[start:end] for start, end in bounds]), 48_000, 16_000, quality="VHQ")
    laid = quality_metrics.lay(signal, RATE, [(start / 48_000, end / 48_000) for start, end in bounds])
    reference, result = quality_metrics.align(quality_metrics.to_16k(laid, RATE), result, 800)
    assert quality_metrics.si_sdr(reference, result) > 30


@needs("pystoi")
def test_stoi_of_itself_is_one_and_falls_with_noise() -> None:
    speech = quality_metrics.to_16k(voice(3.0), RATE)
    hiss = np.random.default_rng(2).standard_normal(len(speech)) * rms(speech)
    same, noisy = (quality_metrics.stoi(speech, other) for other in (speech, speech + hiss))
    assert same == pytest.approx(1.0, abs=1e-6) and noisy is not None and noisy < 0.95


@needs("pesq")
def test_pesq_of_itself_is_the_best_whatever_the_level() -> None:
    speech = quality_metrics.to_16k(voice(3.0), RATE)
    assert quality_metrics.pesq(speech, 0.1 * speech) == pytest.approx(4.64, abs=0.01)


def test_nothing_is_told_of_silence_or_of_too_little() -> None:
    speech = quality_metrics.to_16k(voice(3.0), RATE)
    for result in (np.zeros_like(speech), speech[:8000]):
        assert set(quality_metrics.intrusive(speech, result, 800).values()) == {None}
    assert quality_metrics.embedding(np.zeros(16_000)) is None
    assert quality_metrics.dnsmos(np.zeros(16_000))["ovrl"] is None
    assert quality_metrics.cosine(None, np.ones(3, dtype=np.float32)) is None


def test_speakers_are_compared_at_one_level() -> None:
    speech = quality_metrics.to_16k(voice(3.0), RATE)
    original = quality_metrics.at_one_level(speech)
    for copy in (20 * speech, 0.01 * speech, speech + 0.05):
        levelled = quality_metrics.at_one_level(copy)
        assert np.allclose(levelled - levelled.mean(), original - original.mean(), atol=1e-6)


def test_what_a_rate_conversion_loses_does_not_decide() -> None:
    signal = noise(3)
    there_and_back = soxr.resample(soxr.resample(signal, 16_000, 24_000), 24_000, 16_000)
    found = quality_metrics.intrusive(signal, there_and_back, 800)["si_sdr"]
    assert found is not None and found > 50


@needs("pyloudnorm")
def test_level_is_fine_at_its_target_or_at_the_peak() -> None:
    import pyloudnorm

    speech = voice(5.0)
    loud = speech * 10 ** ((-20 - pyloudnorm.Meter(RATE).integrated_loudness(speech)) / 20)
    at_target = quality_metrics.loudness(quality_metrics.Heard(loud, RATE))
    assert at_target["lufs"] == pytest.approx(-20, abs=0.01)
    assert at_target["level_ok"] == float(at_target["dbtp"] <= -2.9)
    assert quality_metrics.loudness(quality_metrics.Heard(loud * 0.5, RATE))["level_ok"] == 0.0
    spiky = loud * 0.25
    for peak_db, fine in ((-4.5, 0.0), (-3.1, 1.0), (-2.0, 0.0)):  # too quiet, held down by its peak, too high
        spiky[spiky.argmax()] = 10 ** (peak_db / 20)
        assert quality_metrics.loudness(quality_metrics.Heard(spiky, RATE))["level_ok"] == fine, peak_db


# --- material, contestants, report --------------------------------------------------------------------


def test_speech_is_found_and_what_is_short_is_listed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name, seconds in (("a.wav", 6.5), ("deep/b.flac", 7.0), ("short.wav", 2.0), ("x_noisy.wav", 7.0)):
        soundfile.write(tmp_path / name, voice(seconds), RATE)
    found = quality_speech.find_speech([tmp_path])
    assert [path.name for path in found.files] == ["a.wav", "b.flac"]
    assert found.skipped == ("short.wav: 2.0 s",)


def test_pairs_are_matched_and_hold_the_noise(tmp_path: Path) -> None:
    speech, hiss = voice(3.0), 0.01 * noise(3, RATE)
    soundfile.write(tmp_path / "p_clean.wav", speech, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "p_noisy.wav", speech + hiss, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "q_noisy.wav", speech, RATE)
    pairs = quality_speech.find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["p"]
    [path] = quality_speech.write_noise(None, pairs, tmp_path)
    assert np.allclose(soundfile.read(path)[0], hiss, atol=1e-6)


def test_the_quietest_half_second_is_the_profile() -> None:
    samples = np.ones(40_000, dtype=np.float32)
    samples[20_000:29_000] = 0.0
    assert not quality_contestants.quietest(samples, 16_000).any()


def test_ours_is_called_and_its_edits_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "standin.py"
    script.write_text(
        "import json, shutil\n"
        "def main(argv):\n"
        "    shutil.copy(argv[0], argv[2])\n"
        "    edits = [{'start_s': 1.0, 'end_s': 2.5}]\n"
        "    print(json.dumps({'samples': [{'edits': edits, 'score': {'before': 7.0, 'after': 8.0},\n"
        "        'issues': [{'code': 'noisy', 'severity': 'warning'}, {'code': 'hum', 'severity': 'info'}]}]}))\n"
        "    return 0\n", "utf-8")
    monkeypatch.setenv("VOICE_BENCH_OURS", str(script))
    quality_contestants._main.cache_clear()
    source = degrading.write_wav(degraded("clean"), RATE, tmp_path / "in.wav")
    outcome = quality_contestants.compete(quality.CONTESTANTS["ours"], source, tmp_path / "out.wav")
    quality_contestants._main.cache_clear()
    assert outcome.error is None and quality_contestants.edits(outcome.report) == [(1.0, 2.5)]
    told = quality.told(outcome.report)
    assert (told["issues"], told["score_before"]) == (["noisy"], 7.0)


def test_a_contestant_that_fails_is_a_result(tmp_path: Path) -> None:
    def breaks(source: Path, target: Path) -> None:
        raise ValueError("no")

    outcome = quality_contestants.compete(quality_contestants.Contestant("x", breaks), tmp_path, tmp_path / "out.wav")
    assert outcome.path is None and outcome.error == "ValueError: no"


def test_ranks_share_ties_and_put_failures_last() -> None:
    assert quality_report.places_of({"a": 0.9, "b": 0.9001, "c": 0.1}, 0.005) == {"a": 1.5, "b": 1.5, "c": 3.0}
    rows = [{"file": "f", "contestant": name, "stoi": value} for name, value in (("a", 0.9), ("b", 0.5), ("c", None))]
    numbers = quality_report.settled(rows, ["a", "b", "c"], "stoi")
    assert quality_report.places_of(numbers, 0.005) == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_a_score_that_falls_with_severity_correlates_fully() -> None:
    rows = [{"file": "f", "kind": kind, "severity": level, "score_before": score}
            for kind, level, score in (("clean", 1, 90.0), ("white", 1, 70.0), ("white", 2, 50.0), ("hum50", 1, 90.0),
                                       ("hum50", 2, 90.0))]
    assert quality_report.spearman(rows) == {"white": -1.0, "hum50": 0.0}


def test_recall_counts_expected_codes() -> None:
    rows = [{"cell": "white 0", "file": name, "expects": ["noisy"], "issues": issues, "score_before": 10.0}
            for name, issues in (("a", ["noisy", "hum"]), ("b", []))]
    assert quality_report.recall(rows) == {"noisy": {"found": 1, "of": 2}}


def test_cells_are_chosen_by_name_or_kind() -> None:
    assert quality.parse(["--only", "white 20,hum50,pairs"]).cells == ["white 20", "hum50 -30", "hum50 -20", "pairs"]
    assert set(degrading.QUICK) <= set(quality.CELLS)
    with pytest.raises(SystemExit):
        quality.parse(["--only", "nothing"])
