"""Segments of one loudness, each by itself: a pure function of a segment's own samples.

No segment's gain depends on another's, so that the segments of one voice match within a file and between files,
whatever is spoken again and in whatever order.
"""

from __future__ import annotations

from voicekit.audio import Audio
from voicekit.complexity import complexity
from voicekit.quality import loudness_lufs, true_peak_dbtp

TARGET_LUFS = -20.0  # where XTTS speaks anyway: most gains are small
MAX_TRUE_PEAK_DBTP = -1.0  # EBU R 128
MOST_DB = 12.0  # more would raise noise, or is no speech at all
BLOCK_S = 0.4  # BS.1770 measures no shorter sound


@complexity(size="samples", time="O(n)", space="O(n)")
def level(audio: Audio, *, target_lufs: float = TARGET_LUFS, most_db: float = MOST_DB) -> tuple[Audio, float]:
    """Bring a segment to a loudness (ITU-R BS.1770), its true peak at -1 dBTP at most.

    The gain is the same for all samples, so nothing is compressed. It lies within ±`most_db`, unless a peak over full
    scale needs less. Sound under 0.4 s is measured as if it went on; silence keeps its level.

    Returns:
        The segment, and the gain in dB.
    """
    import numpy as np

    loudness, peak = _loudness(audio), true_peak_dbtp(audio)
    if loudness is None or peak is None:
        return audio, 0.0
    gain_db = min(max(target_lufs - loudness, -most_db), most_db, MAX_TRUE_PEAK_DBTP - peak)
    return Audio(audio.samples * np.float32(10 ** (gain_db / 20)), audio.sample_rate), gain_db


def _loudness(audio: Audio) -> float | None:
    import numpy as np

    shortest = round(BLOCK_S * audio.sample_rate) + 1
    if not audio.samples.size:
        return None
    length = max(shortest, audio.samples.size)
    return loudness_lufs(Audio(np.resize(audio.samples, length), audio.sample_rate))
