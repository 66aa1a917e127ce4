"""Speech and noise levels against constructed ones: noise of known power under speech at known times."""

from __future__ import annotations

import numpy as np
import pytest

from voicekit.audio import Audio
from voicekit.noise import frame_marks, levels

RATE = 16_000
SPEECH = [(1.0, 2.0), (3.0, 4.5)]


def recording(speech_dbfs: float, noise_dbfs: float | None, *, seconds: float = 6.0) -> Audio:
    """A 1 kHz tone of known RMS in `SPEECH`, white noise of known RMS everywhere (8 kHz wide at this rate)."""
    time = np.arange(round(seconds * RATE)) / RATE
    spoken = np.zeros_like(time)
    for start, end in SPEECH:
        spoken[(time >= start) & (time < end)] = 1
    tone = np.sqrt(2) * 10 ** (speech_dbfs / 20) * np.sin(2 * np.pi * 1000 * time) * spoken
    noise = 0 if noise_dbfs is None else 10 ** (noise_dbfs / 20) * np.random.default_rng(1).standard_normal(time.size)
    return Audio((tone + noise).astype(np.float32), RATE)


@pytest.mark.parametrize("snr_db", [40, 20, 10, 5, 0])
def test_snr_as_constructed(snr_db: float) -> None:
    found = levels(recording(-25.0, -25.0 - snr_db), SPEECH)
    assert found.snr_db == pytest.approx(snr_db, abs=1.0)
    assert found.speech_rms_dbfs == pytest.approx(-25.0, abs=1.0)
    assert found.noise_floor_dbfs == pytest.approx(-25.0 - snr_db, abs=0.6)


@pytest.mark.parametrize("zeros_s", [1, 20])
def test_digital_silence_is_not_the_rooms_noise(zeros_s: int) -> None:
    """As an editor or a muted start leaves it; where nothing else is beside speech, it counts."""
    noisy = recording(-25.0, -40.0)
    silence = np.zeros(zeros_s * RATE, np.float32)
    speech = [(start + zeros_s, end + zeros_s) for start, end in SPEECH]
    found = levels(Audio(np.concatenate([silence, noisy.samples]), RATE), speech)
    assert found.snr_db == pytest.approx(15.0, abs=1.0)
    gated = levels(Audio(np.concatenate([silence, recording(-25.0, None).samples]), RATE), speech)
    assert gated.snr_db is not None and gated.snr_db > 70.0


def test_a_click_or_rumble_in_a_pause_is_not_the_noise() -> None:
    quiet = recording(-25.0, -60.0)
    samples = quiet.samples.copy()
    samples[8000:8020] = 0.9
    rumble = 0.05 * np.sin(2 * np.pi * 20 * np.arange(len(samples)) / RATE)
    assert levels(Audio(samples, RATE), SPEECH).snr_db == pytest.approx(35.0, abs=1.0)
    assert levels(Audio((quiet.samples + rumble).astype(np.float32), RATE), SPEECH).snr_db == pytest.approx(35, abs=1.5)


def test_what_lies_above_8_khz_does_not_count() -> None:
    from scipy.signal import butter, sosfilt

    time = np.arange(6 * 48_000) / 48_000
    hiss = sosfilt(butter(8, 11_000, "highpass", fs=48_000, output="sos"),
                   0.05 * np.random.default_rng(0).standard_normal(time.size))
    spoken = ((time >= 1) & (time < 2)) | ((time >= 3) & (time < 4.5))
    tone = 0.08 * np.sin(2 * np.pi * 1000 * time) * spoken
    found = levels(Audio((tone + hiss).astype(np.float32), 48_000), SPEECH)
    assert found.snr_db is not None and found.snr_db > 30


def test_without_speech_pauses_or_sound() -> None:
    noise = recording(-25.0, -40.0)
    assert levels(noise, []).snr_db is None
    assert levels(noise, []).noise_floor_dbfs == pytest.approx(-40, abs=0.6)
    whole = levels(noise, [(0.0, 6.0)])
    assert whole.snr_db is not None and whole.noise_floor_dbfs is not None
    assert levels(Audio(np.zeros(RATE, dtype=np.float32), RATE), [(0.2, 0.6)]).noise_floor_dbfs == -100.0
    assert levels(Audio(np.zeros(10, dtype=np.float32), RATE), []).noise_floor_dbfs is None


def test_marks_keep_a_distance_from_speech() -> None:
    spoken, silent = frame_marks(100, [(0.5, 1.0)])
    assert spoken.sum() == 25 and not (spoken & silent).any()
    assert silent[:20].all() and not silent[22:53].any() and silent[60:].all()
