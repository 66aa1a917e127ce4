"""Samples within [-1, 1] -> an encoded file, one encoder a format, fed piece by piece.

Knows the encoders' names, rates and needs; nothing of where the file will lie, of overwriting or of resampling.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from voicekit.errors import OutputError
from voicekit.metadata import Tags, mp4_fields, three_letters
from voicekit.wav_format import MOST_BYTES, SAMPLE_BYTES, to_pcm16, to_pcm24, wav_header, wav_samples

Samples = NDArray[np.float32]
Put = Callable[[Samples], object]  # takes samples within [-1, 1] at the file's rate

BLOCK = 2**16  # samples that are encoded at once: the Vorbis encoder's buffer is on the stack

FLAC_SUBTYPES = {"pcm16": "PCM_16", "pcm24": "PCM_24"}
LOSSY_FORMATS = {".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"), ".mp3": ("MP3", "MPEG_LAYER_III")}
OWN_FORMATS = (".wav", ".flac", *LOSSY_FORMATS)  # which need no other program
FFMPEG_FORMATS = {".m4a": "ipod", ".m4b": "ipod", ".aac": "adts"}  # the extension -> FFmpeg's name of the container
AAC_BITRATE = "128k"
_MPEG_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_AAC_RATES_HZ = (*_MPEG_RATES_HZ, 64_000, 88_200, 96_000)
ENCODER_RATES_HZ = {  # what the encoders accept; anything else is resampled to the next higher rate
    ".opus": (8_000, 12_000, 16_000, 24_000, 48_000),
    ".mp3": _MPEG_RATES_HZ,
} | dict.fromkeys(FFMPEG_FORMATS, _AAC_RATES_HZ)


def encoder(
    path: Path, kind: str, rate: int, wav_format: str, tags: Tags | None
) -> contextlib.AbstractContextManager[Put]:
    """Opens a file that exists already, and gives what takes its samples; it is complete when this is left.

    Args:
        kind: one of ``OWN_FORMATS`` and ``FFMPEG_FORMATS``. rate: one that it takes, Hz.
        wav_format: ``pcm16``, ``pcm24`` or ``float``, of ``.wav``; the first two of ``.flac``.
        tags: only for what FFmpeg writes; the others get theirs when they are finished (``metadata.tag_file``).

    Raises:
        OutputError, OSError, soundfile.SoundFileError, AssertionError (soundfile's, of a write that fell short).
    """
    if kind == ".wav":
        return _wav(path, rate, wav_format)
    if kind == ".flac":
        return _libsndfile(path, rate, "FLAC", FLAC_SUBTYPES[wav_format])
    if kind in LOSSY_FORMATS:
        return _libsndfile(path, rate, *LOSSY_FORMATS[kind])
    return _aac(path, rate, kind, tags)


@contextlib.contextmanager
def _wav(path: Path, rate: int, wav_format: str) -> Iterator[Put]:
    """A WAV whose header is written again at the end, when its length is known."""
    count = 0

    def put(samples: Samples) -> None:
        nonlocal count
        count += len(samples)
        if count * SAMPLE_BYTES[wav_format] > MOST_BYTES:
            raise OutputError("The sound is longer than a WAV file can be (4 GiB).", "Write .flac, or a lower rate.")
        stream.write(wav_samples(samples, wav_format))

    with open(path, "wb") as stream:
        stream.write(wav_header(rate, wav_format, 0))
        yield put
        stream.write(b"\0" * (count * SAMPLE_BYTES[wav_format] % 2))
        stream.seek(0)
        stream.write(wav_header(rate, wav_format, count))


@contextlib.contextmanager
def _libsndfile(path: Path, rate: int, container: str, subtype: str) -> Iterator[Put]:
    """libsndfile's encoders. It gets a path: through a Python stream it would swallow Ctrl-C."""
    ready: dict[str, Callable[[Samples], NDArray[Any]]] = {"PCM_16": to_pcm16, "PCM_24": lambda x: to_pcm24(x) << 8}
    place = os.fspath(path) if os.name == "nt" else os.fsencode(path)
    with soundfile.SoundFile(place, "w", rate, 1, subtype, format=container) as file:
        blocks = _Blocks(lambda samples: file.write(ready.get(subtype, np.asarray)(samples)))
        yield blocks.put
        blocks.rest()


class _Blocks:
    """Passes samples on in blocks of one length, however they come: the Vorbis encoder's pages depend on it."""

    def __init__(self, put: Put) -> None:
        self._put, self._kept, self._count = put, list[Samples](), 0

    def put(self, samples: Samples) -> None:
        """Passes on what makes whole blocks, with what was kept before."""
        self._kept.append(samples)
        self._count += len(samples)
        if self._count >= BLOCK:
            held = np.concatenate(self._kept)
            whole = len(held) - len(held) % BLOCK
            for start in range(0, whole, BLOCK):
                self._put(held[start : start + BLOCK])
            self._kept, self._count = [held[whole:].copy()], len(held) - whole

    def rest(self) -> None:
        """Passes on what is left."""
        if self._count:
            self._put(np.concatenate(self._kept))


@contextlib.contextmanager
def _aac(path: Path, rate: int, kind: str, tags: Tags | None) -> Iterator[Put]:
    """Collects the samples in a hidden file, since they come piece by piece, and encodes them at the end."""
    spool = path.with_suffix(".pcm")
    try:
        with open(spool, "xb") as stream:
            yield lambda samples: stream.write(wav_samples(samples, "pcm16"))
        _encode_with_ffmpeg(spool, rate, path, kind, tags)
    finally:
        spool.unlink(missing_ok=True)


def _encode_with_ffmpeg(spool: Path, rate: int, path: Path, kind: str, tags: Tags | None) -> None:
    """Encodes AAC with the FFmpeg program through pydub, without a date or a version in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns at import of programs that are not needed here
        from pydub import AudioSegment
        from pydub.exceptions import CouldntEncodeError
    segment = AudioSegment(spool.read_bytes(), sample_width=2, frame_rate=rate, channels=1)
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-b:a", AAC_BITRATE]
    fields = None if tags is None or kind == ".aac" else mp4_fields(tags)
    if fields is not None and tags is not None:
        exact += ["-metadata:s:a:0", f"language={three_letters(tags.language)}"]
    AudioSegment.converter = shutil.which("ffmpeg")  # as checked before, not at pydub's import
    try:
        with _temporary_files_in(path.parent):
            segment.export(os.fspath(path), format=FFMPEG_FORMATS[kind], codec="aac", parameters=exact, tags=fields)
    except CouldntEncodeError as error:
        raise OutputError(f"FFmpeg could not write {kind}.", "Write .wav, or repair FFmpeg.") from error


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """pydub's own are as large as the sound, and it forgets them where it is interrupted."""
    before, tempfile.tempdir = tempfile.tempdir, os.fspath(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
