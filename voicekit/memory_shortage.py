"""Out of memory, told as that: packages say it in words of their own, often from deep inside another error."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from voicekit.errors import AudioError, VoiceError

# numpy; torch on the CPU and of mapped files; torch on a GPU; the loader of libraries; onnxruntime; C++
_SAYINGS = ("unable to allocate", "can't allocate memory", "cannot allocate memory", "out of memory",
            "failed to map segment", "failed to allocate memory", "bad_alloc")  # fmt: skip


class NotEnoughMemory(VoiceError):
    """The machine, its GPU, or a limit of the shell's, gives less memory than is needed."""


def shortage(error: BaseException) -> NotEnoughMemory | None:
    """The error as a shortage of memory; None if it is none.

    What is told of a recording stays as it is: there a packet that wants all memory is damage.
    """
    if isinstance(error, (AudioError, NotEnoughMemory)) or not isinstance(error, Exception):
        return None
    for each in _chain(error):
        if _is_shortage(each):
            return _told(each, error)
    return None


def _told(shown: BaseException, error: BaseException) -> NotEnoughMemory:
    if "cuda out of memory" in str(shown).lower():
        told = NotEnoughMemory("The GPU has too little memory left.", "Close what else uses it, or use --device cpu.")
    else:
        told = NotEnoughMemory(
            "There is too little memory.",
            "Close other programs, or lift the limit (ulimit -v): a sentence takes 2 GB, long texts up to 4.",
        )
    told.__cause__ = error
    return told


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _is_shortage(error: BaseException) -> bool:
    """By its type or number; by its words only where these are a package's, and name no file of the user's."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    return not isinstance(error, VoiceError) and any(saying in str(error).lower() for saying in _SAYINGS)
