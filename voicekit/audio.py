"""A file in any common format -> Recording -> Audio (mono) -> a file, written whole or not at all.

Reading is defensive: names, headers and contents come from strangers. Nothing here trims, filters
or changes a level, except that writing scales down what would clip. Nothing judges speech either.
"""

from __future__ import annotations

import io
import os
import shutil
import warnings
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from voicekit.audio_reading import Block, read_samples, read_with
from voicekit.complexity import complexity
from voicekit.errors import OutputError
from voicekit.publishing import check_place, published

Samples = NDArray[np.float32]
PathLike = str | os.PathLike[str]

SAFE_PEAK = 10 ** (-0.1 / 20)  # -0.1 dBFS: where a peak over full scale is put

PCM_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16")}
LOSSY_FORMATS = {".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"), ".mp3": ("MP3", "MPEG_LAYER_III")}
SNDFILE_FORMATS = PCM_FORMATS | LOSSY_FORMATS
FFMPEG_FORMATS = {".m4a": "ipod", ".aac": "adts"}  # the extension -> FFmpeg's name of the container
ENCODER_RATES_HZ = {  # what the encoders accept; anything else is resampled to the next higher rate
    "OPUS": (8_000, 12_000, 16_000, 24_000, 48_000),
    "MPEG_LAYER_III": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
}


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


def check_output_path(path: PathLike, overwrite: bool = False) -> Path:
    """Says now, before anything slow starts, what :func:`write_audio` would refuse; gives the path back.

    Raises:
        OutputError: unknown extension, FFmpeg needed and not found, no such folder or not writable, the
            file exists and ``overwrite`` is false, or the name belongs to a folder or a device.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in SNDFILE_FORMATS and kind not in FFMPEG_FORMATS:
        known = ", ".join([*SNDFILE_FORMATS, *FFMPEG_FORMATS])
        raise OutputError(f"{str(target)!r} does not end in a known audio format.", f"Use one of {known}.")
    if kind in FFMPEG_FORMATS and shutil.which("ffmpeg") is None:
        hint = f"Install FFmpeg, or write {', '.join(SNDFILE_FORMATS)}, which need nothing."
        raise OutputError(f"Writing {kind} needs the FFmpeg program, which is not on the PATH.", hint)
    return check_place(target, overwrite=overwrite)


def free_name(path: PathLike) -> Path:
    """The path itself if nothing has that name, else the first free of name_2, name_3, ... beside it."""
    first = Path(path)
    free, number = first, 1
    while os.path.lexists(free):
        number += 1
        free = first.with_name(f"{first.stem}_{number}{first.suffix}")
    return free


@complexity(size="audio_s", time="O(n)", space="O(n)", stage="write")
def write_audio(audio: Audio, path: PathLike, *, overwrite: bool = False) -> Path:
    """Writes one channel in the format that the extension names; whole, or not at all.

    ``.wav`` and ``.flac`` are PCM_16 without metadata, ``.ogg`` is Vorbis; ``.opus`` and ``.mp3`` are
    resampled to the next rate that their encoders take (then 48 kHz at most); ``.m4a`` and ``.aac`` go
    through pydub and the FFmpeg program. A peak over 1.0 is never clipped: the whole is scaled so that the
    peak is -0.1 dBFS. The file is made under a hidden name in the same folder, flushed to the disk, and
    then given its name: without ``overwrite`` by a link, which fails if another program took the name in
    the meantime. A symbolic link is followed. The mode follows the umask.

    Raises:
        OutputError: as :func:`check_output_path`; or nothing to write, a full disk, an encoder's refusal.
    """
    target = check_output_path(path, overwrite)
    kind, samples = target.suffix.lower(), _within_full_scale(audio.samples)
    try:
        with published(target, overwrite=overwrite) as part:
            if kind in FFMPEG_FORMATS:
                _encode_with_ffmpeg(samples, audio.sample_rate, part, kind)
            else:
                _encode(samples, audio.sample_rate, part, *SNDFILE_FORMATS[kind])
    except (soundfile.SoundFileError, AssertionError) as error:  # soundfile asserts a whole write
        raise OutputError(f"{str(target)!r} cannot be written: {error}.", "Check the disk.") from error
    return target


def wav_bytes(audio: Audio) -> bytes:
    """The same WAV file (PCM_16, mono, no metadata) as bytes."""
    samples, stream = _within_full_scale(audio.samples), io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, audio.sample_rate, len(samples), "NONE", ""))
        file.writeframes(_to_pcm16(samples).astype("<i2").tobytes())
    return stream.getvalue()


def _within_full_scale(samples: Samples) -> Samples:
    """Scales down what would clip; refuses what is no sound at all."""
    peak = float(np.abs(samples).max(initial=0.0))
    if not len(samples) or not np.isfinite(peak):
        raise OutputError("There is no sound to write (no samples, or NaN among them).", "Try another input.")
    return samples * np.float32(SAFE_PEAK / peak) if peak > 1.0 else samples


def _to_pcm16(samples: Samples) -> NDArray[np.int16]:
    """Rounds to 16 bits on the scale on which readers undo it (32,768); symmetric, and +1.0 cannot wrap."""
    return np.asarray(np.clip(np.rint(samples * np.float32(32768)), -32767, 32767), dtype=np.int16)


def _encode(samples: Samples, sample_rate: int, part: Path, container: str, subtype: str) -> None:
    """Encodes with libsndfile, which gets a path: through a Python stream it would swallow Ctrl-C."""
    rates = ENCODER_RATES_HZ.get(subtype, (sample_rate,))
    if sample_rate not in rates:
        rate = next((rate for rate in rates if rate > sample_rate), rates[-1])
        samples = _within_full_scale(resample(Audio(samples, sample_rate), rate).samples)
        sample_rate = rate
    ready = _to_pcm16(samples) if subtype == "PCM_16" else samples
    place = os.fspath(part) if os.name == "nt" else os.fsencode(part)
    with soundfile.SoundFile(place, "w", sample_rate, 1, subtype, format=container) as file:
        for start in range(0, len(ready), 2**16):  # the Vorbis encoder's buffer is on the stack
            file.write(ready[start : start + 2**16])


def _encode_with_ffmpeg(samples: Samples, sample_rate: int, part: Path, kind: str) -> None:
    """Encodes AAC with the FFmpeg program through pydub, without a date or a version in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns at import of programs that are not needed here
        from pydub import AudioSegment
        from pydub.exceptions import CouldntEncodeError
    segment = AudioSegment(_to_pcm16(samples).tobytes(), sample_width=2, frame_rate=sample_rate, channels=1)
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-b:a", "128k"]
    AudioSegment.converter = shutil.which("ffmpeg")  # as checked just now, not at pydub's import
    try:
        segment.export(os.fspath(part), format=FFMPEG_FORMATS[kind], codec="aac", parameters=exact)
    except CouldntEncodeError as error:
        raise OutputError(f"FFmpeg could not write {kind}.", "Write .wav, or repair FFmpeg.") from error
