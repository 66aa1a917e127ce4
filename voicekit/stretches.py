"""Which stretch of a long recording a voice is best cloned from.

XTTS hears only the first 30 s of a sample, cut into chunks of 4 s that are averaged with equal weight: noise,
silence or clipping there count fully, and a clean passage later is never heard. So the best stretch goes first.

Measures frames once and sums them up, so that a window costs nothing: linear in the length of the recording. Does
not know who speaks or what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio, Samples
from voicekit.complexity import complexity
from voicekit.edits import Kept

Floats = NDArray[np.float64]

FRAME_S = 0.05  # rounded to samples
CHUNK_S = 4.0  # gpt_cond_chunk_len of the released XTTS v2 config
LEAD_S = 0.15  # kept before the first and after the last word, at most half of the pause there

POOR_SNR_DB, GOOD_SNR_DB = 10.0, 35.0  # Azure asks for over 35 dB; under 20 is "obvious noise"
FULL_SPEECH = 0.75  # a share of silence under a quarter is that of fluent speech
CLIPPED_SHARE = 0.001  # of the samples around: plainly heard
STEADY_DB, UNSTEADY_DB = 3.0, 9.0  # standard deviation of the speech level: as read, and wandering
BESIDE_S = 0.2  # beside a region it may still be the voice: no detector is exact
BURST_DB = 12.0  # over the recording's speech level, or in a pause within 6 dB of the speech beside it

WEIGHTS = {"snr": 0.4, "speech": 0.15, "unclipped": 0.15, "calm": 0.15, "steady": 0.15}
SHORT_COST, CHUNK_COST = 0.15, 0.01  # a window of no length; a last chunk that is half full


@dataclass(frozen=True)
class Measured:
    """What a window's score is made of, per frame ``[n]``, each from 0 (bad) to 1 (good) except the level.

    ``level_db`` is the speech level within 3 s (EBU's short term); ``spoken`` is a frame's share of speech.
    ``frame_s`` is the exact length of a frame.
    """

    frame_s: float
    snr: Floats
    spoken: Floats
    unclipped: Floats
    calm: Floats
    level_db: Floats


@complexity(size="samples", time="O(n)", space="O(n)")
def best_stretch(
    audio: Audio,
    speech: Sequence[tuple[float, float]],
    *,
    target_s: float = 30.0,
    min_s: float = 12.0,
    margin: float = 0.08,
) -> Kept | None:
    """The window of a recording that should come first, or None where the beginning is as good.

    It starts just before a word and ends in a pause. Its score is the mean of local qualities: speech over the
    noise floor around it, share of speech, no clipping, no loud bursts; and a steady level; a little less where it
    is shorter than ``target_s``, and hardly less where its last chunk is not full.

    Args:
        audio: the recording, its long pauses shortened; clipping is what lies flat at its own extremes.
        speech: where somebody speaks, (start, end) in seconds, ascending.
        target_s: how much the model hears. A window may be 7 % longer, to end in a pause.
        min_s: the shortest window; worth it only where nothing longer is clean.
        margin: by how much a window's score (0 to 1) must exceed that of the first ``target_s``. Windows of one
            recording that is the same throughout differ by up to 0.075 (LJ Speech, LibriSpeech); 20 dB of SNR where
            35 was are 0.24.

    Returns:
        A span on the sample grid, in seconds. None for a recording up to 1.2 times ``target_s``, without speech or
        without pauses, or where no window beats its beginning by the margin.
    """
    if audio.duration_s <= 1.2 * target_s or not len(speech):
        return None
    starts_s, ends_s = _candidates(speech, audio.duration_s, min_s, 1.07 * target_s)
    if not len(starts_s):
        return None
    measured = measure(audio, speech)
    scores = score(measured, starts_s, ends_s, target_s)
    best = int(np.argmax(scores))
    beginning = score(measured, np.zeros(1), np.array([target_s]), target_s)
    if scores[best] < beginning[0] + margin:
        return None
    start, stop = (round(float(time_s[best]) * audio.sample_rate) for time_s in (starts_s, ends_s))
    return Kept(start / audio.sample_rate, min(stop, len(audio.samples)) / audio.sample_rate)


def _candidates(
    speech: Sequence[tuple[float, float]], duration_s: float, min_s: float, max_s: float
) -> tuple[Floats, Floats]:
    """All windows from an onset to the end of a word with a length within bounds: (starts, ends) in seconds."""
    regions = np.array(speech, dtype=np.float64).reshape(-1, 2)
    pauses = np.diff(np.concatenate([[[0.0, 0.0]], regions, [[duration_s, duration_s]]]).reshape(-1)[1:])[::2]
    leads = np.minimum(LEAD_S, np.maximum(pauses, 0) / 2)
    starts, ends = regions[:, 0] - leads[:-1], regions[:, 1] + leads[1:]
    first = np.searchsorted(ends, starts + min_s)
    counts = np.maximum(np.searchsorted(ends, starts + max_s, side="right") - first, 0)
    start = np.repeat(np.arange(len(starts)), counts)
    end = np.arange(len(start)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    return starts[start], ends[end]


def measure(audio: Audio, speech: Sequence[tuple[float, float]]) -> Measured:
    """Frames of 50 ms, each with what is around it. Linear in the length; an hour takes a second."""
    from scipy.ndimage import maximum_filter1d, percentile_filter, uniform_filter1d

    width = max(1, round(FRAME_S * audio.sample_rate))
    frames = audio.samples[: len(audio.samples) // width * width].reshape(-1, width)
    mean = frames.mean(axis=1, dtype=np.float64)
    power = np.maximum(np.einsum("fk,fk->f", frames, frames) / width - np.square(mean), 1e-10)
    spoken = _spoken(speech, len(frames), width / audio.sample_rate)
    level_db = 10 * np.log10(power)
    floor_db = percentile_filter(level_db, 10, round(8.0 / FRAME_S), mode="nearest")
    usual_db = _usual_level(power, spoken)
    power = np.minimum(power, 10 ** ((usual_db + BURST_DB) / 10))  # a slam is no voice
    voice_db, share = _voice_level(power, spoken, 6.0)
    snr = np.clip((voice_db - floor_db - POOR_SNR_DB) / (GOOD_SNR_DB - POOR_SNR_DB), 0, 1)
    voiced = maximum_filter1d(spoken, 2 * round(BESIDE_S / FRAME_S) + 1) > 0
    loud = np.where(voiced, level_db > usual_db + BURST_DB, level_db > voice_db - 6)
    near = share > 1e-6  # 0, but for rounding
    burst = maximum_filter1d((loud & near).astype(np.float64), round(CHUNK_S / FRAME_S))
    clipped = uniform_filter1d(_clipped_share(audio.samples, len(frames), width), round(1.0 / FRAME_S))
    return Measured(
        frame_s=width / audio.sample_rate,
        snr=np.where(near, snr, 0.0),
        spoken=spoken,
        unclipped=1 - np.clip(clipped / CLIPPED_SHARE, 0, 1),
        calm=1 - burst,
        level_db=_voice_level(power, spoken, 3.0)[0],
    )


def _usual_level(power: Floats, spoken: Floats) -> float:
    """The median level of the speech in dBFS."""
    voice_db, _ = _voice_level(power, spoken, 6.0)
    return float(np.median(voice_db[spoken > 0.5])) if np.any(spoken > 0.5) else 0.0


def _voice_level(power: Floats, spoken: Floats, window_s: float) -> tuple[Floats, Floats]:
    """The level in dBFS of the speech around each frame (-100 where there is none), and its share there."""
    from scipy.ndimage import uniform_filter1d

    width = round(window_s / FRAME_S)
    share = uniform_filter1d(spoken, width, mode="constant")
    voice = uniform_filter1d(power * spoken, width, mode="constant") / np.maximum(share, 1e-9)
    return np.asarray(10 * np.log10(np.maximum(voice, 1e-10))), share


def _spoken(speech: Sequence[tuple[float, float]], count: int, frame_s: float) -> Floats:
    """The share of speech in each frame ``[count]``, 0 to 1."""
    bounds = np.array(speech, dtype=np.float64).reshape(-1, 2) / frame_s
    places = np.arange(count + 1, dtype=np.float64)
    times = np.concatenate([[0.0], bounds.reshape(-1)])
    spoken_until = np.concatenate([[0.0], np.cumsum(np.diff(times) * (np.arange(len(times) - 1) % 2))])
    return np.asarray(np.diff(np.interp(places, times, spoken_until)))


def _clipped_share(samples: Samples, count: int, width: int) -> Floats:
    """The share of each frame ``[count]`` that lies flat, three samples or more, within 0.1 % of an extreme."""
    share = np.zeros(count)
    for extreme in (float(samples.max(initial=0.0)), float(samples.min(initial=0.0))):
        at = np.flatnonzero(samples >= 0.999 * extreme if extreme > 0 else samples <= 0.999 * extreme)
        if extreme == 0 or len(at) < 3:
            continue
        third = np.flatnonzero(at[2:] - at[:-2] == 2)
        flat = np.unique(np.concatenate([at[third], at[third + 1], at[third + 2]]))
        share += np.bincount(np.minimum(flat // width, count), minlength=count + 1)[:count] / width
    return share


def score(measured: Measured, starts_s: Floats, ends_s: Floats, target_s: float) -> Floats:
    """The score of each window ``[m]``, from about 0 (useless) to 1 (clean, fluent, steady, long enough)."""
    first = np.clip(np.rint(starts_s / measured.frame_s).astype(np.intp), 0, len(measured.spoken) - 1)
    stop = np.clip(np.rint(ends_s / measured.frame_s).astype(np.intp), first + 1, len(measured.spoken))

    def mean(values: Floats) -> Floats:
        sums = np.concatenate([[0.0], np.cumsum(values)])
        return np.asarray((sums[stop] - sums[first]) / (stop - first))

    spoken = mean(measured.spoken)
    level = mean(measured.level_db * measured.spoken) / np.maximum(spoken, 1e-9)
    square = mean(np.square(measured.level_db) * measured.spoken) / np.maximum(spoken, 1e-9)
    spread_db = np.sqrt(np.maximum(square - np.square(level), 0))
    steady = 1 - np.clip((spread_db - STEADY_DB) / (UNSTEADY_DB - STEADY_DB), 0, 1)
    length_s = ends_s - starts_s
    part = np.abs(length_s / CHUNK_S - np.rint(length_s / CHUNK_S))
    quality = (
        WEIGHTS["snr"] * mean(measured.snr)
        + WEIGHTS["speech"] * np.minimum(spoken / FULL_SPEECH, 1)
        + WEIGHTS["unclipped"] * mean(measured.unclipped)
        + WEIGHTS["calm"] * mean(measured.calm)
        + WEIGHTS["steady"] * steady
    )
    short = np.maximum(0, 1 - length_s / target_s)
    return np.asarray(quality - SHORT_COST * short - 2 * CHUNK_COST * part)
