"""A plan spoken: group by group, each segment in as many takes as it needs, what was spoken before taken as it is.

Takes that show one of XTTS's known faults are spoken again with the next seed, all of a group's together; the best one
is kept. Nothing is refused: where no take passes, the best of them is what there is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from logger_config import span
from voicekit import __version__
from voicekit.conditioning_cache import identity
from voicekit.journal import Journal, Spoken
from voicekit.levelling import level
from voicekit.speech_plan import Group, Line, Reading
from voicekit.take_ends import trim_ends
from voicekit.takes import Fault, Take, babble_start, best, faults
from voicekit.tasks import Task
from voicekit.tempo import change_tempo
from voicekit.tts_model import TTSModel, Voice
from voicekit.utterances import Utterance, in_order
from voicekit.voices import digest

logger = logging.getLogger(__name__)

Judged = tuple[Take, tuple[Fault, ...]]


@dataclass(frozen=True)
class Speaker:
    """A voice, and what the sound of its groups depends on besides their utterances (see `Group.digest`)."""

    voice: Voice
    circumstances: Mapping[str, object]


def casting(tasks: Sequence[Task], tts: TTSModel) -> tuple[list[Reading], list[Speaker]]:
    """Tasks that are cut and have their voices, as readings; and the voices, each once, by number."""
    speakers: list[Speaker] = []
    readings = []
    for task in tasks:
        own = [number for number, speaker in enumerate(speakers) if speaker.voice is task.voice]
        if not own:
            own = [len(speakers)]
            speakers.append(Speaker(task.voice, _circumstances(task.voice, tts)))
        wanted = tts.speech_settings(seed=task.seed, **task.request.settings.sampling())
        logger.info("Configuration: %s, %s", wanted, tts.voice_settings())
        utterances = tuple(
            Utterance(segment.text, segment.language or task.request.language, task.seed, number,
                      speed=min(2.0, max(0.5, wanted.speed * segment.speed)))
            for number, segment in enumerate(task.cut.segments)
        )  # fmt: skip
        readings.append(Reading(own[0], wanted.sampling, utterances, task.request.settings.tempo))
    return readings, speakers


def _circumstances(voice: Voice, tts: TTSModel) -> dict[str, object]:
    """All that decides what a voice's utterances sound like here, besides them."""
    import torch

    return {
        "voice": digest(voice), "model": identity(tts.checkpoint), "precision": tts.precision,
        "device": tts.device.name, "arithmetic": tts.arithmetic, "threads": torch.get_num_threads(),
        "versions": [__version__, torch.__version__],
    }  # fmt: skip


def narrate(
    tts: TTSModel, groups: Sequence[Group], speakers: Sequence[Speaker], journal: Journal, redone: Mapping[str, int]
) -> Iterator[tuple[Line, Spoken]]:
    """Speak a plan, in its order, each segment as soon as it and those before it in its group are done.

    Args:
        speakers: by the number of a group's voice.
        journal: holds what was spoken before, and gets what is spoken.
        redone: how often a line ("reading:index") was asked for again: its takes begin that many rounds later.
    """
    judges = threading.Thread(target=_import_judges, name="import judges", daemon=True)
    judges.start()
    for group in groups:
        speaker = speakers[group.voice]
        wanted = _asked_again(group, redone)
        digest = wanted.digest(speaker.circumstances)
        kept = journal.find(digest)
        if kept is None and wanted != group:
            kept = _replaced(tts, group, wanted, speaker, journal, redone)
        if kept is not None:
            logger.info("Group of %d segments: spoken before, taken from the journal", len(group.lines))
            yield from zip(group.lines, kept, strict=True)
            continue
        spoken: list[Spoken] = []
        for line, each in zip(group.lines, in_order(_speak(tts, wanted, speaker.voice)), strict=True):
            spoken.append(each)
            yield line, each
        journal.keep(digest, spoken)


def _import_judges() -> None:
    """What judges, levels and compares a take needs packages that take half a second to import: while one is spoken."""
    import pyloudnorm
    import scipy.signal
    import soxr

    logger.debug("Imported: %s", ", ".join(package.__name__ for package in (pyloudnorm, scipy.signal, soxr)))


def _asked_again(group: Group, redone: Mapping[str, int]) -> Group:
    """The group with later takes for the lines that were asked for again."""
    lines = tuple(
        replace(line, utterance=replace(line.utterance, attempt=group.tries * redone.get(_name(line), 0)))
        for line in group.lines
    )
    return replace(group, lines=lines)


def _name(line: Line) -> str:
    return f"{line.reading}:{line.index}"


def _replaced(
    tts: TTSModel, group: Group, wanted: Group, speaker: Speaker, journal: Journal, redone: Mapping[str, int]
) -> Iterator[Spoken] | None:
    """The group as it was before the last wish, with the one line that this changed spoken anew; None without it.

    A wish may have been interrupted, so that the take before the last one was never spoken: then the one before that.
    """
    wishes = ((place, _name(line), count) for place, line in enumerate(group.lines)
              for count in range(redone.get(_name(line), 0)))  # fmt: skip
    for place, name, count in sorted(wishes, key=lambda wish: -wish[2]):
        before = _asked_again(group, {**redone, name: count})
        kept = journal.find(before.digest(speaker.circumstances))
        if not kept:
            continue
        spoken = list(kept)
        ((_, spoken[place]),) = _speak(tts, replace(wanted, lines=(wanted.lines[place],)), speaker.voice)
        journal.keep(wanted.digest(speaker.circumstances), spoken)
        return iter(spoken)
    return None


def _speak(tts: TTSModel, group: Group, voice: Voice) -> Iterator[tuple[int, Spoken]]:
    """The lines of a group by their place in it, in the order in which they are done."""
    left = list(range(len(group.lines)))
    takes: dict[int, list[Judged]] = {place: [] for place in left}
    for last in (attempt + 1 == group.tries for attempt in range(group.tries)):
        utterances = [replace(each, attempt=each.attempt + len(takes[place]))
                      for place in left for each in [group.lines[place].utterance]]  # fmt: skip
        failed: list[int] = []
        for place, take in ((left[at], take) for at, take in tts.utter(utterances, voice, group.sampling, group.rows)):
            takes[place].append((take, _judge(group.lines[place], take)))
            if takes[place][-1][1] and not last:
                failed.append(place)
            else:
                yield place, _finish(group, group.lines[place].utterance, takes.pop(place))
        left = sorted(failed)
        if not left:
            return


def _judge(line: Line, take: Take) -> tuple[Fault, ...]:
    spoken = line.utterance
    with span("Take judged", stage="vocode", level=logging.DEBUG):
        found = faults(take, spoken.text, spoken.language, spoken.speed)
    for fault in found:
        logger.info("Segment %d, take %d: %s (%s)", line.index + 1, spoken.attempt + 1, fault.code, fault.reason)
    return found


def _finish(group: Group, utterance: Utterance, takes: Sequence[Judged]) -> Spoken:
    """The best take, its ends trimmed, at its tempo and at the level of all segments."""
    chosen = best(takes)
    take, found = takes[chosen]
    with span("Take finished", stage="vocode", level=logging.DEBUG):
        babble_from_s = babble_start(take, utterance.text, utterance.language, utterance.speed)
        trimmed = trim_ends(take, greedy=group.sampling.greedy, babble_from_s=babble_from_s)
        audio, gain_db = level(change_tempo(trimmed.audio, group.tempo))
    return Spoken(
        audio, len(take.codes), take.stopped, len(takes), tuple(fault.code for fault in found),
        tuple(", ".join(fault.reason for fault in other) for at, (_, other) in enumerate(takes) if at != chosen),
        gain_db, trimmed.start_s + trimmed.end_s,
    )  # fmt: skip
