"""A file of any length -> the part of it that is worth measuring, in bounded memory.

XTTS hears 30 seconds. A recording of up to three minutes is taken whole; of a longer one the three minutes in which
speech stands out most are found in one pass over the file, block by block, and read in a second one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Recording, read_part
from voicekit.audio_reading import Block, read_with
from voicekit.complexity import complexity

Floats = NDArray[np.float64]

EXCERPT_S = 180.0
MAX_MINUTES = 720.0  # twelve hours: a whole audiobook
MAX_EXCERPT_VALUES = 2**27  # 0.5 GB: 16 channels of 48 kHz get 175 seconds
STEP_S = 0.1  # of the survey: shorter than a syllable
PIECE_S, MOST_CONTRAST_DB = 3.0, 40.0  # a sentence; more says nothing more
BETTER_DB = 3.0  # a later part must stand out by this much more than the beginning


@dataclass(frozen=True, eq=False)
class Excerpt:
    """recording: the part taken. start_s: where it begins in the file. source_s: how long the whole file is."""

    recording: Recording
    start_s: float
    source_s: float


@complexity(size="audio_s", time="O(n)", space="O(1)", stage="read")
def read_excerpt(path: str | os.PathLike[str], *, max_s: float = EXCERPT_S) -> Excerpt:
    """Reads a recording, or the best ``max_s`` seconds of a longer one.

    Beyond ``max_s`` memory grows by 80 bytes a second and channel only: 3.5 MB in twelve hours.

    Raises:
        AudioError: see `voicekit.audio.read_recording`; longer than twelve hours.
    """
    survey = read_with(path, lambda blocks: _survey(blocks, max_s), max_minutes=MAX_MINUTES, max_values=2**62)
    if survey.whole is not None:
        return Excerpt(Recording(survey.whole, survey.rate), 0.0, survey.source_s)
    window_s = survey.span / survey.rate
    start_s = best_window_s(survey.powers, window_s)
    return Excerpt(read_part(path, start_s, start_s + window_s), start_s, survey.source_s)


def best_window_s(powers: Floats, window_s: float) -> float:
    """Where a window of ``window_s`` seconds should begin, in seconds.

    Speech comes and goes in syllables and words; noise, music and silence do so much less. Of every 3 s the distance
    between the 90th and the 10th percentile of the 0.1 s levels is taken (in dB, up to 40): large where somebody
    speaks over a quiet ground. The window with the largest mean wins; the beginning stays where no other one is 3 dB
    better.

    Args:
        powers: mean power of each 0.1 s, ``[steps, channels]``.
        window_s: length of the window.
    """
    levels = 10 * np.log10(powers[:, int(np.argmax(np.percentile(powers, 95, axis=0)))] + 1e-12)
    piece = round(PIECE_S / STEP_S)
    pieces = levels[: len(levels) // piece * piece].reshape(-1, piece)
    if not len(pieces):
        return 0.0
    low, high = np.percentile(pieces, [10, 90], axis=1)
    contrasts = np.concatenate([[0.0], np.cumsum(np.minimum(high - low, MOST_CONTRAST_DB))])
    width = min(max(1, int(window_s / PIECE_S)), len(pieces))
    scores = (contrasts[width:] - contrasts[:-width]) / width
    best = int(np.argmax(scores))
    return best * PIECE_S if scores[best] > scores[0] + BETTER_DB else 0.0


@dataclass(frozen=True, eq=False)
class _Survey:
    """whole: all samples ``[channels, n]`` where they fit; span: the window in samples; powers: every 0.1 s."""

    rate: int
    source_s: float
    span: int
    powers: Floats
    whole: NDArray[np.float32] | None


def _survey(blocks: Iterator[Block], max_s: float) -> _Survey:
    """One pass: keeps samples while they may be all there is, and powers to the end."""
    kept: list[NDArray[np.float32]] = []
    powers: list[Floats] = []
    rest = np.zeros((0, 1), dtype=np.float32)
    frames = span = rate = 0
    for block, rate in blocks:
        span = min(round(max_s * rate), MAX_EXCERPT_VALUES // block.shape[1])
        frames += len(block)
        if frames <= span:
            kept.append(block)
        else:
            kept.clear()
        rest = np.concatenate([rest, block]) if len(rest) else block
        hop = round(rate * STEP_S)
        count = len(rest) // hop
        powers.append(np.square(rest[: count * hop]).reshape(count, hop, rest.shape[1]).mean(axis=1, dtype=np.float64))
        rest = rest[count * hop :]
    whole = np.ascontiguousarray(np.concatenate(kept).T) if frames <= span else None
    return _Survey(rate, frames / rate, span, np.concatenate(powers), whole)
