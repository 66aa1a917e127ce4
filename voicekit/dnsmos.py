"""Audio -> what listeners would say of it: DNSMOS P.835 (Reddy et al., ICASSP 2022), a network's guess.

The network is the one that the package speechmos bundles, run without that package, which takes seconds to import
and judges every second. Scores compare versions of one recording; between voices, and for synthetic speech above
all, they say little, and they can rise while a voice is damaged. The P.808 network beside it is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voicekit.audio import Audio, Samples, is_silent, resample
from voicekit.bundled import bundled_network

RATE_HZ = 16_000
WINDOW = 144_160  # samples that the network takes: 9.01 s
MOS_FIT = np.array(  # raw value -> score: the polynomials of speechmos 0.0.1.1, get_polyfit_val()
    [  # of sig, bak, ovrl; highest power first
        [-0.08397278, 1.22083953, 0.0052439],
        [-0.13166888, 1.60915514, -0.39604546],
        [-0.06766283, 1.11546468, 0.04602535],
    ]
)


@dataclass(frozen=True)
class Opinion:
    """Mean opinion scores, nominally 1 (bad) to 5 (excellent): ITU-T P.835.

    Attributes:
        sig: how undistorted the speech is.
        bak: how little the background intrudes.
        ovrl: the whole.
    """

    sig: float
    bak: float
    ovrl: float


def dnsmos(audio: Audio, *, max_windows: int | None = 6) -> Opinion | None:
    """The mean of the scores of windows of 9.01 s; a shorter recording is looped to that length.

    Peaks over full scale are scaled down, where speechmos refuses.

    Args:
        audio: any rate; 16 kHz is what the network hears.
        max_windows: at least 1; so many at most, begun at whole seconds spread evenly over the recording. Each
            takes about 0.2 s of one core. None: every second, exactly as ``speechmos.dnsmos.run`` chooses them.

    Returns:
        None for silence (every 20 ms under -70 dBFS) and for no samples.
    """
    if is_silent(audio):
        return None
    samples = _long_enough(_within_full_scale(resample(audio, RATE_HZ).samples))
    session = bundled_network("speechmos", "dnsmos_models/sig_bak_ovr.onnx")
    windows = [samples[None, second * RATE_HZ :][:, :WINDOW] for second in _seconds(len(samples), max_windows)]
    raw = np.array([session.run(None, {"input_1": window})[0][0] for window in windows])  # a batch is no faster
    sig, bak, ovrl = np.mean([np.polyval(MOS_FIT.T, values) for values in raw.astype(np.float64)], axis=0)
    return Opinion(float(sig), float(bak), float(ovrl))


def _within_full_scale(samples: Samples) -> Samples:
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / np.float32(peak) if peak > 1.0 else samples


def _long_enough(samples: Samples) -> Samples:
    """Doubled until it fills a window, as speechmos does it (so 8 s become 16 s, which is seven windows)."""
    while len(samples) < WINDOW:
        samples = np.concatenate([samples, samples])
    return samples


def _seconds(length: int, max_windows: int | None) -> list[int]:
    """Where windows begin, in whole seconds, ascending."""
    count = int(length // RATE_HZ - WINDOW / RATE_HZ) + 1
    if max_windows is None:  # speechmos leaves out windows whose end rounds down: those of 7 to 23 s, for one
        return [second for second in range(count) if int((second + 9.01) * RATE_HZ) - second * RATE_HZ >= WINDOW]
    return sorted({round(second) for second in np.linspace(0, count - 1, min(count, max_windows))})
