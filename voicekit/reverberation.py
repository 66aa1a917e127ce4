"""Audio -> how long the room goes on sounding, from the recording alone.

In a room no sound falls faster than the room lets it. So the falls after the loud moments of speech are looked at
in four octave bands: in a dry recording most of them are as fast as the mouth, in a reverberant one none is. The
idea is that of the blind estimators from free decays (Ratnam et al., JASA 114, 2003; Loellmann and Vary, 2008;
Prego et al., 2012); bands and bounds here are our own. Nothing is changed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio
from voicekit.complexity import complexity

Floats = NDArray[np.float64]

BAND_EDGES_HZ = (250, 500, 1_000, 2_000, 4_000)
FRAME_S, HOP_S = 0.032, 0.010
PEAK_S = 0.060  # a peak is the highest level this far to both sides: a syllable's, not a pitch period's
REACH_S = 1.2  # the longest fall that is followed
LOUD_DB = 20.0  # peaks further than this under the band's loud level (95th percentile) are left out
SKIP_DB = 8.0  # of a fall: the direct sound goes first, the room stays
SPAN_DB = (8.0, 20.0)  # of a fall, after what was skipped: the least that is measured, and the most
RISE_DB = 3.0  # a fall ends where the level rises by this over its lowest
FLOOR_GAP_DB = 6.0  # nothing is measured nearer to the noise floor
MIN_FALLS = 2


@complexity(size="samples", time="O(n)", space="O(n)")
def reverb_rt60_s(audio: Audio, speech: list[tuple[float, float]]) -> float | None:
    """Reverberation time: the seconds in which the room's sound falls by 60 dB, as far as speech lets it show.

    The median over all falls (octave bands from 250 Hz to 4 kHz) of the time that 60 dB would take, each weighted
    by the square of the decibels it was seen to fall, since a slope is known that much better. A fall is measured
    from 8 dB under its peak over 8 to 20 dB, and never nearer than 6 dB to the noise floor: noise cuts falls off,
    it does not stretch them.

    Dry speech reads its own falls, 0.1 to 0.3 s, not zero. Where the direct sound is far above the room's
    (10 dB), the reading is a third low: less of the room is heard, too.

    Args:
        audio: the recording, at any rate from 8 kHz.
        speech: where somebody speaks, in seconds; falls are taken from peaks there, from anywhere if empty.

    Returns:
        Seconds, or None where fewer than two falls show (silence, under a second, noise that hides them).
    """
    levels, hop_s = _band_levels_db(audio)
    spoken = _spoken(speech, levels.shape[1], hop_s)
    falls = np.concatenate([_falls(band, hop_s, spoken) for band in levels] or [np.zeros((0, 2))])
    if len(falls) < MIN_FALLS:
        return None
    seconds, spans_db = falls[np.argsort(falls[:, 0])].T
    weights = np.square(spans_db)
    middle = np.cumsum(weights) - weights / 2
    return float(np.interp(weights.sum() / 2, middle, seconds))


def _band_levels_db(audio: Audio) -> tuple[Floats, float]:
    """Levels in dB (any reference) of the octave bands, ``[bands, frames]``, and the frames' hop in seconds.

    The rate is brought down to 16 kHz or a little more by plain means first: what folds back is over 12 kHz and
    too weak in speech to matter here.
    """
    from scipy.fft import next_fast_len, rfft

    factor = max(1, audio.sample_rate // 16_000)
    count = len(audio.samples) // factor
    samples = audio.samples[: count * factor].reshape(count, factor) @ np.full(factor, 1 / factor, np.float32)
    rate = audio.sample_rate / factor
    length, hop = next_fast_len(round(FRAME_S * rate), real=True), round(HOP_S * rate)
    if len(samples) < length + 2 * hop:
        return np.zeros((0, 0)), HOP_S
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    edges = [round(edge * length / rate) for edge in BAND_EDGES_HZ]
    spectrum = rfft(frames * np.hanning(length).astype(np.float32), axis=1)[:, : edges[-1]]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = np.add.reduceat(power[:, edges[0] :], [edge - edges[0] for edge in edges[:-1]], axis=1).T.astype(np.float64)
    smooth = (bands[:, :-2] + bands[:, 1:-1] + bands[:, 2:]) / 3
    return 10 * np.log10(smooth / length**2 + 1e-14), hop / rate


def _spoken(speech: list[tuple[float, float]], frames: int, hop_s: float) -> NDArray[np.bool_]:
    """Which frames lie in the regions (all of them where there are none)."""
    times = np.arange(frames) * hop_s + HOP_S + FRAME_S / 2
    inside = [(times >= start) & (times <= end) for start, end in speech]
    return np.logical_or.reduce(inside) if inside else np.ones(frames, dtype=bool)


def _falls(levels: Floats, hop_s: float, spoken: NDArray[np.bool_]) -> Floats:
    """The measurable falls of one band: ``[m, 2]``, the seconds that 60 dB would take and the decibels seen."""
    loud = np.percentile(levels, 95)
    floor = np.percentile(levels[levels > max(-110.0, loud - 80)], 5) if loud > -110 else np.inf
    side, reach = round(PEAK_S / hop_s), round(REACH_S / hop_s)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(levels, side, constant_values=-np.inf), 2 * side + 1)
    peaks = np.flatnonzero((levels == around.max(axis=1)) & (levels >= loud - LOUD_DB) & spoken)
    after = np.lib.stride_tricks.sliding_window_view(np.pad(levels, (0, reach), constant_values=np.inf), reach + 1)
    tracks = after[peaks]  # [peaks, reach + 1]; past the end: infinitely loud, which ends every fall
    ended = np.maximum.accumulate(tracks > np.minimum.accumulate(tracks, axis=1) + RISE_DB, axis=1)
    falling = np.where(ended, np.inf, tracks)
    top = tracks[:, 0] - SKIP_DB
    lowest = np.maximum(falling.min(axis=1) + RISE_DB, floor + FLOOR_GAP_DB)
    bottom = np.maximum(lowest, top - SPAN_DB[1])
    wide = top - bottom >= SPAN_DB[0]
    falling, top, bottom = falling[wide], top[wide], bottom[wide]
    lowest = np.minimum.accumulate(falling, axis=1)
    frames = _crossing(lowest, bottom) - _crossing(lowest, top)
    return np.stack([60 * frames * hop_s / (top - bottom), top - bottom], axis=1)


def _crossing(lowest: Floats, level: Floats) -> Floats:
    """Where tracks that never rise ``[m, frames]`` first come down to a level ``[m]``, in frames, interpolated."""
    after = np.argmax(lowest <= level[:, None], axis=1)
    rows = np.arange(len(level))
    above, below = lowest[rows, after - 1], lowest[rows, after]
    crossing: Floats = after - (level - below) / (above - below)
    return crossing
