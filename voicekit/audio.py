"""A file in any common format -> Recording -> Audio (mono), at any rate.

Reading is defensive: names, headers and contents come from strangers. Nothing here trims, filters
or changes a level. Nothing judges speech either, and nothing is written: see ``voicekit.audio_writing``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicekit.audio_reading import Block, read_samples, read_with
from voicekit.complexity import complexity

Samples = NDArray[np.float32]
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Recording:
    """What a file holds: ``samples`` float32 ``[channels, n]``, full scale 1.0 (floats may exceed it)."""

    samples: Samples
    sample_rate: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.samples.shape[1] / self.sample_rate)


@dataclass(frozen=True, eq=False)
class Audio:
    """One voice channel: ``samples`` float32 ``[n]``, full scale 1.0; ``sample_rate`` in Hz."""

    samples: Samples
    sample_rate: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


@complexity(size="samples", time="O(n)", space="O(n)")
def read_recording(path: PathLike, *, max_minutes: float = 180.0) -> Recording:
    """Reads a sound file of any common format.

    libsndfile is tried first (WAV of 8 to 32 bits and float, FLAC, OGG, Opus, MP3, AIFF), then the FFmpeg
    libraries inside PyAV (M4A, AAC, MP4, WebM, MKA, 3GP). Integer samples are scaled to ``[-1, 1)``.
    What is read is counted, not what the header promises, so a lying header costs no memory.

    Args:
        path: the file; any name is fine, ``-`` included.
        max_minutes: longest recording taken; 2**30 samples in all channels together is the other bound.

    Raises:
        AudioError: no such file, not a regular one, not allowed, empty, not audio, damaged, holding NaN or
            infinity, too long, sampled outside 8 to 192 kHz, or over 16 channels.
    """
    return Recording(*read_samples(path, max_minutes=max_minutes))


def read_part(path: PathLike, start_s: float, end_s: float) -> Recording:
    """Reads from ``start_s`` to ``end_s`` seconds, or to the end; what comes after is not looked at.

    Raises:
        AudioError: as :func:`read_recording`, but for the length.
    """

    def part(blocks: Iterator[Block]) -> Recording:
        kept, at = [], 0
        for block, rate in blocks:
            start, stop = round(start_s * rate), round(end_s * rate)
            kept.append(block[max(0, start - at) : max(0, stop - at)])
            at += len(block)
            if at >= stop:
                break
        return Recording(np.ascontiguousarray(np.concatenate(kept).T), rate)

    return read_with(path, part, max_minutes=float("inf"), max_values=2**62)


@complexity(size="samples", time="O(n)", space="O(n)")
def to_mono(recording: Recording) -> Audio:
    """Makes one channel of many without ever cancelling the voice: the mean of :func:`voice_channels`."""
    samples = recording.samples
    if len(samples) == 1:
        return Audio(samples[0], recording.sample_rate)
    joining = samples[list(voice_channels(recording))]
    return Audio(joining.mean(axis=0, dtype=np.float32), recording.sample_rate)


def voice_channels(recording: Recording) -> tuple[int, ...]:
    """The channels that hold the same voice, counted from 0, the best one first.

    The best channel is the loudest of those whose contrast (95th minus 10th percentile of the levels of 20 ms
    frames, counted up to 50 dB) is within 6 dB of the largest: contrast first, so that a loud but noisy
    channel loses; level second. A further channel joins only if

    - its speech level is within 10 dB of the best one's (a dead or far channel adds nothing but noise),
    - its contrast is within 10 dB of the best one's (a noisy channel adds its noise), and
    - its correlation with the best one over that one's louder half is at least 0.9: the mean then loses
      at most 0.2 dB (power ``(1 + r) / 2``). Below that, channels differ by delay (a mean would comb),
      by talker or by polarity (``r < 0``: a mean would erase the voice), and stay out.
    """
    samples = recording.samples
    if len(samples) == 1:
        return (0,)
    frames = _frames(samples, recording.sample_rate)
    power = np.maximum(np.einsum("cfk,cfk->cf", frames, frames) / frames.shape[2], 1e-12)
    floor, level = 10 * np.log10(np.percentile(power, [10, 95], axis=1))
    contrast = np.minimum(level - floor, 50.0)
    best = int(np.argmax(np.where(contrast >= contrast.max() - 6, level, -np.inf)))
    loud = power[best] >= np.median(power[best])
    cross = np.einsum("fk,cfk->cf", frames[best], frames) / frames.shape[2]
    energy = power[:, loud].sum(axis=1)
    correlation = cross[:, loud].sum(axis=1) / np.sqrt(energy * energy[best])
    joins = (level >= level[best] - 10) & (contrast >= contrast[best] - 10) & (correlation >= 0.9)
    others = [int(channel) for channel in np.flatnonzero(joins) if channel != best]
    return (best, *others)


def _frames(samples: Samples, sample_rate: int) -> Samples:
    """Cuts ``[channels, n]`` into 20 ms frames ``[channels, frames, k]`` without their means (no DC)."""
    length = max(1, min(samples.shape[1], sample_rate // 50))
    count = samples.shape[1] // length
    frames = samples[:, : count * length].reshape(len(samples), count, length)
    centred: Samples = frames - frames.mean(axis=2, keepdims=True)
    return centred


def mean_channels(recording: Recording) -> Audio:
    """The plain mean of all channels, as coqui's own ``load_audio`` (TTS/tts/models/xtts.py) makes it."""
    return Audio(recording.samples.mean(axis=0, dtype=np.float32), recording.sample_rate)


@complexity(size="samples", time="O(n)", space="O(n)")
def resample(audio: Audio, sample_rate: int) -> Audio:
    """Changes the rate with soxr's HQ filter; the length becomes ``round(n * new / old)``, same start."""
    if sample_rate == audio.sample_rate:
        return audio
    import soxr

    length = round(len(audio.samples) * sample_rate / audio.sample_rate)
    changed = soxr.resample(audio.samples, audio.sample_rate, sample_rate, quality="HQ")[:length]
    return Audio(np.pad(changed, (0, length - len(changed))).astype(np.float32, copy=False), sample_rate)


def resample_like_coqui(audio: Audio, sample_rate: int) -> Audio:
    """Changes the rate and clips to [-1, 1] as coqui's ``load_audio`` does (torchaudio's defaults)."""
    import torch
    import torchaudio

    signal = torch.from_numpy(np.ascontiguousarray(audio.samples))[None]
    if sample_rate != audio.sample_rate:
        signal = torchaudio.functional.resample(signal, audio.sample_rate, sample_rate)
    return Audio(signal.clip(-1, 1)[0].numpy(), sample_rate)


def is_silent(audio: Audio, floor_dbfs: float = -70.0) -> bool:
    """Whether even the loudest 20 ms frame is under ``floor_dbfs`` (RMS, without DC); true of no samples."""
    if not len(audio.samples):
        return True
    frames = _frames(audio.samples[None], audio.sample_rate)
    return float(np.square(frames).mean(axis=2).max()) < 10 ** (floor_dbfs / 10)
