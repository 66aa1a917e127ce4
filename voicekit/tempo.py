"""Faster or slower speech at the same pitch, by FFmpeg's atempo filter inside PyAV. Knows arrays, no files."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from voicekit.audio import Audio, Samples

SLOWEST, FASTEST = 0.5, 2.0
_BLOCK = 2**14  # samples that are handed to the filter at once
_TAIL_S = 0.2  # of silence behind the sound: the filter keeps its last window for itself


def change_tempo(audio: Audio, factor: float) -> Audio:
    """Changes how fast is spoken and keeps the pitch (waveform similarity, overlap and add).

    Args:
        audio: one channel. factor: 0.5 (half as fast) to 2.

    Returns:
        ``round(n / factor)`` samples, never over full scale unless the input is; the same object for a factor of 1.
        Events move by up to some 20 ms against the exact ratio. The same input gives the same samples.

    Raises:
        ValueError: a factor outside 0.5 to 2.
    """
    if not SLOWEST <= factor <= FASTEST:
        raise ValueError(f"a tempo of {factor} is outside {SLOWEST} to {FASTEST}")
    if factor == 1 or not len(audio.samples):
        return audio
    length = round(len(audio.samples) / factor)
    tail = np.zeros(round(_TAIL_S * audio.sample_rate), np.float32)
    changed = _filtered(np.concatenate([audio.samples, tail]), audio.sample_rate, factor)[:length]
    changed = np.pad(changed, (0, length - len(changed)))
    most, peak = max(1.0, float(np.abs(audio.samples).max())), float(np.abs(changed).max(initial=0.0))
    return Audio(changed * np.float32(most / peak) if peak > most else changed, audio.sample_rate)


def _filtered(samples: Samples, sample_rate: int, factor: float) -> Samples:
    from av import AudioFrame
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate, format="flt", layout="mono", time_base=Fraction(1, sample_rate)
    )
    tempo, sink = graph.add("atempo", f"{factor:.9f}"), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    found: list[Samples] = []
    for start in range(0, len(samples), _BLOCK):
        block = np.ascontiguousarray(samples[None, start : start + _BLOCK])
        frame = AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate, frame.pts = sample_rate, start
        source.push(frame)
        found += _ready(sink)
    source.push(None)
    return np.concatenate([*found, *_ready(sink)])


def _ready(sink: Any) -> list[Samples]:
    """What the filter has finished so far."""
    from av.error import BlockingIOError as NothingYet
    from av.error import EOFError as Ended

    found: list[Samples] = []
    while True:
        try:
            found.append(sink.pull().to_ndarray()[0])
        except (NothingYet, Ended):
            return found
