"""voicekit.manuscripts: the ending decides, the size is bounded; and the chapters of plain text."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicekit import manuscripts
from voicekit.errors import TextError
from voicekit.manuscripts import Manuscript, decode_manuscript, read_manuscript


def read(tmp_path: Path, name: str, content: str | bytes) -> Manuscript:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_manuscript(file)


def titles(text: str) -> list[str | None]:
    return [chapter.title for chapter in decode_manuscript(text.encode(), "stdin").chapters]


def test_the_ending_decides(tmp_path: Path) -> None:
    assert read(tmp_path, "a.txt", "*Hello* there").text == "*Hello* there"
    assert read(tmp_path, "a.MD", "*Hello* there").text == "Hello there"
    assert read(tmp_path, "a.notes", "*Hello* there").text == "*Hello* there"
    assert read(tmp_path, "a.srt", "1\n00:00:01,000 --> 00:00:02,000\nHello\n").chapters[0].cues[0].start_s == 1.0


def test_the_encoding_is_told(tmp_path: Path) -> None:
    manuscript = read(tmp_path, "a.md", "# Über\n\nDie Straße".encode("cp1252"))
    assert (manuscript.encoding, manuscript.text) == ("windows-1252", "Über\n\nDie Straße")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Chapter 1", "Chapter 2"), ("CHAPTER I.", "CHAPTER XII."), ("Chapter One", "Chapter Twenty-One"),
        ("Chapter 3: The Door", "Chapter 4. Rain"), ("Kapitel 3", "Kapitel IV"), ("Erstes\n\nKapitel 1", "Kapitel 2"),
        ("Chapitre premier", "Chapitre II"), ("Capítulo 1", "Capítulo 2"), ("Глава первая", "Глава вторая"),
        ("1. Bölüm", "2. Bölüm"), ("II. fejezet", "III. fejezet"), ("第一章", "第二章 雨"), ("제1장", "제2장"),
    ],
)
def test_chapters_of_a_plain_text(first: str, second: str) -> None:
    found = titles(f"{first}\n\nIt began.\nIt went on.\n\n{second}\n\nIt ended.\n")
    assert found[-2:] == [first.split("\n")[-1], second]


@pytest.mark.parametrize(
    "text",
    [
        "Chapter 1\n\nOnly one.",
        "Chapter 1 was hard.\n\nChapter 2 was harder.",
        "Chapter 1\nChapter 2\nChapter 3\n\nA list of contents.",
        "Part of it.\n\nPart of them.\n\nChapter and verse.",
        "Chapter 1\n\nThe same.\n\nChapter 1\n\nagain.",
    ],
)
def test_what_is_no_chapter(text: str) -> None:
    assert titles(text) == [None]


def test_nothing_is_lost_between_chapters() -> None:
    text = "A foreword.\n\nChapter 1\n\nOne\nline.\n\nTwo.\n\nChapter 2\n\nThree."
    manuscript = decode_manuscript(text.encode(), "stdin")
    assert [chapter.title for chapter in manuscript.chapters] == [None, "Chapter 1", "Chapter 2"]
    assert manuscript.text == text


def test_line_ends_of_other_systems() -> None:
    assert titles("Chapter 1\r\n\r\na\r\n\r\nChapter 2\r\n\r\nb") == ["Chapter 1", "Chapter 2"]


@pytest.mark.parametrize(("name", "content"), [("a.txt", ""), ("a.txt", "* * *\n"), ("a.md", "```\ncode\n```\n")])
def test_nothing_to_speak(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(TextError, match="nothing that can be spoken"):
        read(tmp_path, name, content)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path / "none.epub", tmp_path, "a\0b"):
        with pytest.raises(TextError, match="cannot be read"):
            read_manuscript(path)


def test_the_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manuscripts, "MAX_TEXT_BYTES", 100)
    monkeypatch.setattr(manuscripts, "MAX_BOOK_BYTES", 100)
    assert read(tmp_path, "a.txt", "a" * 100).text == "a" * 100
    for name in ("a.txt", "a.epub"):
        with pytest.raises(TextError, match="over"):
            read(tmp_path, name, "a" * 101)


def test_a_file_that_never_ends_is_refused() -> None:
    with pytest.raises(TextError, match="over 20 MB"):
        read_manuscript("/dev/zero")
