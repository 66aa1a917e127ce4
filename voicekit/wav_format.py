"""Samples -> the bytes of a WAV file: its header, its three sample formats. Knows no files and no rates' meaning."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

WAV_FORMATS = ("pcm16", "pcm24", "float")
SAMPLE_BYTES = {"pcm16": 2, "pcm24": 3, "float": 4}
MOST_BYTES = 2**32 - 2**20  # of sound in one file: its sizes have 32 bits, and tags come on top

_UNKNOWN = 0xFFFFFFFF  # what readers of a stream take for "until it ends"
_PCM, _FLOAT = 1, 3  # WAVE_FORMAT_PCM, WAVE_FORMAT_IEEE_FLOAT


def wav_header(sample_rate: int, wav_format: str, samples: int | None) -> bytes:
    """What stands before the samples of one channel; ``samples`` None: how many is not known yet.

    The plain 44 bytes for PCM; ``float`` has the longer ``fmt`` chunk and the ``fact`` chunk that belong to it.
    """
    width = SAMPLE_BYTES[wav_format]
    tag = _FLOAT if wav_format == "float" else _PCM
    form = struct.pack("<HHIIHH", tag, 1, sample_rate, sample_rate * width, width, 8 * width)
    chunks = _chunk(b"fmt ", form + (b"" if tag == _PCM else b"\0\0"))
    if tag != _PCM:
        chunks += _chunk(b"fact", struct.pack("<I", _UNKNOWN if samples is None else samples))
    size = None if samples is None else samples * width
    whole = _UNKNOWN if size is None else 4 + len(chunks) + 8 + size + size % 2
    return struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + chunks + struct.pack(
        "<4sI", b"data", _UNKNOWN if size is None else size
    )


def wav_samples(samples: NDArray[np.float32], wav_format: str) -> bytes:
    """Float samples [n] within [-1, 1] as the file holds them, least significant byte first."""
    if wav_format == "float":
        return samples.astype("<f4").tobytes()
    if wav_format == "pcm16":
        return to_pcm16(samples).astype("<i2").tobytes()
    return to_pcm24(samples).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def to_pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rounds to 16 bits on the scale on which readers undo it (32,768); symmetric, and +1.0 cannot wrap."""
    return np.asarray(np.clip(np.rint(samples * np.float32(32768)), -32767, 32767), dtype=np.int16)


def to_pcm24(samples: NDArray[np.float32]) -> NDArray[np.int32]:
    """The same with 24 bits, in the lower three bytes of four."""
    scaled = np.rint(samples.astype(np.float64) * 8388608)  # float32 cannot hold the result beyond 24 bits
    return np.asarray(np.clip(scaled, -8388607, 8388607), dtype=np.int32)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content
