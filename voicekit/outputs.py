"""Finished segments into what people get: a file or stdout, subtitles, the speakers; written as it comes.

A file appears whole or not at all; memory is that of one segment, whatever the length of the whole.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from logger_config import span
from voicekit.audio import Audio
from voicekit.audio_state import state
from voicekit.audio_writing import Form, WavStream, check_output_path, writing
from voicekit.cloning import Cloned, Request, SpokenSegment
from voicekit.cutting import Cut
from voicekit.errors import OutputError
from voicekit.held_files import HoldsFiles
from voicekit.joining import Joiner
from voicekit.journal import Spoken
from voicekit.metadata import Tags
from voicekit.playback import Player
from voicekit.publishing import check_place, write_whole
from voicekit.standard_output import STDOUT, abandon_stdout
from voicekit.subtitles import Line as Caption
from voicekit.subtitles import srt, vtt
from voicekit.tts_model import HEARD_S, OUTPUT_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Hears = Callable[["NDArray[np.float32]"], None]  # gets samples, float32 [n], in their order


class Sink(Protocol):
    """What takes samples, float32 [n], in their order, and writes them at a rate of its own."""

    @property
    def sample_rate(self) -> int:
        """Samples a second, Hz."""

    def write(self, samples: NDArray[np.float32], /) -> None:
        """Take what comes next: float32, mono, full scale 1."""


def form_of(request: Request) -> Form:
    """How the request's file is written, beyond its ending."""
    return Form(request.settings.sample_rate, request.settings.wav_format)


def is_stream(request: Request) -> bool:
    """Whether the sound goes to stdout, as it comes."""
    return request.output == STDOUT


def exist(request: Request) -> bool:
    """Whether all files of the request are there."""
    return not is_stream(request) and all(name.exists() for name in _files(request))


def check(request: Request, *, or_same: bool = False) -> None:
    """Say now what writing would refuse: a place that cannot be written, a file that exists, an input as output.

    Args:
        or_same: see `publishing.published`; which bytes they are is seen only at the end.

    Raises:
        OutputError: see `audio_writing.check_output_path`.
    """
    if is_stream(request):
        return
    try:
        check_output_path(request.output, _replaces(request) or or_same, form_of(request))
        if request.settings.subtitles:
            check_place(_beside(request), overwrite=_replaces(request) or or_same)
    except OSError as error:
        reason = f"{request.output[:60]!r} is no usable name: {error.strerror}."
        raise OutputError(reason, "Choose another one.") from error
    own = [name for name in (*request.voice, request.text_file, request.settings.lexicon) if name is not None]
    for target in _files(request):
        if any(target.exists() and os.path.exists(name) and target.samefile(name) for name in own):
            raise OutputError(f"The output {str(target)!r} is an input itself.", "Choose another name.")


def _replaces(request: Request) -> bool:
    """Whether a file of that name may go: asked for, or what is spoken anew is a segment of it."""
    return request.settings.overwrite or request.settings.redo is not None


def _files(request: Request) -> list[Path]:
    return [Path(request.output), *([_beside(request)] if request.settings.subtitles else [])]


def _beside(request: Request) -> Path:
    return Path(request.output).with_suffix(f".{request.settings.subtitles}")


class Output(HoldsFiles):
    """One recording while it is made: `with Output(...) as output`, `add` its segments in order, then `finish`."""

    def __init__(
        self, request: Request, cut: Cut, tags: Tags | None, hears: Hears | None, *, or_same: bool = False
    ) -> None:
        """`hears`: gets what is written, too; None where nobody listens. `or_same`: see `publishing.published`."""
        super().__init__()
        self._or_same = or_same
        self.request, self._segments, self._tags, self._hears = request, cut.segments, tags, hears
        self._joiner = Joiner(OUTPUT_RATE_HZ, cut.segments[0].lead_s)
        self._begins_s = cut.begins_s
        self._sink: Sink | None = None
        self._spoken: list[SpokenSegment] = []
        self._heard: list[NDArray[np.float32]] = []  # its beginning, for the similarity
        self._heard_samples = 0
        self._written = 0
        self._rate_hz = OUTPUT_RATE_HZ

    @property
    def complete(self) -> bool:
        """Whether all segments are here."""
        return len(self._spoken) == len(self._segments)

    @property
    def beginning(self) -> Audio:
        """The first seconds of what was spoken, without the gaps."""
        return Audio(np.concatenate(self._heard), OUTPUT_RATE_HZ)

    def add(self, spoken: Spoken, missing: tuple[str, ...] | None = None) -> SpokenSegment:
        """Write the next segment, behind the last one the silence that the text ends with; says where it lies."""
        segment = self._segments[len(self._spoken)]
        with span("Write", stage="write", level=logging.DEBUG) as step:
            samples, place = self._joiner.lay(spoken.audio, segment.gap_s, self._begins_s[len(self._spoken)])
            self._write(samples)
            step.count(audio_s=len(samples) / OUTPUT_RATE_HZ)
        self._spoken.append(SpokenSegment(
            len(self._spoken), round(place.start_s, 3), round(place.end_s, 3), spoken.codes, spoken.tries,
            spoken.faults, spoken.rejected, round(spoken.gain_db, 1), spoken.reused, missing))  # fmt: skip
        if self._heard_samples < HEARD_S * OUTPUT_RATE_HZ:
            self._heard.append(spoken.audio.samples)
            self._heard_samples += len(spoken.audio.samples)
        if self.complete and segment.tail_s:
            self._write(self._joiner.end(segment.tail_s))
        return self._spoken[-1]

    def _write(self, samples: NDArray[np.float32]) -> None:
        if self._sink is None:
            self._sink = self._open()
            self._rate_hz = self._sink.sample_rate
        self._written += len(samples)
        with self._piped():
            self._sink.write(samples)
        if self._hears:
            self._hears(samples)

    @contextlib.contextmanager
    def _piped(self) -> Iterator[None]:
        """What the system says of a pipe, as what the user can act on."""
        try:
            yield
        except OSError as error:
            if not is_stream(self.request):
                raise
            abandon_stdout()
            reason = f"The audio cannot be written to stdout: {error.strerror}."
            raise OutputError(reason, "Check the command behind the pipe.") from error

    def _open(self) -> Sink:
        request = self.request
        if is_stream(request):
            return self._files.enter_context(WavStream(sys.stdout.buffer, OUTPUT_RATE_HZ, form_of(request)))
        return self._files.enter_context(writing(
            request.output, OUTPUT_RATE_HZ, form_of(request), tags=self._tags, overwrite=_replaces(request),
            or_same=self._or_same))  # fmt: skip

    def finish(self, *, device: str, precision: str, seed: int, model: str, similarity: float | None) -> Cloned:
        """Give the file its name, and write the subtitles.

        Raises:
            OutputError: the disk is full, or somebody took the name in the meantime.
        """
        request, subtitles = self.request, None
        with span("Write", done="Audio written", stage="write") as step:
            with self._piped():
                self._files.close()
            if request.settings.subtitles:
                subtitles = str(_beside(request))
                write_whole(subtitles, self._captions().encode(), overwrite=_replaces(request), or_same=self._or_same)
            duration_s = self._written / OUTPUT_RATE_HZ
            step.note(segments=len(self._spoken), **state(self.beginning))
        return Cloned(
            request.output, duration_s, self._rate_hz, request.language, device,
            precision, seed, request.settings.batch_size, model, tuple(self._spoken), similarity, subtitles,
        )  # fmt: skip

    def _captions(self) -> str:
        captions = [Caption(spoken.start_s, spoken.end_s, segment.source or segment.text)
                    for segment, spoken in zip(self._segments, self._spoken, strict=True)]  # fmt: skip
        return srt(captions) if self.request.settings.subtitles == "srt" else vtt(captions)


@contextlib.contextmanager
def playing(*, wanted: bool) -> Iterator[Hears | None]:
    """What gets samples and plays them on this machine's speakers; None where that is not wanted.

    Raises:
        OutputError: there is no sound device, or the package sounddevice is missing.
    """
    if not wanted:
        yield None
        return
    with Player(OUTPUT_RATE_HZ) as player:
        yield player.play
