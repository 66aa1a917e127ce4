"""Speech-like sound that the tests make themselves."""

from __future__ import annotations

import numpy as np

from voicekit.audio import Audio


def talking(seconds: float, sample_rate: int = 22_050, *, pitch_hz: float = 120.0, seed: int = 0) -> Audio:
    """Speech-like sound: a buzz with three moving formants, in syllables with pauses between phrases.

    Float32 [seconds * sample_rate], peak about 0.3. Not speech, but it has what the measurements need:
    voiced frames, pauses, a floor at -70 dBFS, energy up to 4 kHz.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    pitch = pitch_hz * (1 + 0.08 * np.sin(2 * np.pi * 0.7 * time + seed))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    formants = [(560 + 200 * np.sin(2 * np.pi * 1.3 * time), 120), (1500 + 500 * np.sin(2 * np.pi * 0.9 * time), 200),
                (2700 + 300 * np.sin(2 * np.pi * 0.5 * time + 1), 300)]
    voice = np.zeros_like(time)
    for harmonic in range(1, int(4_000 / pitch_hz)):
        strength = sum(np.exp(-0.5 * ((harmonic * pitch - centre) / width) ** 2) for centre, width in formants)
        voice += strength / harmonic**0.5 * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time) + 0.5, 0, 1)
    phrases = (np.mod(time, 3.0) < 2.4).astype(float)
    signal = voice * syllables * phrases
    signal = 0.3 * signal / max(np.abs(signal).max(), 1e-9) + 10 ** (-70 / 20) * rng.standard_normal(time.size)
    return Audio(signal.astype(np.float32), sample_rate)


def talk(
    spans: list[tuple[float, float]], seconds: float, rate: int = 24_000, floor_db: float = -70.0, gain_db: float = 0.0
) -> Audio:
    """Noise with syllables (4 a second) inside the spans, over a noise floor; deterministic."""
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng(0)
    at = np.arange(int(rate * seconds)) / rate
    voice = sosfilt(butter(2, [120, 2500], "bandpass", fs=rate, output="sos"), rng.standard_normal(len(at)))
    envelope = 0.15 + np.sin(2 * np.pi * 2 * at) ** 2
    spoken = sum(((at >= start) & (at < end)).astype(float) for start, end in spans)
    floor = 10 ** (floor_db / 20) * rng.standard_normal(len(at))
    sound = 10 ** (gain_db / 20) * (0.15 * voice * envelope * spoken + floor)
    return Audio(sound.astype(np.float32), rate)


def fall(audio: Audio, by_db: float) -> Audio:
    """The level falls steadily from start to end: a talker who walks away."""
    gain = 10 ** (np.linspace(0, -by_db, len(audio.samples)) / 20)
    return Audio((audio.samples * gain).astype(np.float32), audio.sample_rate)
