"""The records of a clone: what is wanted, who is told, what came out. No work is done here."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicekit.chapters import Cue
from voicekit.checkpoint import RELEASED
from voicekit.errors import VoiceError
from voicekit.utterances import BATCH_SIZE

if TYPE_CHECKING:
    from voicekit.cutting import Cut

logger = logging.getLogger(__name__)

RETRIES = 2  # takes of a faulty segment after the first
MOST_SAMPLE_S = 300.0  # of a sample is read: XTTS hears 30 s, and many a recording begins with silence


@dataclass(frozen=True)
class CloneSettings:
    """How a clone is made; None means the checkpoint's own value (its config.json) unless it says otherwise.

    model: xtts_v2, rehearsal, rehearsal-tiny, or a folder.
    device: auto, cpu, cuda, cuda:N, mps.
    precision: auto, float32, bfloat16, float16.
    seed: 0 to 2**63 - 1; None draws one, which the result tells.
    temperature, top_k, top_p, repetition_penalty, speed: see `utterances.SpeechSettings`.
    tempo: 0.5 to 2, by which the finished sound is made faster, its pitch kept.
    offline: never touch the network.
    accept_license: the user accepts the release's licence.
    overwrite: replace an existing output.
    threads: CPU threads; None leaves torch's choice.
    batch_size: the most segments that are decoded together.
    retries: takes of a faulty segment after the first; None: `RETRIES`, and none of a model that speaks noise.
    gap_s: silence between sentences, seconds; None: `text.Gaps`.
    lexicon: path of a pronunciation file.
    sample_rate: of the output, Hz; None: 24,000.
    wav_format: pcm16, pcm24 or float.
    subtitles: srt or vtt: written beside the output; None: none are.
    metadata: whether the file says how it was made.
    verify: whether a recogniser listens to what was spoken.
    redo: the number of a segment, from 1, that is spoken anew; the others stay as they are.
    save_voice: the name under which the voice is kept; consent: what the speaker agreed to.
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
    tempo: float = 1.0
    offline: bool = False
    accept_license: bool = False
    overwrite: bool = False
    threads: int | None = None
    batch_size: int = BATCH_SIZE
    retries: int | None = None
    gap_s: float | None = None
    lexicon: str | None = None
    sample_rate: int | None = None
    wav_format: str = "pcm16"
    subtitles: str | None = None
    metadata: bool = True
    verify: bool = False
    redo: int | None = None
    save_voice: str | None = None
    consent: str | None = None

    def sampling(self) -> dict[str, float | None]:
        """What `TTSModel.speech_settings` takes besides a seed."""
        return {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p,
                "repetition_penalty": self.repetition_penalty, "speed": self.speed}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One output that is wanted.

    text: what is spoken; cues: when, where the text says so (then `text` is theirs, joined).
    voice: recordings of one voice, all of which count; or the name of a saved one.
    output: path, or "-" for stdout.
    language: one of XTTS's 17.
    preprocess: make the recordings fit first.
    title, album, track: for the file's metadata; track is (number, of how many).
    line: where it stands in a job file; None without one.
    text_file: where the text was read from, which is never written over.
    digest: of all that it asks for; set when the run begins.
    """

    text: str
    voice: tuple[str, ...]
    output: str
    language: str
    settings: CloneSettings = CloneSettings()
    preprocess: bool = True
    cues: tuple[Cue, ...] = ()
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    track: tuple[int, int] | None = None
    line: int | None = None
    text_file: str | None = None
    digest: str = ""


@dataclass(frozen=True)
class SpokenSegment:
    """One segment of the result.

    start_s, end_s: where it lies. codes: of the take that was kept, in so many tries.
    faults: what that take was found to have; rejected: why the others were not kept.
    reused: taken from the journal, not spoken by this run.
    missing: words that the recogniser did not hear; None where none listened.
    """

    index: int
    start_s: float
    end_s: float
    codes: int
    tries: int = 1
    faults: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    gain_db: float = 0.0
    reused: bool = False
    missing: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Cloned:
    """What a clone came to.

    output: path of the audio file, or "-" for stdout; subtitles: of theirs, or None.
    duration_s: of the whole file, gaps included; sample_rate in Hz.
    similarity: of the result to the samples, cosine of XTTS's own speaker embeddings; None where nothing was heard.
    """

    output: str
    duration_s: float
    sample_rate: int
    language: str
    device: str
    precision: str
    seed: int
    batch_size: int
    model: str
    segments: tuple[SpokenSegment, ...]
    similarity: float | None = None
    subtitles: str | None = None


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

    def earlier(self) -> Collection[str]:
        """The digests of requests of this list that an earlier run is known to have delivered."""
        return ()

    def begun(self, delivered: Sequence[Request], making: Sequence[Request]) -> None:
        """The inputs are checked; the first need not be done, because an earlier run did them; the others follow."""

    def planned(self, cuts: Sequence[Cut]) -> None:
        """This is about to be spoken, of all requests together."""

    def spoken(self, segment: SpokenSegment, characters: int) -> None:
        """One of the segments is done: so many characters of text."""

    def done(self, request: Request, cloned: Cloned) -> None:
        """A request is finished and written."""

    def failed(self, request: Request, error: VoiceError) -> None:
        """One of several requests cannot be done; the others go on."""
