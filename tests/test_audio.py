"""voicekit.audio: one channel that keeps the voice, and exact rates.

Truth: SciPy, torchaudio, and arithmetic.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voicekit.audio import (
    Audio,
    Recording,
    is_silent,
    mean_channels,
    resample,
    resample_like_coqui,
    to_mono,
)

Float = NDArray[np.float32]
RATE = 24_000
ROOT = Path(__file__).parents[1]


def tone(rate: int = RATE, seconds: float = 1.0, hz: float = 440.0, peak: float = 0.5) -> Float:
    """A sine, float32 [n]."""
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def voice(seed: int = 0, seconds: float = 4.0) -> Float:
    """Bursts of coloured noise with pauses: has the levels of speech, float32 [n] at 24 kHz."""
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng(seed)
    colour = sosfilt(butter(2, 1500, fs=RATE, output="sos"), rng.standard_normal(int(RATE * seconds)))
    swing = np.sin(2 * np.pi * 1.5 * np.arange(len(colour)) / RATE).clip(0) ** 2
    return np.asarray(0.3 * colour * swing, dtype=np.float32)


def noise(level_db: float, seed: int, like: Float) -> Float:
    """White noise of an RMS level in dBFS."""
    rng = np.random.default_rng(seed)
    return (10 ** (level_db / 20) * rng.standard_normal(like.shape)).astype(np.float32)


def mono(*channels: Float) -> Float:
    """What to_mono makes of these channels."""
    return to_mono(Recording(np.stack(channels), RATE)).samples


def test_one_channel_is_taken_as_it_is_and_equal_ones_too() -> None:
    np.testing.assert_array_equal(mono(voice()), voice())
    np.testing.assert_allclose(mono(voice(), voice(), voice()), voice(), atol=1e-7)


def test_channels_that_agree_are_averaged_which_halves_their_noise() -> None:
    left, right = (voice() + noise(-40, seed, voice()) for seed in (1, 2))
    rest = mono(left, right) - voice()
    assert 10 * np.log10(np.mean(rest**2)) == pytest.approx(-43, abs=0.2)


def test_opposite_phases_keep_the_voice_that_a_mean_would_erase() -> None:
    recording = Recording(np.stack([voice(), -voice() + noise(-60, 1, voice())]), RATE)
    assert np.abs(mean_channels(recording).samples).max() < 0.01
    np.testing.assert_array_equal(to_mono(recording).samples, voice())


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "worse",
    [
        np.zeros_like(voice()),
        noise(-75, 3, voice()),
        noise(-15, 3, voice()),  # louder than the voice, and no voice
        0.1 * voice() + noise(-75, 3, voice()),
        voice() + noise(-25, 3, voice()),
        voice() + noise(-40, 3, voice()),  # still agrees at 0.99
        0.1 * (voice() + noise(-70, 9, voice())),
        np.full_like(voice(), 0.4),
    ],
    ids=["dead", "hiss", "loud noise", "far", "noisy", "a little noisy", "turned down", "offset"],
)
def test_a_dead_far_or_noisy_channel_is_left_out(worse: Float, order: int) -> None:
    better = voice() + noise(-70, 9, voice())
    np.testing.assert_array_equal(mono(*[better, worse][::order]), better)


def test_channels_that_differ_are_not_mixed() -> None:
    delayed = np.roll(voice(), 24)  # 1 ms: a mean would comb
    assert any(np.array_equal(mono(voice(), delayed), channel) for channel in (voice(), delayed))
    other = 0.8 * voice(seed=5)  # a second talker on a second microphone
    np.testing.assert_array_equal(mono(voice(), other), voice())


def test_many_channels_and_few_samples() -> None:
    five = mono(voice(), -voice(), np.zeros_like(voice()), voice(), noise(-20, 1, voice()))
    np.testing.assert_allclose(np.abs(five), np.abs(voice()), atol=1e-6)
    for count in (1, 2, 100):
        assert mono(voice()[:count], voice()[:count]).shape == (count,)


def test_silence_is_silent_and_a_whisper_is_not() -> None:
    assert is_silent(Audio(np.zeros(RATE, np.float32), RATE))
    assert is_silent(Audio(np.zeros(0, np.float32), RATE))
    assert is_silent(Audio(np.full(RATE, 0.2, np.float32), RATE)), "an offset is no sound"
    assert is_silent(Audio(noise(-80, 0, voice()), RATE))
    assert not is_silent(Audio(noise(-60, 0, voice()), RATE))
    assert not is_silent(Audio(noise(-80, 0, voice()), RATE), floor_dbfs=-90)


@pytest.mark.parametrize("old, new", [(48_000, 22_050), (44_100, 24_000), (16_000, 22_050), (22_050, 24_000)])
def test_resampling_keeps_length_and_sound_and_removes_what_would_alias(old: int, new: int) -> None:
    for length in (old, old + 1, 12_345, 7):
        assert len(resample(Audio(tone(old)[:length], old), new).samples) == round(
            min(length, old) * new / old
        )
    heard = resample(Audio(tone(old), old), new).samples
    np.testing.assert_allclose(heard[500:-500], tone(new)[500 : len(heard) - 500], atol=2e-3)
    if old > new:
        above = resample(Audio(tone(old, hz=new * 0.49 + 1500), old), new).samples
        assert np.abs(above[500:-500]).max() < 0.5e-3
    same = Audio(tone(old), old)
    assert resample(same, old) is same


def test_resampling_like_coqui_is_torchaudios_resampling_then_a_clip() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchaudio").functional
    loud = tone(48_000, peak=1.3)
    expected = functional.resample(torch.from_numpy(loud)[None], 48_000, 22_050).clip(-1, 1)[0].numpy()
    np.testing.assert_array_equal(resample_like_coqui(Audio(loud, 48_000), 22_050).samples, expected)
    assert np.abs(expected).max() == 1.0
    np.testing.assert_array_equal(resample_like_coqui(Audio(loud, 22_050), 22_050).samples, loud.clip(-1, 1))


def test_importing_loads_nothing_heavy() -> None:
    heavy = ["librosa", "scipy", "torch", "torchaudio", "av", "pydub", "pyloudnorm", "soxr"]
    program = "import sys, voicekit.audio, voicekit.audio_writing, voicekit.quality, voicekit.restoration\n"
    program += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
