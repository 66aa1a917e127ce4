"""What a manuscript consists of once it is read, whatever file it came from. Knows no file formats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cue:
    """Words that are spoken at their time.

    start_s, end_s: seconds from the start of the film; the end is never before the start.
    text: one line, without tags.
    """

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Chapter:
    """One part of a manuscript.

    title: for a player's list of chapters; None where the text names none. It is spoken only where the text has it.
    text: paragraphs with a blank line between them; with cues, their texts, a line each.
    cues: of subtitles, ordered by their start; they may overlap.
    """

    title: str | None
    text: str
    cues: tuple[Cue, ...] = ()


@dataclass(frozen=True)
class Manuscript:
    """All that a file gives to speak, in reading order.

    title, author, language: as the file itself states them; None where it does not. The language is the file's
        spelling (``en-GB``, ``deu``), which nobody has checked.
    encoding: the name of the text's encoding, as ``utf-8`` or ``windows-1252``.
    """

    chapters: tuple[Chapter, ...]
    title: str | None = None
    author: str | None = None
    language: str | None = None
    encoding: str = "utf-8"

    @property
    def text(self) -> str:
        """Every chapter, with a blank line between them."""
        return "\n\n".join(chapter.text for chapter in self.chapters if chapter.text)


def is_speakable(text: str) -> bool:
    """Whether there is a letter or a digit of any script in it."""
    return any(character.isalnum() for character in text)


def paragraphs_joined(paragraphs: Iterable[str]) -> str:
    """Paragraphs with a blank line between them; what has nothing to speak is left out."""
    return "\n\n".join(paragraph for paragraph in paragraphs if is_speakable(paragraph))
