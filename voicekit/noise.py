"""Audio + where somebody speaks -> how loud the speech is, how loud the noise, and what lies between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio
from voicekit.complexity import complexity

Floats = NDArray[np.float64]
Regions = list[tuple[float, float]]

FRAME_S = 0.020
BESIDE_SPEECH_S = 0.06  # breaths and the tails of words: neither speech nor noise
MIN_PAUSE_S = 0.3  # of pauses in all; with less the quietest frames stand for the noise
LOWEST_DBFS = -100.0  # digital silence: 16 bit noise is at -98
NOTHING = 10**-9.5  # -95 dBFS: what an editor or a muted start leaves is no room's noise


@dataclass(frozen=True)
class Levels:
    """dBFS (full-scale square wave: 0) within 80 Hz to 8 kHz, dB between them; None where there is no such thing.

    speech_rms_dbfs: power mean of the speech frames, without the noise's power.
    noise_floor_dbfs: median level of the frames outside speech; -100 at least.
    snr_db: the first minus the second.
    """

    speech_rms_dbfs: float | None
    noise_floor_dbfs: float | None
    snr_db: float | None


@complexity(size="samples", time="O(n)", space="O(n)")
def levels(audio: Audio, speech: Regions) -> Levels:
    """Measures speech and noise.

    The noise is the median of the 20 ms frames that lie 60 ms or more outside speech: a single click or breath
    does not count, babble counts with its ordinary level. With under 0.3 s of such frames the noise is the 5th
    percentile of all frames, which is an upper bound: dense speech may hide less noise than that. Digital silence
    counts only where there are no 0.3 s of other pauses.
    """
    powers = frame_powers(audio)
    spoken, silent = frame_marks(len(powers), speech)
    if not len(powers):
        return Levels(None, None, None)
    live = silent & (powers > NOTHING)
    silent = live if live.sum() * FRAME_S >= MIN_PAUSE_S else silent
    enough = silent.sum() * FRAME_S >= MIN_PAUSE_S
    noise = float(np.median(powers[silent])) if enough else float(np.percentile(powers, 5))
    noise = max(noise, 10 ** (LOWEST_DBFS / 10))
    noise_db = _decibel(noise)
    if not spoken.any():
        return Levels(None, noise_db, None)
    voice = float(np.mean(powers[spoken]))
    speech_db = _decibel(max(voice - noise, voice * 10**-1.5, 10 ** (LOWEST_DBFS / 10)))
    return Levels(speech_db, noise_db, speech_db - noise_db)


def frame_powers(audio: Audio) -> Floats:
    """Mean power of each 20 ms frame, ``[frames]``, within 80 Hz to 8 kHz: what XTTS hears of it."""
    from scipy.signal import butter, sosfiltfilt

    length = round(audio.sample_rate * FRAME_S)
    count = len(audio.samples) // length
    if count < 3:
        return np.zeros(0)
    nyquist = audio.sample_rate / 2
    band = (80.0, 8000.0) if nyquist > 8400 else 80.0
    sections = butter(4, band, "bandpass" if nyquist > 8400 else "highpass", fs=audio.sample_rate, output="sos")
    heard = sosfiltfilt(sections.astype(np.float32), audio.samples)
    return np.asarray(np.square(heard[: count * length]).reshape(count, length).mean(axis=1, dtype=np.float64))


def frame_marks(count: int, speech: Regions) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of ``count`` frames lie whole in speech, and which clearly outside: two masks ``[count]``."""
    starts = np.arange(count) * FRAME_S
    spoken, near = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for start_s, end_s in speech:
        spoken |= (starts >= start_s) & (starts + FRAME_S <= end_s)
        near |= (starts + FRAME_S > start_s - BESIDE_SPEECH_S) & (starts < end_s + BESIDE_SPEECH_S)
    return spoken, ~near


def _decibel(power: float) -> float:
    return float(10 * np.log10(power))
