"""Audio before and after a step -> may the step be kept? Only measurements of the two decide.

A step that mends can harm. What is asked: is the speech still there, in every band in which it stood above the noise,
at its level, with its envelope; and is what the step was for really better? The judges of the benchmark (speaker
embeddings, STOI, PESQ) are not used here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio
from voicekit.noise import FRAME_S, Regions, frame_marks, levels

Floats = NDArray[np.float64]

BAND_EDGES_HZ = (100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700, 4400,
                 5300, 6400, 7700)  # Zwicker's critical bands
AUDIBLE_DB = 6.0  # a band or frame counts where the speech stood this far above the noise
# The bounds by SNR in dB: what is measured as speech is partly noise where the noise is loud and unsteady.
MAX_LEVEL_CHANGE_DB = [5.0, 10.0, 20.0], [13.0, 10.0, 6.0]
MIN_ENVELOPE_CORRELATION = [5.0, 8.0, 20.0], [0.35, 0.45, 0.75]
MAX_BAND_CHANGE_DB = [5.0, 20.0], [6.0, 4.0]  # root mean square over the bands, the change of level taken out
MIN_NOISE_DROP_DB = 3.0


@dataclass(frozen=True)
class SpeechChange:
    """What a step did to the speech: level and spectrum in dB, envelope as a correlation (1: unchanged).

    snr_db: of the recording before the step, or a worse one that something else tells of; it sets the bounds.
    """

    level_db: float
    bands_db: float
    envelope: float
    snr_db: float

    @property
    def harm(self) -> str | None:
        """Why the step must not be kept; None where the speech is within bounds."""
        if abs(self.level_db) > np.interp(self.snr_db, *MAX_LEVEL_CHANGE_DB):
            return f"it would change the speech's level by {self.level_db:+.1f} dB"
        if self.bands_db > np.interp(self.snr_db, *MAX_BAND_CHANGE_DB):
            return f"it would change the speech's spectrum by {self.bands_db:.1f} dB"
        if self.envelope < np.interp(self.snr_db, *MIN_ENVELOPE_CORRELATION):
            return f"it would change the speech's envelope (correlation {self.envelope:.2f})"
        return None


def speech_change(before: Audio, after: Audio, speech: Regions) -> SpeechChange:
    """Compares the speech of two recordings of one length and rate.

    The speech before is what stands above the noise: in each critical band the mean power of the speech frames less
    the median power of the pauses. Bands and frames in which it is not 6 dB above the noise say nothing and are left
    out. The envelope is the level in dB of those frames.
    """
    old, new = _band_powers(before), _band_powers(after)
    spoken, silent = frame_marks(len(old), speech)
    snr_db = levels(before, speech).snr_db
    if spoken.sum() < 5 or snr_db is None:
        return SpeechChange(0.0, 0.0, 1.0, 0.0)
    noise = np.median(old[silent], axis=0) if silent.sum() >= 10 else np.percentile(old, 5, axis=0)
    mean = old[spoken].mean(axis=0)
    audible = mean > noise * 10 ** (AUDIBLE_DB / 10)
    if not audible.any():
        return SpeechChange(0.0, 0.0, 1.0, snr_db)
    clean = (mean - noise)[audible]
    kept = new[spoken].mean(axis=0)[audible]
    level_db = _decibel(kept.sum() / clean.sum())
    bands_db = 10 * np.log10(np.maximum(kept, 1e-20) / clean) - level_db
    weights = np.sqrt(clean)
    change_db = float(np.sqrt(np.sum(weights * np.square(bands_db)) / weights.sum()))
    envelope = _envelope(old[:, audible], new[:, audible], noise[audible], spoken)
    return SpeechChange(level_db, change_db, envelope, snr_db)


def noise_drop_db(before: Audio, after: Audio, speech: Regions) -> float:
    """How much further the speech stands above the noise than it did, in dB."""
    old, new = levels(before, speech).snr_db, levels(after, speech).snr_db
    return 0.0 if old is None or new is None else new - old


def _band_powers(audio: Audio) -> Floats:
    """Power of each critical band in frames of 20 ms: ``[frames, 20]``."""
    length = round(audio.sample_rate * FRAME_S)
    count = len(audio.samples) // length
    frames = audio.samples[: count * length].reshape(count, length) * np.hanning(length).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))
    bins = np.searchsorted(np.fft.rfftfreq(length, 1 / audio.sample_rate), BAND_EDGES_HZ)
    sums = np.concatenate([np.zeros((count, 1)), np.cumsum(power, axis=1)], axis=1)
    return np.asarray(sums[:, bins[1:]] - sums[:, bins[:-1]] + 1e-12)


def _envelope(old: Floats, new: Floats, noise: Floats, spoken: NDArray[np.bool_]) -> float:
    before, after = old.sum(axis=1), new.sum(axis=1)
    counts = spoken & (before > noise.sum() * 10 ** (AUDIBLE_DB / 10))
    if counts.sum() < 10:
        return 1.0
    levels_db = 10 * np.log10(np.maximum(np.stack([before[counts], after[counts]]), 1e-20))
    if levels_db.std(axis=1).min() < 1e-6:
        return 1.0
    return float(np.corrcoef(levels_db)[0, 1])


def _decibel(ratio: float) -> float:
    return float(10 * np.log10(max(ratio, 1e-20)))
