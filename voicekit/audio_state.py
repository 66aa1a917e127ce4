"""What the log says of audio on its way through the pipeline: rate, channels, length, level, memory."""

from __future__ import annotations

import numpy as np

from voicekit.audio import Audio, Recording
from voicekit.log_values import size
from voicekit.memory import MB


def state(audio: Audio | Recording) -> dict[str, str]:
    """Notes for a log line: rate in Hz, channels, length in seconds, level (RMS of all channels, dBFS), bytes held."""
    samples = audio.samples.reshape(1, -1) if audio.samples.ndim == 1 else audio.samples
    power = float(np.vdot(samples, samples)) / max(samples.size, 1)
    return {
        "rate": f"{audio.sample_rate} Hz",
        "channels": str(len(samples)),
        "length": f"{audio.duration_s:.2f}s",
        "level": f"{10 * np.log10(power):.1f} dBFS" if power > 0 else "silence",
        "array": size(samples.nbytes / MB),
    }


def changes(before: Audio | Recording, after: Audio | Recording) -> dict[str, str]:
    """Notes for the log line of a step: what it changed as ``before -> after``, the rest as it is."""
    old, new = state(before), state(after)
    return {name: value if value == old[name] else f"{old[name]} -> {value}" for name, value in new.items()}
