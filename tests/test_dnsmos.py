"""voicekit.dnsmos: beside speechmos' own run() on the same samples."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import astuple
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from voicekit.audio import Audio, read_recording, resample, to_mono
from voicekit.dnsmos import Opinion, dnsmos

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000


@cache
def speech(seconds: float, snr_db: float | None = None) -> Audio:
    """samples/reference.wav, looped; with white noise at a ratio."""
    samples = resample(to_mono(read_recording(ROOT / "samples" / "reference.wav")), RATE).samples
    samples = np.tile(samples, int(seconds * RATE / len(samples)) + 1)[: round(seconds * RATE)]
    if snr_db is not None:
        scale = np.sqrt(np.mean(np.square(samples))) * 10 ** (-snr_db / 20)
        samples = samples + scale * np.random.default_rng(0).standard_normal(len(samples))
    return Audio(samples.astype(np.float32), RATE)


def scores(opinion: Opinion | None) -> np.ndarray:
    assert opinion is not None
    return np.array(astuple(opinion))


def shipped(audio: Audio) -> np.ndarray:
    module = pytest.importorskip("speechmos.dnsmos")
    result = module.run(audio.samples, RATE)
    return np.array([result["sig_mos"], result["bak_mos"], result["ovrl_mos"]])


@pytest.mark.parametrize("seconds, snr_db", [(0.7, None), (5.0, 10), (9.01, None), (11.3, 10)])
def test_every_second_equals_speechmos(seconds: float, snr_db: float | None) -> None:
    audio = speech(seconds, snr_db)
    np.testing.assert_allclose(scores(dnsmos(audio, max_windows=None)), shipped(audio), atol=1e-3)


def test_the_windows_that_speechmos_leaves_out_are_left_out() -> None:
    audio = speech(17.0, 15)
    np.testing.assert_allclose(scores(dnsmos(audio, max_windows=None)), shipped(audio), atol=1e-3)


def test_six_windows_say_what_every_second_says_to_within_0_1() -> None:
    """A recording whose second half is noisy."""
    clean, noisy = speech(22.0), speech(22.0, 10)
    half = Audio(np.where(np.arange(22 * RATE) < 11 * RATE, clean.samples, noisy.samples), RATE)
    every = np.mean([scores(dnsmos(cut(half, second), max_windows=1)) for second in range(13)], axis=0)
    np.testing.assert_allclose(scores(dnsmos(half)), every, atol=0.1)


def cut(audio: Audio, second: int) -> Audio:
    """The one window that begins there."""
    return Audio(audio.samples[second * RATE :][:144_160], RATE)


def test_noise_lowers_the_background_score() -> None:
    clean, noisy = dnsmos(speech(9.5)), dnsmos(speech(9.5, 5))
    assert clean is not None and noisy is not None
    assert clean.bak > noisy.bak + 0.5 and clean.ovrl > noisy.ovrl
    assert all(0.5 < score < 5 for opinion in (clean, noisy) for score in astuple(opinion))


def test_peaks_over_full_scale_are_scaled_down() -> None:
    audio = speech(9.5)
    loud = Audio(audio.samples * np.float32(4 / np.abs(audio.samples).max()), RATE)
    just = Audio(audio.samples / np.abs(audio.samples).max(), RATE)
    np.testing.assert_allclose(scores(dnsmos(loud)), scores(dnsmos(just)), atol=1e-3)


def test_the_rate_hardly_matters() -> None:
    original = to_mono(read_recording(ROOT / "samples" / "reference.wav"))
    np.testing.assert_allclose(scores(dnsmos(original)), scores(dnsmos(resample(original, 48_000))), atol=0.05)


@pytest.mark.parametrize("length", [0, 1, 16_000])
def test_silence_has_no_score(length: int) -> None:
    assert dnsmos(Audio(np.zeros(length, np.float32), RATE)) is None
    hiss = 1e-4 * np.random.default_rng(0).standard_normal(length)
    assert dnsmos(Audio(hiss.astype(np.float32), 22_050)) is None


def test_neither_speechmos_nor_librosa_is_imported() -> None:
    code = (
        "import sys, numpy as np; from voicekit.audio import Audio; from voicekit.dnsmos import dnsmos;"
        "dnsmos(Audio(0.1 * np.random.default_rng(0).standard_normal(150_000).astype(np.float32), 16000));"
        "print([name for name in ('torch', 'speechmos', 'librosa', 'requests') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
