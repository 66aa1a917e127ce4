"""A command given again goes on where it stopped: what was asked for as a key, and what its first run chose.

Knows requests and the journal; speaks nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from voicekit import __version__, cutting
from voicekit import text as text_stage
from voicekit.cloning import CloneSettings, Request
from voicekit.errors import OutputError
from voicekit.journal import Journal, Pins
from voicekit.tasks import Task, Tasks

# What does not change a sound: a command that differs in these alone is the same one.
_SILENT = ("offline", "accept_license", "overwrite", "redo", "verify", "save_voice", "consent", "subtitles", "metadata")


@dataclass(frozen=True)
class Resumed:
    """The journal of a command, what its runs chose, whether there was one before, and whether somebody listens."""

    journal: Journal
    pins: Pins
    again: bool
    listens: bool


def begin(tasks: Sequence[Task], settings: CloneSettings, *, listens: bool, anew: bool = False) -> Resumed:
    """Find what an earlier run of the same command left, or draw what this one needs.

    Args:
        listens: somebody hears the sound as it comes, which changes the order of the work.
        anew: as if no earlier run had been.

    Raises:
        OutputError: a segment is asked for again, and the journal knows nothing of the others.
    """
    journal = Journal(_key(tasks, settings, listens=listens))
    found = None if anew else journal.pins()
    if settings.redo is not None:
        if found is None:
            raise OutputError(
                "No earlier run of this command is in the journal, which is kept for a week.",
                "Give the very same command without --redo first: it speaks all segments.",
            )
        line = f"0:{settings.redo - 1}"
        redo = {**found.redo, line: found.redo.get(line, 0) + 1}
        return Resumed(journal, replace(found, redo=redo, finished=False), True, listens)
    if found is None or found.finished:
        seed = secrets.randbelow(2**31) if settings.seed is None else settings.seed
        return Resumed(journal, Pins(seed, settings.precision, settings.threads or 0), False, listens)
    return Resumed(journal, found, True, listens)


def over(tasks: Tasks, resumed: Resumed) -> None:
    """Tell the journal that a run which was gone on with had nothing left to do."""
    if resumed.again:
        Record(resumed.journal, resumed.pins, tasks).finish()


class Record:
    """Tells the journal which outputs of a run are there, so that one which is killed can be gone on with."""

    def __init__(self, journal: Journal, pins: Pins, tasks: Tasks) -> None:
        """`pins`: what the run chose. Those of the tasks that are delivered already are told at once."""
        self._journal, self._pins, self._tasks, self._all = journal, pins, tasks, list(tasks.left)
        self._announced = {task for task in tasks.left if task.delivered}
        self._write()

    def about_to_deliver(self, task: Task) -> None:
        """The task's files get their names now. Those that were announced before have theirs, or have failed."""
        self._write(task)
        self._announced.add(task)

    def finish(self) -> None:
        """Nothing follows. A run of which something failed is not over: the same command tries again."""
        self._write(finished=not self._tasks.failed)

    def _write(self, *coming: Task, finished: bool = False) -> None:
        there = self._announced.intersection(self._tasks.left)
        begun = {task for task in self._all if task.appearing}.union(self._announced, coming)
        delivered, appearing = (tuple(task.request.digest for task in self._all if task in some)
                                for some in (there, begun - there))  # fmt: skip
        self._journal.pin(replace(self._pins, delivered=delivered, appearing=appearing, finished=finished))


def digest(task: Task) -> str:
    """SHA-256 of all that a request asks for, its titles too; its text is in it as a hash only."""
    request = task.request
    asked = {**_asked(task), "titles": [request.title, request.artist, request.album, request.track]}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _key(tasks: Sequence[Task], settings: CloneSettings, *, listens: bool) -> str:
    """SHA-256 of what was asked for: texts, voices, settings, places; texts are in it as hashes only."""
    asked = [_asked(task) for task in tasks]
    counted = {"tasks": asked, "run": _sounding(settings), "listens": listens, "version": __version__}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def _asked(task: Task) -> dict[str, object]:
    request = task.request
    return {
        "text": _hashed(request.text),
        "cues": [[cue.start_s, cue.end_s] for cue in request.cues],
        "voice": task.source.digest(),
        "language": request.language,
        "output": os.path.abspath(request.output),
        "settings": _sounding(request.settings),
        "lexicon": [_hashed(each) for each in _readings(request)],
    }


def _readings(request: Request) -> tuple[str, ...]:
    """What the lexicon makes of the text: an entry for a word that is not in it changes nothing."""
    return cutting.lexicon_of(request.settings).readings(text_stage.clean(request.text), request.language)


def _hashed(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def _sounding(settings: CloneSettings) -> dict[str, object]:
    return {name: value for name, value in asdict(settings).items() if name not in _SILENT}
