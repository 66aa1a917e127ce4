"""voicekit.speech_detection: words put at known times, in silence and in noise; and the network fed the stock way."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime")
pytest.importorskip("scipy")

from voicekit import speech_detection
from voicekit.audio import Audio, read_recording, resample, to_mono
from voicekit.bundled import bundled_network
from voicekit.errors import ModelUnavailable
from voicekit.speech_detection import detect_speech, speech_probability

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000
Spans = list[tuple[float, float]]


def words(rate: int = RATE) -> list[NDArray[np.float32]]:
    """The phrases of samples/reference.wav without the silence between them (digital: by level alone)."""
    samples = resample(to_mono(read_recording(ROOT / "samples" / "reference.wav")), rate).samples
    step = rate // 100
    loud = np.square(samples[: len(samples) // step * step]).reshape(-1, step).mean(axis=1) > 1e-6
    quiet_for = [int(loud[start : start + 15].any()) for start in range(len(loud))]
    edges = np.flatnonzero(np.diff(np.pad(np.array(quiet_for, np.int8), 1)))
    pieces = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        inside = np.flatnonzero(loud[start:stop])
        pieces.append(samples[(start + inside[0]) * step : (start + inside[-1] + 1) * step])
    return [piece for piece in pieces if len(piece) > 0.4 * rate]


def scene(seconds: float, gaps_s: tuple[float, ...], rate: int = RATE) -> tuple[Audio, Spans]:
    """Phrases with known pauses between them, over digital silence; and when each one sounds."""
    samples, spans, at = np.zeros(round(seconds * rate), np.float32), [], gaps_s[0]
    pieces = words(rate)
    for number in range(1000):
        piece = pieces[number % len(pieces)]
        if at + len(piece) / rate > seconds:
            break
        start = round(at * rate)
        samples[start : start + len(piece)] = piece
        spans.append((at, at + len(piece) / rate))
        at = spans[-1][1] + gaps_s[(number + 1) % len(gaps_s)]
    return Audio(samples, rate), spans


def in_noise(audio: Audio, spans: Spans, snr_db: float, seed: int = 0) -> Audio:
    """White noise under the speech, ``snr_db`` below the mean power of the spans."""
    inside = [slice(round(start * audio.sample_rate), round(stop * audio.sample_rate)) for start, stop in spans]
    spoken = np.concatenate([audio.samples[part] for part in inside])
    scale = np.sqrt(np.mean(np.square(spoken))) * 10 ** (-snr_db / 20)
    noise = scale * np.random.default_rng(seed).standard_normal(len(audio.samples))
    return Audio((audio.samples + noise).astype(np.float32), audio.sample_rate)


def flags(spans: Spans, seconds: float) -> NDArray[np.bool_]:
    """Which milliseconds lie in a span."""
    inside = np.zeros(round(seconds * 1000), bool)
    for start, stop in spans:
        inside[round(start * 1000) : round(stop * 1000)] = True
    return inside


def share(audio: Audio) -> float:
    return sum(stop - start for start, stop in detect_speech(audio)) / audio.duration_s


# --- truth by construction -----------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_phrases_in_silence_are_found_to_within_60_ms(rate: int) -> None:
    audio, spans = scene(14.0, (0.5, 0.3, 0.25, 1.0, 0.4), rate)
    found = detect_speech(audio)
    assert len(spans) >= 5 and len(found) == len(spans)
    np.testing.assert_allclose(found, spans, atol=0.09)
    outside = flags(spans, 14.0) & ~flags(found, 14.0)
    assert outside.sum() <= 40, "speech kept is more important than pauses found"


@pytest.mark.parametrize("snr_db", [30, 20, 10, 5, 0])
def test_phrases_in_noise_keep_their_speech_and_their_pauses(snr_db: float) -> None:
    clean, spans = scene(20.0, (0.6, 0.4, 1.2, 0.5))
    truth, found = flags(spans, 20.0), flags(detect_speech(in_noise(clean, spans, snr_db)), 20.0)
    power = np.square(clean.samples).reshape(-1, RATE // 1000).mean(axis=1)
    assert power[truth & found].sum() > 0.97 * power[truth].sum()
    assert (truth & found).sum() > (0.97 if snr_db >= 20 else 0.9) * truth.sum()
    assert (~truth & ~found).sum() > 0.6 * (~truth).sum()
    for (_, start), (stop, _) in pairwise(spans):
        assert not found[round(start * 1000) : round(stop * 1000)].all(), f"the pause at {start:.2f} s"


def test_noise_that_starts_halfway_changes_nothing() -> None:
    clean, spans = scene(20.0, (0.6, 0.4, 1.2, 0.5))
    noisy = in_noise(clean, spans, 10.0)
    half = Audio(np.where(np.arange(len(clean.samples)) < 10 * RATE, clean.samples, noisy.samples), RATE)
    truth, found = flags(spans, 20.0), flags(detect_speech(half), 20.0)
    assert (truth & found).sum() > 0.93 * truth.sum()
    assert (~truth & ~found).sum() > 0.6 * (~truth).sum()


@pytest.mark.parametrize("gain_db", [-45, -30, -10, 12])
def test_the_level_changes_nothing(gain_db: float) -> None:
    clean, spans = scene(12.0, (0.6, 0.4, 1.2, 0.5))
    audio = in_noise(clean, spans, 20.0)
    louder = Audio((audio.samples * np.float32(10 ** (gain_db / 20))).astype(np.float32), RATE)
    np.testing.assert_allclose(detect_speech(louder), detect_speech(audio), atol=0.033)
    np.testing.assert_allclose(speech_probability(louder), speech_probability(audio), atol=0.02)


def test_an_offset_and_rumble_change_nothing() -> None:
    clean, spans = scene(12.0, (0.6, 0.4, 1.2, 0.5))
    audio = Audio(0.05 * in_noise(clean, spans, 25.0).samples, RATE)
    at = np.arange(len(audio.samples)) / RATE
    moved = Audio((audio.samples + 0.3 + 0.02 * np.sin(2 * np.pi * 12 * at)).astype(np.float32), RATE)
    np.testing.assert_allclose(detect_speech(moved), detect_speech(audio), atol=0.05)


def test_a_recording_of_several_blocks_is_one_recording() -> None:
    """Two minutes and a bit: phrases lie across the seams, the second minute is 25 dB softer."""
    clean, spans = scene(130.0, (0.6, 0.4, 1.2, 0.5), 22_050)
    gain = np.where(np.arange(len(clean.samples)) < 70 * 22_050, 1.0, 10 ** (-25 / 20)).astype(np.float32)
    audio = Audio(clean.samples * gain, 22_050)
    truth, found = flags(spans, 130.0), flags(detect_speech(audio), 130.0)
    assert (truth & found).sum() > 0.985 * truth.sum()
    assert (~truth & ~found).sum() > 0.7 * (~truth).sum()
    assert len(speech_probability(audio)) == -(-130 * RATE // 512)


def test_the_arguments_do_what_they_say() -> None:
    audio, spans = scene(14.0, (0.5, 0.3, 0.25, 1.0, 0.4))
    joined = detect_speech(audio, join_s=0.6)
    assert len(joined) == 1 + sum(after[0] - before[1] > 0.62 for before, after in pairwise(spans))
    longer = detect_speech(audio, min_s=1.5)
    assert 0 < len(longer) < len(spans) and all(stop - start >= 1.5 for start, stop in longer)
    assert detect_speech(audio, threshold=1.01) == []
    plain, padded = detect_speech(audio, pad_s=0.0), detect_speech(audio, pad_s=0.05)
    assert padded[0][0] <= plain[0][0] and padded[-1][1] >= plain[-1][1]


# --- what is no speech ---------------------------------------------------------------------------


def no_speech() -> dict[str, NDArray[np.float64]]:
    at, rng = np.arange(10 * RATE) / RATE, np.random.default_rng(0)
    noise = rng.standard_normal(len(at))
    notes = rng.choice([196.0, 247.0, 294.0, 330.0, 392.0], 20)
    pitch, decay = np.repeat(notes, RATE // 2), np.exp(-np.mod(at, 0.5) / 0.25)
    return {
        "white": noise,
        "brown": np.cumsum(noise) - np.linspace(0, noise.sum(), len(at)),
        "noise that swells four times a second": noise * (1 + np.sin(2 * np.pi * 4 * at)),
        "hum": sum(np.sin(2 * np.pi * 50 * k * at) / k for k in range(1, 9)),
        "tone": np.sin(2 * np.pi * 440 * at),
        "melody": decay * sum(np.sin(2 * np.pi * k * pitch * at) / k for k in range(1, 6)),
        "clicks": (rng.random(len(at)) < 2e-4).astype(float),
    }  # fmt: skip


@pytest.mark.parametrize("level_dbfs", [-60, -25, -6])
@pytest.mark.parametrize("name", no_speech())
def test_other_sound_is_no_speech(name: str, level_dbfs: float) -> None:
    sound = no_speech()[name]
    sound *= 10 ** (level_dbfs / 20) / np.sqrt(np.mean(np.square(sound)))
    assert share(Audio(sound.astype(np.float32), RATE)) < 0.05


@pytest.mark.parametrize("length", [0, 1, 2, 500, 513, 16_000])
def test_silence_and_next_to_nothing(length: int) -> None:
    for rate in (RATE, 44_100):
        silent = Audio(np.zeros(length, np.float32), rate)
        assert detect_speech(silent) == []
        windows = -(-round(length * RATE / rate) // 512)
        assert speech_probability(silent).shape == (windows,) and not speech_probability(silent).any()
    hiss = 10 ** (-80 / 20) * np.random.default_rng(0).standard_normal(length)
    assert detect_speech(Audio(hiss.astype(np.float32), RATE)) == []
    faint, _ = scene(6.0, (0.5,))
    assert detect_speech(Audio(faint.samples * np.float32(1e-4), RATE)) == []


# --- the network ---------------------------------------------------------------------------------


def test_probabilities_are_those_of_the_stock_network_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """silero_vad.onnx, fed as silero's OnnxWrapper does: 64 samples of context, a state carried by hand."""
    monkeypatch.setattr(speech_detection, "WARM_UP", 0)
    clean, spans = scene(6.0, (0.6, 0.4))
    audio = in_noise(clean, spans, 15.0)
    (block,) = speech_detection.blocks_16k(audio)
    block = block * speech_detection._gain(block)
    session = bundled_network("silero_vad", "data/silero_vad.onnx")
    state, before, expected = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for window in block.reshape(-1, 512):
        feed = {"input": np.concatenate([before, window])[None], "state": state, "sr": np.array(RATE)}
        (value,), state = session.run(None, feed)
        expected.append(value[0])
        before = window[-64:]
    np.testing.assert_allclose(speech_probability(audio), expected, atol=1e-5)


def test_neither_torch_nor_the_package_is_imported() -> None:
    code = (
        "import sys, numpy as np; from voicekit.audio import Audio;"
        "from voicekit.speech_detection import detect_speech;"
        "early = 'scipy' in sys.modules or 'onnxruntime' in sys.modules;"
        "noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32);"
        "detect_speech(Audio(noise, 16000));"
        "print(early, [name for name in ('torch', 'silero_vad', 'librosa') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False []"


def test_a_missing_network_says_what_to_install() -> None:
    for package, place in (("no_such_package_here", "a.onnx"), ("silero_vad", "data/none.onnx")):
        with pytest.raises(ModelUnavailable) as caught:
            bundled_network(package, place)
        assert "pip install" in caught.value.hint and caught.value.exit_code == 3
