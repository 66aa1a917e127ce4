"""Requests -> tasks that can be spoken: the others are refused now, and what an earlier run did already is known.

Opens what is to be read, writes nothing: a dry run is refused what the run itself would be.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from voicekit import cutting, machine, outputs, private_text, profiles, resuming, voices
from voicekit import text as text_stage
from voicekit.cloning import CloneSettings, Listener, Request
from voicekit.errors import OutputError
from voicekit.language_check import looks_like
from voicekit.resuming import Resumed
from voicekit.tasks import Task, Tasks

LOW_TEMPERATURE = 0.4  # users of XTTS report pauses of 15 s and broken words below 0.35


def admit(
    requests: Sequence[Request], settings: CloneSettings, listener: Listener, *, alone: bool, listens: bool
) -> tuple[Tasks, Resumed]:
    """Check all that needs neither the model nor the network, and find what earlier runs left of the same command.

    Args:
        settings: of the run; each request has its own of how it is spoken and written.
        alone: a failure is an exception; otherwise it is told to the listener, and the other requests stay.
        listens: somebody hears the sound as it comes; where an output is stdout, somebody does.

    Returns:
        The tasks with their digests and seeds, those that are delivered marked; and what the run goes on with.

    Raises:
        VoiceError: a text, a recording, a voice or an output that cannot be used, of requests that are alone.
    """
    tasks = Tasks(requests, listener, alone=alone)
    tasks.each(functools.partial(_check, listener=listener))
    listens = listens or any(outputs.is_stream(task.request) for task in tasks.left)
    resumed = resuming.begin(tasks.left, settings, listens=listens)
    earlier = {*listener.earlier(), *resumed.pins.delivered}
    for task in tasks.left:
        _recall(task, resumed, earlier, redo=settings.redo is not None)
    if all(task.delivered for task in tasks.left):
        resumed = _begin_anew(tasks, resumed, settings)
    if resumed.again and settings.redo is None and not all(task.delivered for task in tasks.left):
        listener.note("An earlier run of this command has not finished: what it spoke is taken, the rest follows.")
    tasks.each(functools.partial(_check_output, again=resumed.again, listener=listener))
    return tasks, resumed


def _begin_anew(tasks: Tasks, resumed: Resumed, settings: CloneSettings) -> Resumed:
    """Nothing is left to do: one text is made anew, a list if that is asked for; otherwise it stays so."""
    if tasks.alone:  # it died with its last byte written: what it chose and spoke is in the journal
        for task in tasks.left:
            task.delivered = False
    elif settings.overwrite:
        resumed = resuming.begin(tasks.left, settings, listens=resumed.listens, anew=True)
        for task in tasks.left:
            _recall(task, resumed, (), redo=False)
    return resumed


def _check(task: Task, listener: Listener) -> None:
    """Refuse now what cannot be spoken or heard."""
    request = replace(task.request, language=text_stage.normalise_language(task.request.language))
    for private in (request.text, text_stage.clean(request.text)):
        private_text.register(private)
    task.request = request
    task.source = voices.source(request.voice, preprocess=request.preprocess)
    task.source.digest()  # reads the recordings: one that cannot be read is this request's trouble, not the list's
    if request.settings.save_voice is not None and task.source.profile:
        raise OutputError(f"The voice {task.source.profile!r} is saved already.",
                          "--save-voice keeps the voice of a recording: --voice FILE.")  # fmt: skip
    task.cut = cutting.cut(request, text_stage.roughly, cutting.lexicon_of(request.settings), 1)
    if 0 < (request.settings.temperature or 0) < LOW_TEMPERATURE:
        listener.warn(f"A temperature under {LOW_TEMPERATURE:g} is said to break words and to add long pauses:"
                      " 0.65 to 0.75 is the usual range.")  # fmt: skip
    if other := looks_like(request.text, request.language):
        listener.warn(f"The text looks like {other}, not {request.language}: --language says what it is.")


def _recall(task: Task, resumed: Resumed, earlier: Collection[str], *, redo: bool) -> None:
    """Its seed, and whether an earlier run delivered it, or was about to."""
    settings, pins = task.request.settings, resumed.pins
    task.seed = pins.seed if settings.seed is None else settings.seed
    task.request = replace(task.request, digest=resuming.digest(task))
    task.delivered = not redo and task.request.digest in earlier and outputs.exist(task.request)
    task.appearing = not task.delivered and task.request.digest in pins.delivered + pins.appearing


def _check_output(task: Task, again: bool, listener: Listener) -> None:
    settings = task.request.settings
    if settings.save_voice is not None and not again:
        profiles.check_free(settings.save_voice, overwrite=settings.overwrite)
    if task.delivered:
        return
    outputs.check(task.request, or_same=task.appearing)
    if shortage := machine.low_disk(Path(task.request.output).parent):
        listener.warn(shortage)
