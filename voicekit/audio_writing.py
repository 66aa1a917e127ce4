"""Sound -> a file or a stream, written as it is made: hours in flat memory, whole or not at all.

The ending of the name chooses the format; a :class:`Form` chooses the rate and the width of the samples. Nothing is
ever wrapped: the one-shot :func:`write_audio` scales down what would clip, the streams limit it and count.
What tags mean is ``voicekit.metadata``'s business, how formats are encoded ``voicekit.audio_encoders``'s.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import soundfile

from voicekit.audio import Audio, PathLike, Samples, resample
from voicekit.audio_encoders import BLOCK, ENCODER_RATES_HZ, FFMPEG_FORMATS, FLAC_SUBTYPES, OWN_FORMATS, Put, encoder
from voicekit.complexity import complexity
from voicekit.errors import OutputError
from voicekit.metadata import Tags, tag_file
from voicekit.publishing import check_place, published
from voicekit.wav_format import WAV_FORMATS, wav_header, wav_samples

SAFE_PEAK = 10 ** (-0.1 / 20)  # -0.1 dBFS: where a peak over full scale is put
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 192_000


@dataclass(frozen=True)
class Form:
    """How a file is written, beyond its ending.

    sample_rate: Hz, 8,000 to 192,000; None: the source's. An encoder that does not know it takes the next one it does.
    wav_format: ``pcm16``, ``pcm24`` or ``float`` (32 bits) in ``.wav``; the first two in ``.flac``.
    """

    sample_rate: int | None = None
    wav_format: str = "pcm16"


def check_output_path(path: PathLike, overwrite: bool = False, form: Form | None = None) -> Path:
    """Says now, before anything slow starts, what :func:`writing` would refuse; gives the path back.

    Raises:
        OutputError: unknown extension, a form that the format cannot have, FFmpeg needed and not found, no such folder
            or not writable, the file exists and ``overwrite`` is false, or the name belongs to a folder or a device.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in OWN_FORMATS and kind not in FFMPEG_FORMATS:
        known = ", ".join([*OWN_FORMATS, *FFMPEG_FORMATS])
        raise OutputError(f"{str(target)!r} does not end in a known audio format.", f"Use one of {known}.")
    check_form(kind, form or Form())
    if kind in FFMPEG_FORMATS and shutil.which("ffmpeg") is None:
        hint = f"Install FFmpeg, or write {', '.join(OWN_FORMATS)}, which need nothing."
        raise OutputError(f"Writing {kind} needs the FFmpeg program, which is not on the PATH.", hint)
    return check_place(target, overwrite=overwrite)


def check_form(kind: str, form: Form) -> None:
    """Refuses a form that files of this extension cannot have; raises OutputError."""
    fits = {".wav": WAV_FORMATS, ".flac": tuple(FLAC_SUBTYPES)}.get(kind, ("pcm16",))
    if form.wav_format not in fits:
        hint = f"{kind} takes {' or '.join(fits)}." if len(fits) > 1 else "Leave the sample format to .wav and .flac."
        raise OutputError(f"A {kind} file cannot hold {form.wav_format!r} samples.", hint)
    if form.sample_rate is not None and not LOWEST_RATE_HZ <= form.sample_rate <= HIGHEST_RATE_HZ:
        hint = f"Choose {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}, as 24000, 44100 or 48000."
        raise OutputError(f"{form.sample_rate} Hz is no sample rate that can be written.", hint)


def file_rate(kind: str, sample_rate: int, form: Form | None = None) -> int:
    """The rate, Hz, that a file of this extension gets for a source of ``sample_rate``."""
    wanted = (form.sample_rate if form else None) or sample_rate
    known = ENCODER_RATES_HZ.get(kind, (wanted,))
    return next((rate for rate in known if rate >= wanted), known[-1])


def free_name(path: PathLike) -> Path:
    """The path itself if nothing has that name, else the first free of name_2, name_3, ... beside it."""
    return next(name for name in _names(path) if not os.path.lexists(name))


def latest_name(path: PathLike) -> Path:
    """The last of these names that is taken: what a run that asked for a free one has written. The path, if none is."""
    taken = list(itertools.takewhile(os.path.lexists, _names(path)))
    return taken[-1] if taken else Path(path)


def _names(path: PathLike) -> Iterator[Path]:
    first = Path(path)
    yield first
    for number in itertools.count(2):
        yield first.with_name(f"{first.stem}_{number}{first.suffix}")


class AudioFile:
    """Takes one channel of sound in pieces of any length; made by :func:`writing`.

    The pieces are resampled as one stream, so that where they are cut is not heard, and limited to [-1, 1].

    Attributes:
        limited: how many samples were over full scale (resampling can overshoot by some percent).
    """

    def __init__(self, put: Put, source_rate: int, rate: int) -> None:
        self.limited = 0
        self._put, self._source_rate, self._rate = put, source_rate, rate
        self._taken = self._given = 0
        self._resampler = None if rate == source_rate else _resampler(source_rate, rate)

    @property
    def sample_rate(self) -> int:
        """Of what is written, Hz."""
        return self._rate

    @property
    def duration_s(self) -> float:
        """Seconds of sound that were taken so far."""
        return self._taken / self._source_rate

    def write(self, samples: Samples) -> None:
        """Appends float32 [n], full scale 1.0.

        Raises:
            OutputError: NaN or infinity among them, a full disk, an encoder's refusal.
        """
        samples = np.asarray(samples, dtype=np.float32)
        if not np.isfinite(samples).all():
            raise _no_sound()
        for start in range(0, len(samples), BLOCK):
            block = samples[start : start + BLOCK]
            self._taken += len(block)
            self._give(block if self._resampler is None else self._resampler.resample_chunk(block))

    def finish(self) -> None:
        """Gives out what the resampler holds back; :func:`writing` does this itself. Raises as :meth:`write`."""
        if not self._taken:
            raise _no_sound()
        if self._resampler is not None:
            rest = round(self._taken * self._rate / self._source_rate) - self._given
            held = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)[:rest]
            self._give(np.pad(held, (0, rest - len(held))))

    def _give(self, samples: Samples) -> None:
        over = int(np.count_nonzero(np.abs(samples) > 1))
        self.limited += over
        self._given += len(samples)
        if len(samples):
            self._put(np.clip(samples, -1, 1) if over else samples)


def _resampler(source_rate: int, rate: int) -> Any:
    import soxr

    return soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")


class WavStream(AudioFile):
    """A WAV of unknown length for a pipe: both sizes are 0xFFFFFFFF, and each piece is sent at once.

    The header goes out with the first samples. A form with another rate holds some milliseconds back until
    :meth:`finish`, which the end of a ``with`` calls. The stream stays open; its OSError (nobody reads any more)
    comes through.
    """

    def __init__(self, stream: BinaryIO, sample_rate: int, form: Form | None = None) -> None:
        form = form or Form()
        check_form(".wav", form)
        self._stream, self._form, self._begun = stream, form, False
        super().__init__(self._send, sample_rate, form.sample_rate or sample_rate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()

    def _send(self, samples: Samples) -> None:
        head = b"" if self._begun else wav_header(self._rate, self._form.wav_format, None)
        self._begun = True
        self._stream.write(head + wav_samples(samples, self._form.wav_format))
        self._stream.flush()


class _BodyFailed(Exception):
    """Carries an error of the caller's own code past those who would take it for one of the file."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@contextlib.contextmanager
def writing(
    path: PathLike,
    sample_rate: int,
    form: Form | None = None,
    *,
    tags: Tags | None = None,
    overwrite: bool = False,
    or_same: bool = False,
) -> Iterator[AudioFile]:
    """Opens a file for one channel of sound that comes in pieces; it gets its name when all of it is there.

    ``.wav`` and ``.flac`` hold PCM or, ``.wav`` alone, floats; ``.ogg`` is Vorbis. ``.opus``, ``.mp3``, ``.m4a`` and
    ``.aac`` are resampled to the next rate that their encoders take, or to their highest. Memory does not grow with
    the length, but for ``.m4a``, ``.m4b`` and ``.aac``: pydub, which hands them to the FFmpeg program, takes all the
    samples at once at the end, about 170 MB an hour at 24 kHz. The sound, the tags and the form decide every byte. The
    file is made in a hidden folder beside its place (see :func:`voicekit.publishing.published`, for ``or_same`` too);
    nothing is left after an error or an interrupt.

    Raises:
        OutputError: as :func:`check_output_path`; or nothing was written, a full disk, an encoder's refusal, a WAV
            over 4 GiB. What the caller's own code raises comes through unchanged.
    """
    form = form or Form()
    target = check_output_path(path, overwrite or or_same, form)
    kind, failed = target.suffix.lower(), None
    try:
        with published(target, overwrite=overwrite, or_same=or_same) as part:
            rate = file_rate(kind, sample_rate, form)
            with _telling(target), encoder(part, kind, rate, form.wav_format, tags) as put:
                file = AudioFile(_told(put, target), sample_rate, rate)
                try:
                    yield file
                except Exception as error:
                    raise _BodyFailed(error) from None
                file.finish()
            tag_file(part, kind, tags)
    except _BodyFailed as carrier:
        failed = carrier.error
    if failed is not None:
        raise failed


@complexity(size="audio_s", time="O(n)", space="O(n)", stage="write")
def write_audio(
    audio: Audio, path: PathLike, *, overwrite: bool = False, form: Form | None = None, tags: Tags | None = None
) -> Path:
    """Writes one channel that is there already, as :func:`writing` does.

    A peak over 1.0 is never clipped: the whole is scaled so that the peak is -0.1 dBFS.

    Raises:
        OutputError: as :func:`writing`.
    """
    target = check_output_path(path, overwrite, form)
    rate = file_rate(target.suffix.lower(), audio.sample_rate, form)
    ready = _within_full_scale(resample(_as_safe(audio), rate).samples)
    with writing(target, rate, form, tags=tags, overwrite=overwrite) as file:
        file.write(ready)
    return target


def wav_bytes(audio: Audio) -> bytes:
    """The same WAV file (PCM_16, mono, no metadata) as bytes."""
    samples = _within_full_scale(audio.samples)
    return wav_header(audio.sample_rate, "pcm16", len(samples)) + wav_samples(samples, "pcm16")


def _as_safe(audio: Audio) -> Audio:
    return Audio(_within_full_scale(audio.samples), audio.sample_rate)


def _within_full_scale(samples: Samples) -> Samples:
    """Scales down what would clip; refuses what is no sound at all."""
    peak = float(np.abs(samples).max(initial=0.0))
    if not len(samples) or not np.isfinite(peak):
        raise _no_sound()
    return samples * np.float32(SAFE_PEAK / peak) if peak > 1.0 else samples


def _no_sound() -> OutputError:
    return OutputError("There is no sound to write (no samples, or NaN among them).", "Try another input.")


@contextlib.contextmanager
def _telling(target: Path) -> Iterator[None]:
    """The encoders' failures as OutputError."""
    try:
        yield
    except (soundfile.SoundFileError, AssertionError, OSError) as error:  # soundfile asserts a whole write
        raise OutputError(f"{str(target)!r} cannot be written: {error}.", "Check the disk.") from error


def _told(put: Put, target: Path) -> Put:
    def telling(samples: Samples) -> None:
        with _telling(target):
            put(samples)

    return telling
