"""The records of a clone: what is wanted, who is told, what came out. No work is done here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from voicekit.checkpoint import RELEASED
from voicekit.joining import Placed
from voicekit.tts_model import BATCH_SIZE, Speech

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CloneSettings:
    """How a clone is made; None means the checkpoint's own value (its config.json).

    model: xtts_v2, rehearsal, rehearsal-tiny, or a folder.
    device: auto, cpu, cuda, cuda:N, mps.
    precision: auto, float32, bfloat16, float16.
    seed: 0 to 2**63 - 1; None draws one, which the result tells.
    temperature, top_k, top_p, repetition_penalty, speed: see `tts_model.SpeechSettings`.
    offline: never touch the network.
    accept_license: the user accepts the release's licence.
    overwrite: replace an existing output.
    threads: CPU threads; None leaves torch's choice.
    batch_size: the most segments that are decoded together.
    """

    model: str = RELEASED
    device: str = "auto"
    precision: str = "auto"
    seed: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    speed: float | None = None
    offline: bool = False
    accept_license: bool = False
    overwrite: bool = False
    threads: int | None = None
    batch_size: int = BATCH_SIZE


@dataclass(frozen=True)
class SpokenSegment:
    """One segment of the result: where it lies (seconds), how many codes it took, in how many tries."""

    index: int
    start_s: float
    end_s: float
    codes: int
    tries: int = 1


@dataclass(frozen=True)
class Cloned:
    """What a clone came to.

    output: path of the audio file, or "-" for stdout.
    duration_s: of the whole file, gaps included; sample_rate in Hz.
    """

    output: str
    duration_s: float
    sample_rate: int
    language: str
    device: str
    precision: str
    seed: int
    model: str
    segments: tuple[SpokenSegment, ...]


def spoken_segments(speech: Sequence[Speech], placed: Sequence[Placed]) -> tuple[SpokenSegment, ...]:
    """What was spoken, where it was laid; seconds to the millisecond."""
    return tuple(
        SpokenSegment(part.index, round(place.start_s, 3), round(place.end_s, 3), part.codes)
        for part, place in zip(speech, placed, strict=True)
    )


class Listener:
    """Is told what a clone does while it runs. This one only logs warnings and says no to questions."""

    def note(self, line: str) -> None:
        """Something that people want to know."""

    def warn(self, line: str) -> None:
        """Something that people should act on."""
        logger.warning("%s", line)

    def confirm(self, question: str) -> bool:
        """A question that needs a yes."""
        return False

    def spoken(self, speech: Speech, total: int) -> None:
        """One of `total` segments is done; they come in order."""

    def done(self, cloned: Cloned) -> None:
        """The clone is finished and written."""
