"""What was asked for on a command line or in a job file, as requests: one for each output. Reads texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from voicekit import markup
from voicekit.chapters import Chapter, Cue, Manuscript, is_speakable
from voicekit.clone_results import Terminal
from voicekit.cloning import CloneSettings, Listener, Request
from voicekit.errors import TextError, VoiceError
from voicekit.jobs import Job
from voicekit.manuscripts import decode_manuscript, read_manuscript
from voicekit.text import normalise_language

DEFAULT_LANGUAGE = "en"
Part = TypeVar("Part", Chapter, Cue)
NO_CHAPTERS = (
    "--chapters found no chapters, so that there is one file. A chapter begins at a line such as 'Chapter 1' between"
    " blank lines, at a heading # or ## of a .md, or where the contents of an .epub say so; two are needed."
)
# Books name their language by these too: https://www.loc.gov/standards/iso639-2; "und" is undetermined.
_ISO_639_2 = {
    "eng": "en", "spa": "es", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "ita": "it", "por": "pt", "pol": "pl",
    "tur": "tr", "rus": "ru", "nld": "nl", "dut": "nl", "ces": "cs", "cze": "cs", "ara": "ar", "zho": "zh", "chi": "zh",
    "jpn": "ja", "hun": "hu", "kor": "ko", "hin": "hi", "und": DEFAULT_LANGUAGE,
}  # fmt: skip
_OF_REQUEST = ("title",)  # settings of a job that are the request's own


def of_manuscript(
    manuscript: Manuscript, like: Request, listener: Listener = Listener(), *, chapters: bool
) -> list[Request]:
    """The requests of a text: one file, or one for each chapter.

    Args:
        like: has the voice, the output, the settings; its text is not used. An empty language is the text's own.
        listener: is warned where the text's own language cannot be spoken, and where there are no chapters.
        chapters: a file for each chapter, numbered after the output's name, where there are several.
    """
    chapters_of_cues = (replace(each, cues=_speakable(each.cues, " ")) for each in manuscript.chapters)
    manuscript = replace(manuscript, chapters=_speakable(chapters_of_cues, "\n\n"))
    language = like.language or _declared(manuscript.language, like.line, listener)
    album = like.title or _title(manuscript.title)
    common = replace(like, language=language, artist=like.artist or manuscript.author)
    of_how_many = len(manuscript.chapters)
    if chapters and of_how_many == 1:
        listener.warn(NO_CHAPTERS)
    if not chapters or of_how_many < 2:
        cues = tuple(cue for chapter in manuscript.chapters for cue in chapter.cues)
        return [replace(common, text=manuscript.text, cues=cues, title=album)]
    texts = markup.carried(chapter.text for chapter in manuscript.chapters)
    return [
        replace(
            common, text=text, cues=chapter.cues, output=chapter_output(like.output, number, of_how_many),
            title=title, album=album, track=(number, of_how_many),
        )
        for number, (chapter, text, title) in enumerate(
            zip(manuscript.chapters, texts, _titles(manuscript.chapters), strict=True), 1)
    ]  # fmt: skip


def _speakable(parts: Iterable[Part], between: str) -> tuple[Part, ...]:
    """Those in which something is spoken; tags alone are part of the next one, or of the last."""
    found: list[Part] = []
    tags: list[str] = []
    for part in parts:
        if is_speakable(markup.without_tags(part.text)):
            found.append(replace(part, text=between.join([*tags, part.text])))
            tags = []
        elif is_speakable(part.text):
            tags.append(part.text)
    if found and tags:
        found[-1] = replace(found[-1], text=between.join([found[-1].text, *tags]))
    return tuple(found)


def chapter_output(output: str, number: int, of_how_many: int) -> str:
    """The name of a chapter's file: book.mp3 -> book-01.mp3, as wide as the last number."""
    path = Path(output)
    width = max(2, len(str(of_how_many)))
    return str(path.with_name(f"{path.stem}-{number:0{width}d}{path.suffix}"))


def _title(title: str | None) -> str | None:
    """A title without tags; None where nothing is left."""
    return markup.without_tags(title or "").strip() or None


def _titles(chapters: Sequence[Chapter]) -> list[str]:
    """The title of each chapter; one without has a name that no other one has."""
    own = [_title(chapter.title) for chapter in chapters]
    taken = {title.casefold() for title in own if title}
    found: list[str] = []
    for number, title in enumerate(own, 1):
        before_the_first = ["Preface"] if number == 1 and taken else []
        names = (name for name in (*before_the_first, f"Chapter {number}") if name.casefold() not in taken)
        found.append(title or next(names, f"Track {number}"))
    return found


def _declared(language: str | None, line: int | None, listener: Listener) -> str:
    """The language that a text says it is in, or, with a warning where it names one that XTTS does not speak, English.

    Args:
        line: of the job file that the text is of; None without one.
    """
    if not language:
        return DEFAULT_LANGUAGE
    try:
        return normalise_language(_ISO_639_2.get(language.strip().lower().replace("_", "-").split("-")[0], language))
    except TextError:
        where = "" if line is None else f"Line {line}: "
        listener.warn(f"{where}The text names its language {language[:20]!r}, by which XTTS v2 knows none: it is read"
                      f" as {DEFAULT_LANGUAGE}. --language names another language.")  # fmt: skip
        return DEFAULT_LANGUAGE


def of_job(job: Job, like: Request, listener: Listener = Listener()) -> Request:
    """A line of a job file; what it does not say is that of `like`.

    Args:
        listener: see `of_manuscript`.

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
    (read,) = of_manuscript(read_manuscript(job.text_file, language or None), about, listener, chapters=False)
    return read


def of_jobs(jobs: Sequence[Job], like: Request, terminal: Terminal) -> list[Request]:
    """The lines of a job file; one whose text cannot be read is told of and left out."""
    requests = []
    for job in jobs:
        try:
            requests.append(of_job(job, like, terminal))
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
