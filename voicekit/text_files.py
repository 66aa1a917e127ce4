"""A user's file as bytes, read whole, where it can be read and is not too large."""

from __future__ import annotations

import os

from voicekit.errors import TextError


def unreadable(what: str, path: str | os.PathLike[str], error: Exception) -> TextError:
    """The error to raise where a file cannot be opened or read; `what`: what it is to the user, as "job file"."""
    reason = getattr(error, "strerror", None) or error
    return TextError(f"The {what} {os.fspath(path)!r} cannot be read: {reason}.", "Check its name.")


def read_whole(path: str | os.PathLike[str], most_bytes: int, what: str, hint: str) -> bytes:
    """The bytes of a file.

    Args:
        most_bytes: it may have so many, whole MB. what: see `unreadable`. hint: what to do with a larger one.

    Raises:
        TextError: it cannot be read, or is larger.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise unreadable(what, path, error) from error
    if len(data) > most_bytes:
        raise TextError(f"The {what} {os.fspath(path)!r} is over {most_bytes >> 20} MB.", hint)
    return data
