"""Segments of speech into one recording: fades against clicks, gaps between sentences.

Knows arrays and seconds; nothing of text, models or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicekit.audio import Audio
from voicekit.complexity import complexity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# 5 to 10 ms on each piece cures the clicks at joins and leaves consonants alone (facts of the field:
# XTTS pieces start at up to their full level).
FADE_S = 0.008


@dataclass(frozen=True)
class Placed:
    """Where a segment lies in the joined recording, in seconds from its start."""

    start_s: float
    end_s: float


@complexity(size="samples", time="O(n)", space="O(n)")
def join(pieces: Sequence[Audio], gaps_s: Sequence[float]) -> tuple[Audio, tuple[Placed, ...]]:
    """Lay segments one after the other.

    Args:
        pieces: the segments, all of one sample rate, at least one.
        gaps_s: silence after each piece, seconds, 0 or more; the last one's is not used.

    Returns:
        The joined audio and where each piece lies in it. O(samples) time and space.
    """
    import numpy as np

    rate = pieces[0].sample_rate
    gaps = [round(gap * rate) for gap in gaps_s[: len(pieces) - 1]] + [0]
    joined = np.zeros(sum(piece.samples.size for piece in pieces) + sum(gaps), dtype=np.float32)
    placed, at = [], 0
    for piece, gap in zip(pieces, gaps, strict=True):
        end = at + piece.samples.size
        joined[at:end] = fade_ends(piece.samples, round(FADE_S * rate))
        placed.append(Placed(at / rate, end / rate))
        at = end + gap
    return Audio(joined, rate), tuple(placed)


def fade_ends(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Raise the first and lower the last `length` samples by a raised cosine; a copy of [n]."""
    import numpy as np

    length = min(length, samples.size // 2)
    faded = samples.copy()
    if length:
        ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)
        faded[:length] *= ramp
        faded[-length:] *= ramp[::-1]
    return faded
