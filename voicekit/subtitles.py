"""Lines of text with their times -> SubRip (.srt) or WebVTT (.vtt). Knows neither sound nor files.

One cue a line: its times are those at which the line was spoken, none are guessed inside of it.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MOST_COLUMNS = 42  # of a row, as broadcasters have it; wide characters take two
_NOT_FIRST = frozenset("、。，．：；！？」』）】〉》〕・ー々…,.:;!?)]}%»”’")  # marks that begin no row


@dataclass(frozen=True)
class Line:
    """What is said from ``start_s`` to ``end_s``, seconds from the start of the recording."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class _Cue:
    start_ms: int
    end_ms: int
    rows: tuple[str, ...]


def srt(lines: Iterable[Line]) -> str:
    """SubRip text, with ``\\n`` ends; lines without any text are left out. O(characters)."""
    return "".join(
        f"{number}\n{_times(cue, ',')}\n{_rows(cue, _srt_row)}\n\n" for number, cue in enumerate(_cues(lines), 1)
    )


def vtt(lines: Iterable[Line]) -> str:
    """WebVTT text, with ``\\n`` ends; lines without any text are left out. O(characters)."""
    return "WEBVTT\n\n" + "".join(f"{_times(cue, '.')}\n{_rows(cue, _vtt_row)}\n\n" for cue in _cues(lines))


def _cues(lines: Iterable[Line]) -> Iterator[_Cue]:
    """Whole milliseconds; none begins before the last one's end, and each lasts at least one."""
    at = 0
    for line in lines:
        rows = tuple(_wrapped(_visible(line.text)))
        if rows:
            start = max(at, round(1000 * line.start_s))
            at = max(start + 1, round(1000 * line.end_s))
            yield _Cue(start, at, rows)


def _times(cue: _Cue, point: str) -> str:
    return f"{_time(cue.start_ms, point)} --> {_time(cue.end_ms, point)}"


def _time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"


def _rows(cue: _Cue, written: Callable[[str], str]) -> str:
    return "\n".join(written(row) for row in cue.rows)


def _srt_row(row: str) -> str:
    """SubRip has no escapes: an arrow would be read as times."""
    return row.replace("-->", "\u2192")


def _vtt_row(row: str) -> str:
    return html.escape(row, quote=False)


def _visible(text: str) -> str:
    """One row of visible characters: a blank row would end the cue. Joiners stay, they shape letters."""
    shown = "".join(" " if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") else each for each in text)
    return " ".join(shown.split())


def _wrapped(text: str) -> Iterator[str]:
    """Rows of at most 42 columns, broken at spaces, or anywhere where a script has none."""
    row = ""
    for word in text.split():
        joined = f"{row} {word}" if row else word
        if _columns(joined) <= MOST_COLUMNS:
            row = joined
            continue
        if row and _columns(word) <= MOST_COLUMNS:
            yield row
            row = word
            continue
        *full, row = _cut(joined)
        yield from full
    if row:
        yield row


def _cut(text: str) -> list[str]:
    """Rows of a text with a word in it that is longer than a row; no row begins with a closing mark or an accent."""
    rows, start, columns = list[str](), 0, 0
    for at, character in enumerate(text):
        columns += _columns(character)
        if columns > MOST_COLUMNS:
            end = _break_before(text, start, at)
            rows.append(text[start:end].rstrip())
            start = end
            columns = _columns(text[start : at + 1])
    return [*rows, text[start:].lstrip()]


def _break_before(text: str, start: int, at: int) -> int:
    """Where to break at the latest at ``at``: some places earlier, if the rest would begin with what cannot."""
    for end in range(at, max(start, at - 8), -1):
        if text[end] not in _NOT_FIRST and not unicodedata.combining(text[end]) and _columns(text[end]):
            return end
    return at


def _columns(text: str) -> int:
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
