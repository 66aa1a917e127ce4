"""Spoken segments to the outputs that they belong to, each finished as soon as its last segment is there.

Also what is asked of the finished sound: what a recogniser heard of it, and how alike it is to the voice's samples.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from logger_config import span
from voicekit.cloning import Cloned, Listener, SpokenSegment
from voicekit.errors import VoiceError
from voicekit.held_files import HoldsFiles
from voicekit.journal import Spoken
from voicekit.metadata import Tags
from voicekit.outputs import Hears, Output
from voicekit.speech_plan import Line
from voicekit.tasks import Task, Tasks
from voicekit.tts_model import TTSModel
from voicekit.verification import Recogniser, missing_words

logger = logging.getLogger(__name__)

SHORTEST_HEARD_S = 0.5  # a speaker encoder says nothing of less


class Delivery(HoldsFiles):
    """The outputs of a run while they are made."""

    def __init__(
        self,
        tasks: Tasks,
        tts: TTSModel,
        listener: Listener,
        *,
        hears: Hears | None = None,
        recogniser: Recogniser | None = None,
        about_to_deliver: Callable[[Task], None] = lambda task: None,
    ) -> None:
        """`hears` gets what is written, `recogniser` says what it understands of it; None: neither does.

        `about_to_deliver` is told of a task before its output gets its name, when those before it are done or failed.
        """
        super().__init__()
        self._tasks, self._tts, self._listener, self._recogniser = tasks, tts, listener, recogniser
        self._hears, self._about_to_deliver = hears, about_to_deliver
        self._readings = list(tasks.left)  # a line names its reading by its place here
        self._outputs: dict[int, Output] = {}
        self._done: dict[int, Cloned] = {}

    @property
    def done(self) -> tuple[Cloned, ...]:
        """What is finished, in the order of the requests."""
        return tuple(self._done[reading] for reading in sorted(self._done))

    def add(self, line: Line, spoken: Spoken) -> None:
        """Write one segment; finish its output with the last one.

        Raises:
            VoiceError: the output of a request that is alone cannot be written.
        """
        task = self._readings[line.reading]
        if task.delivered or task not in self._tasks.left:
            return
        try:
            output = self._outputs.get(line.reading) or self._begin(line.reading, task)
            added = output.add(spoken, self._missing(line, spoken))
            self._listener.spoken(added, len(line.utterance.text))
            if output.complete:
                self._done[line.reading] = cloned = self._finish(task, self._outputs.pop(line.reading))
                self._listener.done(task.request, cloned)
        except VoiceError as error:
            if unfinished := self._outputs.pop(line.reading, None):
                unfinished.__exit__(type(error), error, error.__traceback__)  # else our own end would publish it
            self._tasks.fail(task, error)

    def _begin(self, reading: int, task: Task) -> Output:
        tags = tags_of(task, self._tts) if task.request.settings.metadata else None
        output = Output(task.request, task.cut, tags, self._hears, or_same=task.appearing)
        self._outputs[reading] = self._files.enter_context(output)
        return self._outputs[reading]

    def _missing(self, line: Line, spoken: Spoken) -> tuple[str, ...] | None:
        if self._recogniser is None:
            return None
        with span("Verify", stage="write", level=logging.DEBUG) as step:
            heard = self._recogniser.hears(spoken.audio, line.utterance.language)
            missing = missing_words(line.utterance.text, heard, line.utterance.language)
            step.note(missing=len(missing))
        return missing

    def _finish(self, task: Task, output: Output) -> Cloned:
        similarity = None
        if output.beginning.duration_s >= SHORTEST_HEARD_S:
            cosine = self._tts.similarity(output.beginning, task.voice)
            similarity = round(cosine, 3) if math.isfinite(cosine) else None
        self._about_to_deliver(task)
        cloned = output.finish(
            device=self._tts.device.name, precision=self._tts.precision, seed=task.seed,
            model=self._tts.checkpoint.name, similarity=similarity,
        )  # fmt: skip
        self._tell(cloned.segments)
        return cloned

    def _tell(self, segments: tuple[SpokenSegment, ...]) -> None:
        """Warn of the segments of which no take was without a fault, and of words that were not heard."""
        faulty = [f"{each.index + 1} ({', '.join(each.faults)})" for each in segments if each.faults]
        if faulty:
            logger.info("Segments with faults in every take: %d of %d", len(faulty), len(segments))
        if faulty and self._tts.checkpoint.trained:  # noise has every fault
            self._listener.warn(f"{len(faulty)} of {len(segments)} segments may be spoken badly: {_few(faulty)}."
                                " --redo N speaks one of them again.")  # fmt: skip
        silent = [str(each.index + 1) for each in segments if each.missing]
        if silent:
            self._listener.warn(f"Words were not heard in {len(silent)} of {len(segments)} segments: {_few(silent)}."
                                " --json names them; --redo N speaks one again.")  # fmt: skip


def tags_of(task: Task, tts: TTSModel) -> Tags:
    """What the file says of how it was made: nothing that differs between two equal runs."""
    request = task.request
    wanted = tts.speech_settings(**request.settings.sampling())
    settings = (
        f"temperature {wanted.temperature:g}, top-k {wanted.top_k}, top-p {wanted.top_p:g}, repetition penalty"
        f" {wanted.repetition_penalty:g}, speed {wanted.speed:g}, tempo {request.settings.tempo:g},"
        f" precision {tts.precision}, batch size {request.settings.batch_size}"
    )
    return Tags(
        request.title, request.language, tts.checkpoint.name, tts.checkpoint.licence_url or None, settings,
        None if wanted.sampling.greedy else task.seed,
        artist=request.artist, album=request.album, track=request.track,
    )  # fmt: skip


def _few(names: list[str], most: int = 8) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
