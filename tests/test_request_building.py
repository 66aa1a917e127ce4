"""Texts and job lines into requests: names of chapters, languages of books, settings of single lines."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from voicekit.chapters import Chapter, Cue, Manuscript
from voicekit.clone_results import Terminal
from voicekit.cloning import CloneSettings, Listener, Request
from voicekit.command_line import Messages
from voicekit.cutting import cut
from voicekit.errors import TextError
from voicekit.jobs import Job, read_jobs
from voicekit.lexicon import NO_LEXICON
from voicekit.manuscripts import read_manuscript
from voicekit.request_building import chapter_output, of_job, of_jobs, of_manuscript, read_text
from voicekit.text import Segment, roughly

LIKE = Request("", ("me.wav",), "books/book.mp3", "", CloneSettings(speed=1.2, seed=5), preprocess=False)
CHAPTERS = (Chapter("Dawn", "One."), Chapter(None, "Two."), Chapter("Night", "Three."))
BOOK = Manuscript(CHAPTERS, title="A Book", author="An Author", language="de-AT")


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, line: str) -> None:
        self.warnings.append(line)


def cut_of(request: Request) -> tuple[Segment, ...]:
    return cut(replace(request, language="en"), roughly, NO_LEXICON, 1).segments


def never(most: int) -> bytes:
    raise AssertionError("stdin was read")


# --- a text ---------------------------------------------------------------------------------------------------


def test_a_book_in_one_file() -> None:
    (request,) = of_manuscript(BOOK, LIKE, chapters=False)
    assert request.text == "One.\n\nTwo.\n\nThree."
    assert (request.output, request.title, request.artist, request.album, request.track) == (
        "books/book.mp3", "A Book", "An Author", None, None,
    )  # fmt: skip
    assert (request.voice, request.settings, request.preprocess) == (LIKE.voice, LIKE.settings, False)


def test_a_file_for_each_chapter() -> None:
    requests = of_manuscript(BOOK, LIKE, chapters=True)
    assert [request.output for request in requests] == [f"books/book-0{n}.mp3" for n in (1, 2, 3)]
    assert [request.text for request in requests] == ["One.", "Two.", "Three."]
    assert [request.title for request in requests] == ["Dawn", "Chapter 2", "Night"]
    assert [request.track for request in requests] == [(1, 3), (2, 3), (3, 3)]
    assert {(each.album, each.artist, each.language) for each in requests} == {("A Book", "An Author", "de")}
    assert all(request.settings == LIKE.settings and request.voice == LIKE.voice for request in requests)


def test_a_single_chapter_needs_no_number() -> None:
    (request,) = of_manuscript(Manuscript(CHAPTERS[:1], "A Book"), LIKE, chapters=True)
    assert (request.output, request.title) == ("books/book.mp3", "A Book")


@pytest.mark.parametrize(("name", "text"), [
    ("book.txt", "[speed:0.9]\n\nChapter 1\n\nOne.\n\nChapter 2\n\nTwo."),
    ("book.md", "[speed:0.9]\n\n# Chapter 1\n\nOne.\n\n# Chapter 2\n\nTwo."),
])  # fmt: skip
def test_a_tag_before_the_first_chapter_is_no_chapter_and_holds_in_all(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    read = read_manuscript(tmp_path / name)
    requests = of_manuscript(read, LIKE, chapters=True)
    assert [request.title for request in requests] == ["Chapter 1", "Chapter 2"]
    assert [[(each.text, each.speed) for each in cut_of(request)] for request in requests] == [
        [("Chapter 1", 0.9), ("One.", 0.9)], [("Chapter 2", 0.9), ("Two.", 0.9)],
    ]  # fmt: skip
    (whole,) = of_manuscript(read, LIKE, chapters=False)
    assert whole.text == read.text


def test_tags_hold_over_the_ends_of_chapters_until_they_end() -> None:
    chapters = ("[language:de]Eins. [pause:2]", "Zwei.", "Drei.[language] [speed:0.8]", "Four.", "[speed]Five. [pause]")
    requests = of_manuscript(Manuscript(tuple(Chapter(None, each) for each in chapters)), LIKE, chapters=True)
    (segments,) = zip(*map(cut_of, requests), strict=True)
    assert [(each.text, each.language, each.speed, each.tail_s) for each in segments] == [
        ("Eins.", "de", 1.0, 2.0), ("Zwei.", "de", 1.0, 0.0), ("Drei.", "de", 1.0, 0.0), ("Four.", None, 0.8, 0.0),
        ("Five.", None, 1.0, 1.0),
    ]  # fmt: skip


def test_tags_behind_the_last_chapter_are_part_of_it() -> None:
    book = Manuscript((Chapter("A", "One."), Chapter("B", "Two."), Chapter(None, "[pause:2]")))
    *_, last = of_manuscript(book, LIKE, chapters=True)
    assert (last.text, last.track) == ("Two.\n\n[pause:2]", (2, 2))


@pytest.mark.parametrize(("own", "given"), [
    ((None, "Chapter 1", "Chapter 2"), ["Preface", "Chapter 1", "Chapter 2"]),
    ((None, "Preface", "Dawn"), ["Chapter 1", "Preface", "Dawn"]),
    ((None, "chapter 1", "PREFACE"), ["Track 1", "chapter 1", "PREFACE"]),
    ((None, None, None), ["Chapter 1", "Chapter 2", "Chapter 3"]),
    (("Chapter 1", None, "Chapter 2"), ["Chapter 1", "Track 2", "Chapter 2"]),
    (("[speed:0.9] Dawn", "Day [pause]", "[pause]"), ["Dawn", "Day", "Chapter 3"]),
])  # fmt: skip
def test_no_title_that_is_made_up_is_another_chapters(own: tuple[str | None, ...], given: list[str]) -> None:
    book = Manuscript(tuple(Chapter(title, f"Text {number}.") for number, title in enumerate(own)))
    assert [request.title for request in of_manuscript(book, LIKE, chapters=True)] == given


def test_a_cue_of_tags_alone_is_part_of_the_next_one_or_of_the_last() -> None:
    cues = tuple(Cue(float(at), at + 0.5, text) for at, text in enumerate(("[speed:0.9]", "One.", "Two.", "[pause:2]")))
    subtitles = Manuscript((Chapter(None, "One. Two.", cues),))
    (request,) = of_manuscript(subtitles, LIKE, chapters=False)
    assert request.cues == (Cue(1.0, 1.5, "[speed:0.9] One."), Cue(2.0, 2.5, "Two. [pause:2]"))


@pytest.mark.parametrize("chapters", [True, False])
def test_a_text_without_chapters_is_told_of_where_they_are_asked_for(chapters: bool) -> None:
    heard = Heard()
    for text in ("One.", "..."):  # of what cannot be spoken another sentence is told
        of_manuscript(Manuscript((Chapter(None, text),)), LIKE, heard, chapters=chapters)
    assert len(heard.warnings) == chapters
    assert all("--chapters" in line and "'Chapter 1'" in line and "#" in line for line in heard.warnings)
    of_manuscript(BOOK, LIKE, heard, chapters=chapters)
    assert len(heard.warnings) == chapters


@pytest.mark.parametrize(("number", "of", "name"), [
    (1, 2, "a/book-01.mp3"), (99, 99, "a/book-99.mp3"), (7, 100, "a/book-007.mp3"), (1000, 1000, "a/book-1000.mp3"),
])  # fmt: skip
def test_chapters_sort_as_they_are_read(number: int, of: int, name: str) -> None:
    assert chapter_output("a/book.mp3", number, of) == str(Path(name))
    assert chapter_output("v1.2.book.wav", 1, 2) == "v1.2.book-01.wav"
    names = [chapter_output("b.wav", each, of) for each in range(1, of + 1)]
    assert names == sorted(names) and len(set(names)) == of


@pytest.mark.parametrize(("asked", "declared", "spoken"), [
    ("", "de-AT", "de"), ("", "pt_BR", "pt"), ("", "zh-TW", "zh-cn"), ("", None, "en"), ("", "", "en"),
    ("", "sv", "en"), ("fr", "de", "fr"), ("fr", None, "fr"), ("", "deu", "de"), ("", "ger", "de"),
    ("", "chi", "zh-cn"), ("", "und", "en"),
])  # fmt: skip
def test_a_book_is_read_in_its_own_language_unless_another_is_asked_for(
    asked: str, declared: str | None, spoken: str
) -> None:
    for chapters in (False, True):
        requests = of_manuscript(replace(BOOK, language=declared), replace(LIKE, language=asked), chapters=chapters)
        assert {request.language for request in requests} == {spoken}


@pytest.mark.parametrize(("asked", "declared", "line", "said"), [
    ("", "sv", None, "The text names its language 'sv', by which XTTS v2 knows none: it is read as en. --language"),
    ("", "swe-SE", 7, "Line 7: The text names its language 'swe-SE', "),
    ("", "x" * 5000, None, "The text names its language 'xxxx"),
    ("en", "sv", None, ""), ("", "de-AT", None, ""), ("", "eng", None, ""), ("", "und", None, ""), ("", None, None, ""),
])  # fmt: skip
def test_a_language_that_nobody_speaks_is_told_of(asked: str, declared: str, line: int | None, said: str) -> None:
    heard = Heard()
    of_manuscript(replace(BOOK, language=declared), replace(LIKE, language=asked, line=line), heard, chapters=True)
    assert len(heard.warnings) == bool(said)
    assert "".join(heard.warnings).startswith(said)
    assert all(len(each) < 200 for each in heard.warnings)


def test_the_language_of_a_book_in_a_list_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("---\nlang: sv\n---\nHej.")
    terminal = Terminal(Messages(stream=io.StringIO()))
    wanted = job(text=None, text_file=str(tmp_path / "b.md"))
    (request,) = of_jobs([wanted], LIKE, terminal)
    assert request.language == "en"
    assert [each.startswith("Line 4: The text names its language 'sv'") for each in terminal.warnings] == [True]
    assert of_jobs([wanted], replace(LIKE, language="de"), terminal)[0].language == "de"
    assert len(terminal.warnings) == 1


def test_a_title_that_is_asked_for_is_the_books() -> None:
    like = replace(LIKE, title="Mine", artist="Me")
    (whole,) = of_manuscript(BOOK, like, chapters=False)
    assert (whole.title, whole.artist) == ("Mine", "Me")
    first = of_manuscript(BOOK, like, chapters=True)[0]
    assert (first.title, first.album, first.artist) == ("Dawn", "Mine", "Me")


def test_cues_keep_their_times() -> None:
    cues = (Cue(1.0, 2.0, "One."), Cue(3.0, 4.0, "Two."))
    (request,) = of_manuscript(Manuscript((Chapter(None, "One.\nTwo.", cues),)), LIKE, chapters=False)
    assert request.cues == cues


def test_a_text_comes_from_where_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("Of a file.", encoding="utf-8")
    assert read_text("Of a flag.", None, None, never, 100).text == "Of a flag."
    assert read_text(None, str(path), None, never, 100).text.strip() == "Of a file."
    asked: list[int] = []

    def stdin(most: int) -> bytes:
        asked.append(most)
        return io.BytesIO("Of stdin, füür.".encode()).read(most)

    assert read_text(None, "-", None, stdin, 100).text.strip() == "Of stdin, füür."
    assert asked == [101]  # one more tells that there is too much
    with pytest.raises(TextError):
        read_text(None, "-", None, lambda most: b" ... ", 100)
    with pytest.raises(TextError):
        read_text(None, str(tmp_path / "none.txt"), None, never, 100)


# --- jobs -----------------------------------------------------------------------------------------------------


def job(**fields: Any) -> Job:
    return Job(**{"line": 4, "text": "Hello.", "text_file": None, "voices": ("you.wav",), "output": "o.wav",
                  "language": None, "settings": {}, **fields})  # fmt: skip


def test_a_line_overrides_the_flags_and_leaves_the_rest() -> None:
    own = {"seed": 9, "temperature": 0.5, "subtitles": "srt", "title": "Mine", "tempo": 1.5}
    request = of_job(job(settings=own), LIKE)
    assert request == replace(
        LIKE, text="Hello.", voice=("you.wav",), output="o.wav", language="en", line=4, title="Mine",
        settings=replace(LIKE.settings, seed=9, temperature=0.5, subtitles="srt", tempo=1.5),
    )  # fmt: skip
    assert request.settings.speed == 1.2
    assert of_job(job(), LIKE).settings == LIKE.settings


def test_every_setting_that_a_line_may_give_is_one() -> None:
    from voicekit.job_settings import ALLOWED

    values = {"wav_format": "float", "subtitles": "vtt", "title": "T"}
    for name in ALLOWED:
        value = values.get(name, 1)
        request = of_job(job(settings={name: value}), LIKE)
        assert getattr(request if name == "title" else request.settings, name) == value


@pytest.mark.parametrize(("own", "flag", "spoken"), [
    ("fr", "de", "fr"), (None, "de", "de"), (None, "", "en"), ("fr", "", "fr"),
])  # fmt: skip
def test_the_language_of_a_line(own: str | None, flag: str, spoken: str, tmp_path: Path) -> None:
    like = replace(LIKE, language=flag)
    (tmp_path / "t.txt").write_text("Hello.", encoding="utf-8")
    assert of_job(job(language=own), like).language == spoken
    assert of_job(job(language=own, text=None, text_file=str(tmp_path / "t.txt")), like).language == spoken


def test_the_text_file_of_a_line(tmp_path: Path) -> None:
    (tmp_path / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello.\n\n", encoding="utf-8")
    request = of_job(job(text=None, text_file=str(tmp_path / "film.srt"), settings={"speed": 0.9}), LIKE)
    assert request.text == "Hello." and request.cues == (Cue(1.0, 2.0, "Hello."),)
    assert (request.line, request.output, request.settings.speed) == (4, "o.wav", 0.9)


def test_a_line_whose_text_cannot_be_read_is_told_of_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(
        '{"text": "Hello.", "voice": "me.wav", "output": "a.wav"}\n'
        '{"text_file": "none.txt", "voice": "me.wav", "output": "b.wav"}\n'
        '{"text": "Bye.", "voice": "me.wav", "output": "c.wav"}\n', encoding="utf-8",
    )  # fmt: skip
    jobs, bad = read_jobs(tmp_path / "jobs.jsonl")
    assert not bad
    stream = io.StringIO()
    terminal = Terminal(Messages(stream=stream))
    requests = of_jobs(jobs, LIKE, terminal)
    assert [(request.text, request.line) for request in requests] == [("Hello.", 1), ("Bye.", 3)]
    (failure,) = terminal.failures
    assert failure["line"] == 2 and failure["output"].endswith("b.wav") and failure["status"] == "error"
    assert stream.getvalue().startswith("Line 2: ") and "none.txt" in stream.getvalue()
