"""A file in any common format -> its samples, with nothing of it trusted.

Names, headers and contents come from strangers: nothing here waits, follows a link inside a file, or
allocates what a header promises. ``voicekit.audio`` is the way in.
"""

from __future__ import annotations

import ctypes
import functools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, BinaryIO, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from voicekit.errors import AudioError

Block = tuple[NDArray[np.float32], int]  # samples and their rate in Hz

MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ = 8_000, 192_000  # below telephone speech; above studio gear
MAX_CHANNELS = 16  # a third-order ambisonic recorder has so many
MAX_VALUES = 2**30  # samples times channels: 4 GiB as float32, three hours of 48 kHz stereo
BLOCK_VALUES = 2**20
# A file that unfolds further than any recording does is a decompression bomb: Opus at its lowest bit rate holds 64
# values a byte, FLAC some 500 of digital silence. What fits into 0.5 GB is taken from any file.
MAX_VALUES_A_BYTE, SMALL_VALUES = 256, 2**27
# An index of packets takes 24 bytes each, and a packet one byte at least: no honest file needs a larger piece of memory
# than this at once. 64 MiB index 16 hours of AAC.
LEAST_PIECE, PIECE_A_BYTE, LARGEST_PIECE = 2**23, 32, 2**26
MAX_TRACKS = 64
MAX_PEAK = 2.0**31  # full scale is 1; some programs write integers of 32 bits as floats

READABLE = "WAV, FLAC, OGG, Opus, MP3, AIFF, M4A, AAC, MP4, WebM, MKA or 3GP"
# What FFmpeg may take a file for. A playlist, which it would follow to other files and to the network,
# is not among them.
AV_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,avi,caf,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
)


T = TypeVar("T")


def read_samples(path: str | os.PathLike[str], *, max_minutes: float) -> Block:
    """Gives float32 samples ``[channels, n]`` and the rate in Hz; see ``voicekit.audio.read_recording``."""
    return read_with(path, _join, max_minutes=max_minutes, max_values=MAX_VALUES)


def read_with(
    path: str | os.PathLike[str], take: Callable[[Iterator[Block]], T], *, max_minutes: float, max_values: int
) -> T:
    """Lets ``take`` go through a file block by block: ``[n, channels]`` float32 and the rate in Hz.

    ``take`` may stop early. It is called once more, from the beginning, where libsndfile cannot read the file to its
    end and FFmpeg has to. There is always a block.

    Raises:
        AudioError: see ``voicekit.audio.read_recording``; raised out of the iterator.
    """
    name = repr(os.fspath(path))
    with open_recording(path) as stream:
        max_values = min(max_values, max(SMALL_VALUES, MAX_VALUES_A_BYTE * os.fstat(stream.fileno()).st_size))
        with suppress(soundfile.SoundFileError, _NothingIn):  # its reason would name formats that nobody chose
            return take(_checked(_sndfile_blocks(stream), name, max_minutes, max_values))
        stream.seek(0)
        try:
            return _read_with_av(stream, name, lambda blocks: take(_checked(blocks, name, max_minutes, max_values)))
        except _NothingIn:
            raise AudioError(
                f"The file {name} is an audio file without samples.", "Record it again, or export it anew."
            ) from None


class _NothingIn(Exception):
    """A file of a known format without a sample in it."""


def open_recording(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a regular, non-empty file for reading; never waits (a pipe without a writer would).

    Raises:
        AudioError: there is none, it is something else, or it may not be read.
    """
    name = repr(os.fspath(path))
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise AudioError(f"{name} is a folder, not a recording.", "Name one audio file inside it.")
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(
                f"{name} is not a regular file (a pipe or a device).", "Save the audio to a file first."
            )
        if found.st_size == 0:
            raise AudioError(f"The file {name} is empty (0 bytes).", "Record, copy or download it again.")
        return open(path, "rb", opener=lambda p, flags: os.open(p, flags | getattr(os, "O_NONBLOCK", 0)))
    except FileNotFoundError as error:
        raise AudioError(f"There is no file {name}.", "Check the name and the folder.") from error
    except PermissionError as error:
        raise AudioError(
            f"The file {name} may not be read.", "Give yourself permission to read it."
        ) from error
    except (OSError, ValueError) as error:  # too long a name, a null byte, a failing disk
        raise AudioError(
            f"The file {name} cannot be opened ({getattr(error, 'strerror', error)}).",
            "Check the name and the disk.",
        ) from error


def _sndfile_blocks(stream: BinaryIO) -> Iterator[Block]:
    """Yields ``[n, channels]`` blocks and the rate."""
    # Through its descriptor, not as a Python stream: callbacks from C swallow Ctrl-C. On Windows a
    # library's descriptors are its own.
    source: Any = stream.fileno() if os.name == "posix" else _Nameless(stream)
    with _hushed():
        file = soundfile.SoundFile(source, closefd=False)
    with file:
        # soundfile would seek to where it is after every block, and that breaks the sound of an MP3 there
        file.seekable = lambda: False
        frames = max(1, BLOCK_VALUES // file.channels)
        while len(block := _next_block(file, frames)):
            yield block, file.samplerate


def _next_block(file: Any, frames: int) -> NDArray[np.float32]:
    with _hushed() if file.format == "MP3" else nullcontext():
        block: NDArray[np.float32] = file.read(frames, dtype="float32", always_2d=True)
    return block


@contextmanager
def _hushed() -> Iterator[None]:
    """Nothing reaches stderr: libsndfile's MP3 decoder writes there what it thinks of a file, and has no switch."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no stderr, or no descriptors left
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Nameless:
    """A stream without ``name``: libsndfile's wrapper would take ``x.raw`` for headerless samples."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read, self.seek, self.tell = stream.read, stream.seek, stream.tell
        self.readinto = stream.readinto  # type: ignore[attr-defined]


class _Unfailing:
    """A stream whose ``seek`` says -1 where it cannot go: PyAV prints the traceback of an exception."""

    def __init__(self, stream: BinaryIO) -> None:
        self.name, self.read, self.tell, self._seek = stream.name, stream.read, stream.tell, stream.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError):
            return -1


def _read_with_av(stream: BinaryIO, name: str, take: Callable[[Iterator[Block]], T]) -> T:
    """Decodes with the FFmpeg libraries; every error of theirs becomes an AudioError."""
    import av

    try:
        with _small_pieces(os.fstat(stream.fileno()).st_size):
            return take(_av_blocks(stream))
    except (av.error.FFmpegError, ValueError, IndexError, EOFError, OSError) as error:
        raise AudioError(
            f"The file {name} is not audio that can be read, or it is damaged.",
            f"Give a recording as {READABLE}; if it plays elsewhere, export it as WAV.",
        ) from error


@contextmanager
def _small_pieces(file_bytes: int) -> Iterator[None]:
    """FFmpeg takes no piece of memory that such a file cannot need: 600 bytes may promise an index of 4 GB."""
    limit = _piece_limit()
    limit(min(LEAST_PIECE + PIECE_A_BYTE * file_bytes, LARGEST_PIECE))
    try:
        yield
    finally:
        limit(2**31 - 1)  # as it is in a new process


@functools.cache
def _piece_limit() -> Callable[[int], object]:
    """FFmpeg's ``av_max_alloc``; what does nothing where it cannot be reached (Windows looks no symbol up so)."""
    import av

    try:
        limit = ctypes.CDLL(av._core.__file__).av_max_alloc
    except (OSError, AttributeError):
        return lambda size: None
    limit.argtypes, limit.restype = [ctypes.c_size_t], None
    return limit


def _av_blocks(stream: BinaryIO) -> Iterator[Block]:
    """Yields ``[n, channels]`` blocks and the rate of the first audio track."""
    import av

    options = {"format_whitelist": AV_CONTAINERS, "max_streams": str(MAX_TRACKS)}
    source: Any = _Unfailing(stream)
    with av.open(source, "r", options=options) as container:
        track = container.streams.audio[0]  # IndexError: pictures only
        to_float: Any = None
        for frame in container.decode(track):
            if to_float is None:
                # Interleaved: PyAV reads beyond its memory where a frame has more than eight planes.
                to_float = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
            for piece in to_float.resample(frame):
                yield piece.to_ndarray().reshape(-1, piece.layout.nb_channels), piece.sample_rate


def _checked(blocks: Iterator[Block], name: str, max_minutes: float, max_values: int) -> Iterator[Block]:
    """Passes blocks on and holds the limits while they come in; what the header promised does not count."""
    frames = 0
    for block, rate in blocks:
        channels = block.shape[1]
        if not MIN_SAMPLE_RATE_HZ <= rate <= MAX_SAMPLE_RATE_HZ:
            raise AudioError(
                f"The file {name} is sampled at {rate} Hz; speech needs 8,000 to 192,000 Hz.",
                "Record at 24,000 Hz or more, or convert it to 48,000 Hz if it is an oversampled one.",
            )
        if channels > MAX_CHANNELS:
            raise AudioError(
                f"The file {name} has {channels} channels, over {MAX_CHANNELS}.", "Export one channel."
            )
        frames += len(block)
        if frames > max_minutes * 60 * rate or frames * channels > max_values:
            raise AudioError(
                f"The recording {name} is longer than {max_minutes:g} minutes or too large for memory.",
                "Cut out a part: 10 to 30 seconds of clear speech are plenty.",
            )
        peak = float(np.abs(block).max(initial=0.0))
        if not np.isfinite(peak):
            raise AudioError(
                f"The file {name} holds samples that are not numbers (NaN or infinity).", "Export it anew."
            )
        if peak > MAX_PEAK:
            raise AudioError(
                f"The file {name} holds samples of up to {peak:.0e}; full scale is 1.", "Export it anew."
            )
        yield block, rate
    if not frames:
        raise _NothingIn


def _join(blocks: Iterator[Block]) -> Block:
    """All blocks as one; each is let go as soon as it is copied, so that the sound is not held twice."""
    kept, rate = [], 0
    for block, block_rate in blocks:
        kept.append(block)
        rate = block_rate
    at = sum(map(len, kept))
    joined = np.empty((kept[0].shape[1], at), dtype=np.float32)
    while kept:  # from the end: glibc gives the system the top of its heap only
        block = kept.pop()
        at -= len(block)
        joined[:, at : at + len(block)] = block.T
    return joined, rate
