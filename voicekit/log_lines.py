"""How a log event becomes lines: one line for the event, indented ones for its traceback, none for anybody's text.

No event can forge a line of another, none names the user's home, and none holds what is spoken in this run
(``private_text``): in the words of other people's code not one word of it, in ours no phrase. Source lines in a
traceback are ours to show: they hold constants. Standard library only; where the lines go is ``log_files``' business.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from voicekit import private_text

LINE_FORMAT = "%(asctime)s - %(levelname)s - %(name)s - %(message)s"
INDENT = "    "
_WINDOWS = sys.platform == "win32"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

# Everything that could start a line, move a cursor or turn the reading direction: C0, DEL, C1; then the
# line and paragraph separators among the bidirectional controls.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_CONTROLS += [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROLS}
_ESCAPES.update({0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"})


def escape(text: str) -> str:
    """The text with every control character as a visible escape: one line, that cannot forge another."""
    return text if text.isprintable() else text.translate(_ESCAPES)  # all these characters are unprintable


def shorten_home(text: str) -> str:
    """The text with the user's home folder as ``~``: a log that is passed on should not name its user."""
    pattern = _home_pattern(os.path.expanduser("~"))
    return pattern.sub("~", text) if pattern else text


@functools.lru_cache(maxsize=8)
def _home_pattern(home: str) -> re.Pattern[str] | None:
    spellings = {home.rstrip("/\\"), os.path.realpath(home).rstrip("/\\")}
    spellings |= {path.replace("\\", "\\\\") for path in spellings}  # as repr() writes it
    spellings = {path for path in spellings if len(path) > 1}  # a container's home may be "/"
    if not spellings or home == "~":
        return None
    either = "|".join(re.escape(path) for path in sorted(spellings, key=len, reverse=True))
    # A folder's whole name: not the start of /home/ann-marie, not the end of /mnt/home/ann.
    return re.compile(rf"(?<![\w.-])(?:{either})(?![\w-]|\.\w)", re.IGNORECASE if _WINDOWS else 0)


def module_name(name: str) -> str:
    """A logger's name as ``[A-Za-z0-9_.]+``; ``__main__`` is the name of the script that runs."""
    if name == "__main__":
        script = Path(getattr(sys.modules["__main__"], "__file__", None) or "interactive")
        name = script.parent.name if script.stem == "__main__" else script.stem  # python -m package
    return _plain_name(name)


@functools.lru_cache(maxsize=256)
def _plain_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", name) or "root"


def describe_error(error: BaseException) -> str:
    """``ValueError: what it says`` on one line, without what is private."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - somebody else's exception may be broken itself
        message = "(it cannot say what)"
    message = escape(_scrub_of(error)(shorten_home(message)))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


class EventFormatter(logging.Formatter):
    """``LINE_FORMAT`` on one line; the further lines of an event (its traceback) indented by four spaces."""

    def __init__(self) -> None:
        super().__init__(LINE_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """Leaves the record as it is, unlike the base class: other handlers share it."""
        fields = {
            "asctime": self.formatTime(record),
            "levelname": escape(record.levelname),
            "name": module_name(record.name),
            "message": self.message(record),
        }
        return "\n".join([LINE_FORMAT % fields, *self.further_lines(record)])

    def message(self, record: logging.LogRecord) -> str:
        """The message on one line, never empty, without what is private."""
        scrub = private_text.scrub_sentences if private_text.is_ours(record.name) else private_text.scrub_words
        return _one_line(scrub(_message(record)))

    def further_lines(self, record: logging.LogRecord) -> Iterator[str]:
        """Traceback and stack, escaped and indented line by line."""
        blocks = []
        if record.exc_info and record.exc_info[1] is not None:
            blocks.append(self.formatException(record.exc_info))
        elif record.exc_text:  # the exception itself stayed in another process
            blocks.append(private_text.scrub_words(record.exc_text))
        if record.stack_info:
            blocks.append(private_text.scrub_sentences(record.stack_info))
        for block in blocks:
            for line in shorten_home(block).split("\n"):
                yield INDENT + escape(line)

    def formatException(self, ei: _ExcInfo) -> str:
        """The traceback as Python writes it; of each exception, its own lines by whoever wrote them."""
        if ei[1] is None:
            return ""
        told = traceback.TracebackException(*ei, compact=True)
        for part, error in _chain(told, ei[1]):
            _scrub_in_place(part, error)
        return "".join(told.format()).rstrip("\n")


class SentenceFormatter(logging.Formatter):
    """For people at their own terminal: the message alone, whole; no time, no level, no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return _one_line(_message(record))


def _message(record: logging.LogRecord) -> str:
    """The message; one whose arguments do not fit, or cannot be shown, without them."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - an argument runs its own code here
        text = f"{record.msg} (its arguments do not fit)"
    return shorten_home(text)


def _one_line(text: str) -> str:
    return escape(text.strip()) or "(no message)"


# --- exceptions --------------------------------------------------------------------------------------------


def _chain(
    told: traceback.TracebackException, error: BaseException
) -> Iterator[tuple[traceback.TracebackException, BaseException]]:
    """Every exception that a traceback will show: causes, contexts, members of groups."""
    waiting = [(told, error)]
    while waiting:
        told, error = waiting.pop()
        yield told, error
        # What the traceback leaves out (a circle, a context that was suppressed) is None on its side.
        if told.__cause__ and error.__cause__:
            waiting.append((told.__cause__, error.__cause__))
        if told.__context__ and error.__context__:
            waiting.append((told.__context__, error.__context__))
        if told.exceptions and isinstance(error, BaseExceptionGroup):
            waiting.extend(zip(told.exceptions, error.exceptions, strict=True))


def _scrub_in_place(told: traceback.TracebackException, error: BaseException) -> None:
    """Put what is said of one exception in place of the methods that say it; ``format`` calls them."""
    own, frames = _own_lines(told, error), private_text.scrub_sentences("".join(told.stack.format()))
    for owner, method, lines in ((told, "format_exception_only", own), (told.stack, "format", frames)):
        setattr(owner, method, lambda lines=lines, **_: lines.splitlines(keepends=True))


def _own_lines(told: traceback.TracebackException, error: BaseException) -> str:
    """``ValueError: what it says`` and its notes. The name of a class is no message."""
    lines, kind = "".join(told.format_exception_only()), type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    name = module + kind.__qualname__
    start = len(name) if lines.startswith((f"{name}:", f"{name}\n")) else 0
    return lines[:start] + _scrub_of(error)(shorten_home(lines[start:]))


def _scrub_of(error: BaseException) -> Callable[[str], str]:
    """The errors of this project quote no text; what others say in theirs is unknown."""
    is_ours = type(error).__module__.startswith("voicekit.")
    return private_text.scrub_sentences if is_ours else private_text.scrub_words
