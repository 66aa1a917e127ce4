"""SubRip and WebVTT subtitles -> cues: what is said when.

Tags, positions, notes and styles are left out, and so are cues without a word. A time that cannot be read is an error
that names its line: a cue that is skipped in silence, or whose time is read aloud, would be found out too late.
Cues come back in the order of their start; those that overlap are left so.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from voicekit.chapters import Chapter, Cue, Manuscript, is_speakable
from voicekit.errors import TextError

_ARROW = "-->"
_TIME = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})")
_LIKE_A_TIME = re.compile(r"\s*\d{1,3}:\d\d:\d\d[,.]\d")  # begins a line that was meant to be a time
_TIMES = re.compile(r"\s*(?:\d{1,3}:)?\d{1,2}:\d{1,2}[,.]\d{1,3}\s*-->")  # begins a line of times, and no words
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z]{2,8});")
_NUMBER = re.compile(r"[ \t]*\d{1,9}[ \t]*")
_NO_CUES = ("NOTE", "STYLE", "REGION")  # how a WebVTT block begins that says nothing


def read_subtitles(text: str, source: str) -> Manuscript:
    """The cues of an .srt or a .vtt file, as one chapter; which of the two it is, its first line says.

    Raises:
        TextError: a time that cannot be read, an end before its start (both name the line), or no cue at all.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = _web_vtt(lines, source) if lines[0].startswith("WEBVTT") else _subrip(lines, source)
    cues = tuple(sorted((cue for cue in found if is_speakable(cue.text)), key=lambda cue: (cue.start_s, cue.end_s)))
    if not cues:
        raise TextError(f"The subtitles {source!r} hold nothing to speak.", "Check that it is an .srt or .vtt file.")
    return Manuscript((Chapter(None, "\n".join(cue.text for cue in cues), cues),))


def _subrip(lines: Sequence[str], source: str) -> Iterator[Cue]:
    """A cue reaches to the next line of times, blank lines included: files from the wild have them inside a cue."""
    times = [i for i, line in enumerate(lines) if _is_time_line(line, i, source)]
    for time, following in itertools.pairwise([*times, len(lines)]):
        end = following
        if following < len(lines) and _is_counter(lines, following - 1, above=time):
            end -= 1
        yield _cue(lines[time], lines[time + 1 : end], time + 1, source)


def _is_counter(lines: Sequence[str], i: int, above: int) -> bool:
    """Whether a line is the next cue's number, and not somebody who says a number: a blank line tells, or its value."""
    if i <= above or not _NUMBER.fullmatch(lines[i]):
        return False
    own = lines[above - 1] if above else ""
    follows = bool(_NUMBER.fullmatch(own)) and int(lines[i]) == int(own) + 1
    return follows or i == above + 1 or not lines[i - 1].strip()


def _web_vtt(lines: Sequence[str], source: str) -> Iterator[Cue]:
    """A cue ends at a blank line or at the next times; a line above its times is its name.

    The header ends there, too (https://www.w3.org/TR/webvtt1/#file-parsing).
    """
    i = 1
    while i < len(lines) and lines[i].strip() and not _is_time_line(lines[i], i, source):
        i += 1
    while i < len(lines):
        if not lines[i].strip() or lines[i].startswith(_NO_CUES):
            i = _next(lines, i, lambda line: not line.strip()) + 1
            continue
        head = next((n for n in range(i, min(i + 2, len(lines))) if _is_time_line(lines[n], n, source)), None)
        end = _next(lines, i if head is None else head + 1, lambda line: not line.strip() or bool(_TIMES.match(line)))
        if head is not None:
            yield _cue(lines[head], lines[head + 1 : end], head + 1, source)
        i = end


def _next(lines: Sequence[str], start: int, wanted: Callable[[str], bool]) -> int:
    """The place of the next line that is wanted, `start` included; behind the last one where there is none."""
    return next((n for n in range(start, len(lines)) if wanted(lines[n])), len(lines))


def _is_time_line(line: str, i: int, source: str) -> bool:
    if _ARROW in line:
        return True
    if _LIKE_A_TIME.match(line):
        raise _bad_time(i + 1, source)
    return False


def _cue(times: str, words: Iterable[str], line: int, source: str) -> Cue:
    start, _, rest = times.partition(_ARROW)
    end = (rest.split() or [""])[0]  # positions may follow
    start_s, end_s = _seconds(start.strip(), line, source), _seconds(end, line, source)
    if end_s < start_s:
        raise TextError(f"The cue in line {line} of {source!r} ends before it starts.", "Correct its times.")
    return Cue(start_s, end_s, _spoken(words))


def _seconds(time: str, line: int, source: str) -> float:
    found = _TIME.fullmatch(time)
    if not found or int(found[2]) > 59 or int(found[3]) > 59:
        raise _bad_time(line, source)
    whole = int(found[1] or 0) * 3600 + int(found[2]) * 60 + int(found[3])
    return (whole * 1000 + int(found[4].ljust(3, "0"))) / 1000


def _bad_time(line: int, source: str) -> TextError:
    return TextError(f"The time in line {line} of {source!r} cannot be read.",
                     "Write it as 00:01:02,500 --> 00:01:04,000.")


def _spoken(lines: Iterable[str]) -> str:
    text = " ".join(lines).replace(r"\N", " ").replace(r"\h", " ")
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), _TAG.sub("", text))
    return " ".join(text.split())
