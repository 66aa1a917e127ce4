"""Segments of speech one after the other: fades against clicks, gaps between sentences, sound at its time.

Knows arrays and seconds; nothing of text, models or files. What is laid is given out at once, so that a recording of
any length takes the memory of its longest segment.
"""

from __future__ import annotations

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


class Joiner:
    """One recording while it is made."""

    def __init__(self, sample_rate: int, lead_s: float = 0.0) -> None:
        """`lead_s`: silence before the first segment, seconds."""
        self.sample_rate = sample_rate
        self._laid = 0  # samples given out so far
        self._gap = round(lead_s * sample_rate)  # samples of silence that are due before the next segment

    @complexity(size="samples", time="O(n)", space="O(n)")
    def lay(
        self, piece: Audio, gap_s: float, not_before_s: float = 0.0
    ) -> tuple[NDArray[np.float32], Placed]:
        """Lay a segment at the end of what is there.

        Args:
            piece: of this recording's rate.
            gap_s: silence that follows it if another one comes, seconds.
            not_before_s: the earliest moment at which it begins, seconds from the start of the recording.

        Returns:
            The samples that follow those given out before, float32 [n], and where the segment lies. O(samples).
        """
        import numpy as np

        silence = max(self._gap, round(not_before_s * self.sample_rate) - self._laid)
        begin = self._laid + silence
        self._laid = begin + piece.samples.size
        self._gap = round(gap_s * self.sample_rate)
        faded = fade_ends(piece.samples, round(FADE_S * self.sample_rate))
        samples = np.concatenate([np.zeros(silence, np.float32), faded])
        return samples, Placed(begin / self.sample_rate, self._laid / self.sample_rate)

    def end(self, tail_s: float) -> NDArray[np.float32]:
        """The silence behind the last segment, seconds, as samples, float32 [n]. O(samples)."""
        import numpy as np

        silence = round(tail_s * self.sample_rate)
        self._laid += silence
        return np.zeros(silence, np.float32)


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
