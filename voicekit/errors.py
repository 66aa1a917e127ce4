"""What can go wrong, named by who must act.

Every error that a user can cause or mend is a :class:`VoiceError` with a sentence that says what
happened and a hint that says what to do. Everything else is a defect and keeps its own type.
This module knows nothing of the rest of the project.
"""

from __future__ import annotations


class VoiceError(Exception):
    """Something that the user can act on.

    Args:
        message: what happened and why, one sentence, no trailing hint.
        hint: what to do about it, one sentence; may be empty.

    Attributes:
        exit_code: the exit status of a command that ends with this error
            (1: this input or output cannot be done; 3: a model or dependency is missing).
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class AudioError(VoiceError):
    """A recording cannot be read or used: bring another one."""


class TextError(VoiceError):
    """A text cannot be spoken as it is: change the text or the language."""


class ModelError(VoiceError):
    """A model folder is broken or does not fit: repair or replace it."""


class ModelUnavailable(ModelError):
    """A model, a licence or a package is not here yet: fetch, accept or install it (exit 3)."""

    exit_code = 3


class OutputError(VoiceError):
    """A result cannot be written where it was asked for: choose another place."""
