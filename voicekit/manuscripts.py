"""A file -> what it gives to speak: plain text, Markdown, subtitles or an EPUB book, in whatever encoding.

The ending of the name decides how a file is read; what is known as neither is plain text. Each format has a module of
its own; this one chooses, bounds the size, and refuses what holds nothing to speak. It cuts no text for the model.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from voicekit.chapters import Chapter, Cue, Manuscript, is_speakable
from voicekit.epub_reading import read_epub
from voicekit.errors import TextError
from voicekit.markdown_reading import read_markdown
from voicekit.plain_reading import chapters_of
from voicekit.subtitle_reading import read_subtitles
from voicekit.text import MAX_TEXT_BYTES
from voicekit.text_encodings import decode
from voicekit.text_files import unreadable

__all__ = ["MAX_BOOK_BYTES", "MAX_TEXT_BYTES", "Chapter", "Cue", "Manuscript", "decode_manuscript", "read_manuscript"]

MAX_BOOK_BYTES = 512 << 20  # of an EPUB with its pictures, which are not read
_EPUB = ".epub"
_READERS: dict[str, Callable[[str, str], Manuscript]] = {
    ".md": lambda text, source: read_markdown(text),
    ".markdown": lambda text, source: read_markdown(text),
    ".srt": read_subtitles,
    ".vtt": read_subtitles,
}


def read_manuscript(path: str | os.PathLike[str], language: str | None = None) -> Manuscript:
    """What a file gives to speak: .txt, .md, .markdown, .srt, .vtt, .epub; others are read as plain text.

    Args:
        path: the file.
        language: what the text is said to be in; it helps to tell a legacy encoding, and decides nothing else.

    Raises:
        TextError: the file cannot be read, is too large, damaged, locked or no text, or holds nothing to speak.
    """
    source, kind = os.fspath(path), Path(path).suffix.lower()
    limit = MAX_BOOK_BYTES if kind == _EPUB else MAX_TEXT_BYTES
    try:
        with open(path, "rb") as stream:
            if kind == _EPUB and stream.seekable():
                if os.fstat(stream.fileno()).st_size > limit:
                    raise _too_large(source, limit)
                return _spoken(_of_epub(stream, source), source)
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise unreadable("text file", source, error) from error
    return decode_manuscript(data, source, kind, language)


def decode_manuscript(data: bytes, source: str, kind: str = ".txt", language: str | None = None) -> Manuscript:
    """The same for bytes that are here already, such as stdin's.

    Args:
        data: the whole text; one byte more than MAX_TEXT_BYTES is enough to be refused.
        source: names it in an error.
        kind: the ending that a file of this format would have.
        language: as in `read_manuscript`.
    """
    kind = kind.lower()
    if len(data) > (limit := MAX_BOOK_BYTES if kind == _EPUB else MAX_TEXT_BYTES):
        raise _too_large(source, limit)
    if kind == _EPUB:
        return _spoken(_of_epub(io.BytesIO(data), source), source)
    text, encoding = decode(data, source, language)
    reader = _READERS.get(kind)
    manuscript = reader(text, source) if reader else Manuscript(chapters_of(text))
    return _spoken(replace(manuscript, encoding=encoding), source)


def _of_epub(stream: IO[bytes], source: str) -> Manuscript:
    manuscript = read_epub(stream, source)
    if sum(len(chapter.text) for chapter in manuscript.chapters) > MAX_TEXT_BYTES:
        raise _too_large(source, MAX_TEXT_BYTES)
    return manuscript


def _spoken(manuscript: Manuscript, source: str) -> Manuscript:
    if not any(is_speakable(chapter.text) for chapter in manuscript.chapters):
        raise TextError(f"{source!r} holds nothing that can be spoken.", "Give a text with letters or digits in it.")
    return manuscript


def _too_large(source: str, limit: int) -> TextError:
    return TextError(f"The text of {source!r} is over {limit >> 20} MB.", "Cut it into chapters.")
