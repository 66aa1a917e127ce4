"""Requests on their way to sound, stage by stage: what fails is told of and left out, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from voicekit.cloning import Listener, Request
from voicekit.cutting import Cut
from voicekit.errors import VoiceError
from voicekit.tts_model import Voice
from voicekit.voices import Source

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Task:
    """One request, and what the stages have made of it so far.

    source: where its voice comes from; voice: what the model knows of it; cut: its text in segments; seed: its own, or
    the run's. delivered: its output is there, from the run that this one goes on with. appearing: that run was stopped
    when the files of its output got their names, so that some may be there.
    """

    request: Request
    number: int
    source: Source = field(init=False)
    voice: Voice = field(init=False)
    cut: Cut = field(init=False)
    seed: int = field(init=False)
    delivered: bool = False
    appearing: bool = False


class Tasks:
    """The tasks of a run; `left` are those of which nothing has failed; `failed` counts the others."""

    def __init__(self, requests: Sequence[Request], listener: Listener, *, alone: bool) -> None:
        """`alone`: somebody waits for one request: its failure is his, an exception."""
        self.left = [Task(request, number) for number, request in enumerate(requests)]
        self.failed = 0
        self._listener, self.alone = listener, alone

    def each(self, stage: Callable[[Task], object]) -> None:
        """Take every task through a stage; what that returns is not looked at.

        Raises:
            VoiceError: of a request that is alone.
        """
        for task in list(self.left):
            try:
                stage(task)
            except VoiceError as error:
                self.fail(task, error)

    def fail(self, task: Task, error: VoiceError) -> None:
        """A task cannot be done: an exception if it is alone."""
        if self.alone:
            raise error
        self.left.remove(task)
        self.failed += 1
        logger.error("Request %d failed: %s", task.number + 1, type(error).__name__, exc_info=error,
                     extra={"for_file": True})  # fmt: skip
        self._listener.failed(task.request, error)
