r"""Tags that an author writes into a text: ``[pause:1.5]``, ``[speed:0.9]``, ``[language:de]``.

Anything else in brackets is ordinary text. A backslash before the bracket takes a tag as it stands: ``\[pause:1]``.
It knows nothing of models: only which codes are languages.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from voicekit.errors import TextError

MAX_PAUSE_S = 60.0
PLAIN_PAUSE_S = 1.0  # of `[pause]`
SPEEDS = (0.5, 2.0)

_NUMBER = re.compile(r"\d{1,6}(?:[.,]\d{1,6})?|[.,]\d{1,6}")
_TAG = re.compile(r"(\\?)\[\s*(pause|speed|language)\s*(?::([^\[\]\n]{0,40}))?\]", re.IGNORECASE)
_IDLE = re.compile(rf"\\(?=\[)(?!{_TAG.pattern})", re.IGNORECASE)
# What follows a closing tag at once and belongs to the words before it, as the stop after a word in French.
_CLINGING = re.compile(r"[.,;:!?…)\"'”’»。，、！？；：」』）]+(?=\s|$)|[。，、！？；：」』）]+")


@dataclass(frozen=True)
class Run:
    """A stretch of text between two tags.

    text: without tags, as the author wrote it; may be empty.
    pause_s: the silence that is asked for after it; 0: none is.
    speed: factor of the speed of the whole.
    language: a code, or None for that of the whole.
    """

    text: str
    pause_s: float = 0.0
    speed: float = 1.0
    language: str | None = None


def runs(text: str, languages: Collection[str]) -> tuple[Run, ...]:
    """The runs of a text in order; joined they are the text without its tags. O(characters) time.

    Args:
        languages: the codes that a tag may name; a region after a code (``pt-br``) is left out of account.

    Raises:
        TextError: a tag asks for what cannot be.
    """
    found: list[Run] = []
    settings = Run("")
    literal, end = "", 0
    for tag in _TAG.finditer(text):
        literal += text[end : tag.start()]
        end = tag.end()
        if tag[1]:
            literal += tag[0][1:]
            continue
        if tag[2].lower() == "pause":
            found.append(replace(settings, text=literal, pause_s=_pause_s(tag[3])))
        else:
            found.append(replace(settings, text=literal))
            settings = _changed(settings, tag[2].lower(), tag[3], languages)
            clinging = _CLINGING.match(text, end)
            if clinging and literal.strip():
                found[-1] = replace(found[-1], text=literal + clinging[0])
                end = clinging.end()
        literal = ""
    found.append(replace(settings, text=literal + text[end:]))
    return tuple(_joined(found))


def without_tags(text: str) -> str:
    """The text as it is spoken; values are not checked. O(characters) time."""
    return _TAG.sub(lambda tag: tag[0][1:] if tag[1] else "", text)


def carried(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts that follow each other, to be spoken apart: each begins with the tags that hold there. O(characters) time.

    Values are not checked: `runs` does, of the text that a tag stands in.
    """
    found: list[str] = []
    holding: dict[str, str] = {}
    for text in texts:
        found.append("".join(holding.values()) + text)
        for tag in _TAG.finditer(text):
            name = tag[2].lower()
            if not tag[1] and name != "pause":
                holding[name] = "" if tag[3] is None else tag[0]
    return tuple(found)


def without_idle_backslashes(text: str) -> str:
    r"""The text without backslashes before brackets that begin no tag: ``\[note]`` is ``[note]``. O(characters)."""
    return _IDLE.sub("", text)


def _joined(found: list[Run]) -> Iterator[Run]:
    """Without runs that hold nothing; pauses in a row are one, the longest."""
    waiting: Run | None = None
    for run in found:
        if waiting and waiting.pause_s and not run.text.strip():
            waiting = replace(waiting, pause_s=max(waiting.pause_s, run.pause_s), text=waiting.text + run.text)
            continue
        if waiting:
            yield waiting
        waiting = run if run.text or run.pause_s else None
    if waiting:
        yield waiting


def _changed(settings: Run, name: str, value: str | None, languages: Collection[str]) -> Run:
    if name == "speed":
        return replace(settings, speed=_speed(value))
    return replace(settings, language=_language(value, languages))


def _pause_s(value: str | None) -> float:
    seconds = PLAIN_PAUSE_S if value is None else _number(value.strip().removesuffix("s"))
    if seconds is None or not 0 <= seconds <= MAX_PAUSE_S:
        raise TextError(
            f"A [pause:...] in the text asks for no length from 0 to {MAX_PAUSE_S:g} seconds.",
            "Write seconds, as in [pause:1.5]; a backslash before the bracket has the tag spoken.",
        )
    return seconds


def _speed(value: str | None) -> float:
    speed = 1.0 if value is None else _number(value)
    if speed is None or not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise TextError(
            f"A [speed:...] in the text asks for no factor from {SPEEDS[0]:g} to {SPEEDS[1]:g}.",
            "Write a factor, as in [speed:0.9]; [speed:1] ends it.",
        )
    return speed


def _language(value: str | None, languages: Collection[str]) -> str | None:
    if value is None:
        return None
    asked = value.strip().lower().replace("_", "-")
    for code in (asked, asked.split("-")[0]):
        code = "zh-cn" if code == "zh" else code
        if code in languages:
            return code
    raise TextError(
        "A [language:...] in the text names no language that can be spoken.",
        f"Name one of {', '.join(languages)}; [language] ends it.",
    )


def _number(value: str) -> float | None:
    value = value.strip()
    return float(value.replace(",", ".")) if _NUMBER.fullmatch(value) else None
