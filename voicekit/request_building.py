"""What was asked for on a command line or in a job file, as requests: one for each output. Reads texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from voicekit.chapters import Chapter, Manuscript, is_speakable
from voicekit.clone_results import Terminal
from voicekit.cloning import CloneSettings, Request
from voicekit.errors import TextError, VoiceError
from voicekit.jobs import Job
from voicekit.manuscripts import decode_manuscript, read_manuscript
from voicekit.text import normalise_language

DEFAULT_LANGUAGE = "en"
_OF_REQUEST = ("title",)  # settings of a job that are the request's own


def of_manuscript(manuscript: Manuscript, like: Request, *, chapters: bool) -> list[Request]:
    """The requests of a text: one file, or one for each chapter.

    Args:
        like: has the voice, the output, the settings; its text is not used. An empty language is the text's own.
        chapters: a file for each chapter, numbered after the output's name, where there are several.
    """
    manuscript = replace(manuscript, chapters=tuple(each for each in manuscript.chapters if is_speakable(each.text)))
    language = like.language or _declared(manuscript.language)
    album = like.title or manuscript.title
    common = replace(like, language=language, artist=like.artist or manuscript.author)
    if not chapters or len(manuscript.chapters) == 1:
        cues = tuple(cue for chapter in manuscript.chapters for cue in chapter.cues)
        return [replace(common, text=manuscript.text, cues=cues, title=album)]
    of_how_many = len(manuscript.chapters)
    return [
        replace(
            common, text=chapter.text, cues=chapter.cues, output=chapter_output(like.output, number, of_how_many),
            title=_title(chapter, number), album=album, track=(number, of_how_many),
        )
        for number, chapter in enumerate(manuscript.chapters, 1)
    ]  # fmt: skip


def chapter_output(output: str, number: int, of_how_many: int) -> str:
    """The name of a chapter's file: book.mp3 -> book-01.mp3, as wide as the last number."""
    path = Path(output)
    width = max(2, len(str(of_how_many)))
    return str(path.with_name(f"{path.stem}-{number:0{width}d}{path.suffix}"))


def _title(chapter: Chapter, number: int) -> str:
    return chapter.title or f"Chapter {number}"


def _declared(language: str | None) -> str:
    """The language that a book says it is in, where XTTS speaks it."""
    try:
        return normalise_language(language) if language else DEFAULT_LANGUAGE
    except TextError:
        return DEFAULT_LANGUAGE


def of_job(job: Job, like: Request) -> Request:
    """A line of a job file; what it does not say is that of `like`.

    Raises:
        TextError: its text file cannot be read.
    """
    own: dict[str, Any] = dict(job.settings)
    request = {name: own.pop(name) for name in _OF_REQUEST if name in own}
    settings: CloneSettings = replace(like.settings, **own)
    language = job.language or like.language
    about = replace(
        like, text_file=job.text_file, voice=job.voices, output=job.output, language=language, settings=settings,
        line=job.line, **request,
    )  # fmt: skip
    if job.text is not None:
        return replace(about, text=job.text, language=language or DEFAULT_LANGUAGE)
    assert job.text_file is not None
    (read,) = of_manuscript(read_manuscript(job.text_file, language or None), about, chapters=False)
    return read


def of_jobs(jobs: Sequence[Job], like: Request, terminal: Terminal) -> list[Request]:
    """The lines of a job file; one whose text cannot be read is told of and left out."""
    requests = []
    for job in jobs:
        try:
            requests.append(of_job(job, like))
        except VoiceError as error:
            terminal.fail(job.line, error.message, error.hint, output=job.output)
    return requests


def read_text(
    text: str | None, text_file: str | None, language: str | None, stdin: Callable[[int], bytes], most_bytes: int
) -> Manuscript:
    """The text that was given: itself, of a file, or of stdin ("-").

    Raises:
        TextError: it cannot be read, or holds nothing to speak.
    """
    if text is not None:
        return Manuscript((Chapter(None, text),))
    assert text_file is not None
    if text_file == "-":
        return decode_manuscript(stdin(most_bytes + 1), "stdin", language=language)
    return read_manuscript(text_file, language)
