"""voicekit.markdown_reading: what a person would read aloud, and nothing of the markup."""

from __future__ import annotations

import pytest

from voicekit.markdown_reading import read_markdown
from voicekit.markup import Run, runs
from voicekit.text import LANGUAGES


@pytest.mark.parametrize(
    ("markdown", "spoken"),
    [
        ("Some *light* and **heavy** ~~gone~~ words", "Some light and heavy gone words"),
        ("See [the page](http://example.org/x) now", "See the page now"),
        ("See [the page][p] now\n\n[p]: http://example.org/x", "See the page now"),
        ("![A cat](cat.png) sleeps", "A cat sleeps"),
        ("![](cat.png) sleeps", "sleeps"),
        ("Call `read` first", "Call read first"),
        ("Before\n\n```python\nprint(1)\n```\n\nAfter", "Before\n\nAfter"),
        ("Before\n\n    indented code\n\nAfter", "Before\n\nAfter"),
        ("Before\n\n<div class='x'>\nhidden\n</div>\n\nAfter", "Before\n\nAfter"),
        ("H<sub>2</sub>O <!-- note --> is water", "H2O  is water"),
        ("- one\n- two\n  - three", "one\n\ntwo\n\nthree"),
        ("1. one\n2. two", "1. one\n\n2. two"),
        ("7) one\n8) two", "7) one\n\n8) two"),
        ("1. one\n1. two\n1. three", "1. one\n\n2. two\n\n3. three"),  # as Markdown shows it
        ("0. one\n0. two", "0. one\n\n1. two"),
        ("1. one\n   1. inner\n   2. inner\n2. two", "1. one\n\n1. inner\n\n2. inner\n\n2. two"),
        ("1. one\n\n   more\n2. two", "1. one\n\nmore\n\n2. two"),
        ("1. - [ ] open", "1. open"),
        ("1. ```\n   code\n   ```\n2. two", "2. two"),
        ("1. > quoted", "1. quoted"),
        ("24. Dezember war es kalt.", "24. Dezember war es kalt."),
        ("24. Dezember war es kalt.\n\n26. Dezember taute es.", "24. Dezember war es kalt.\n\n26. Dezember taute es."),
        ("24. Mai: Regen.\n\n24. Mai: Schnee.", "24. Mai: Regen.\n\n24. Mai: Schnee."),
        ("Es war der\n24. Dezember.", "Es war der 24. Dezember."),
        ("He has only\n1. one", "He has only\n\n1. one"),
        ("1984.\n\nIt was a year.", "1984.\n\nIt was a year."),
        ("1. 2. two", "1. 2. two"),
        ("007. James", "007. James"),
        ("- [ ] open\n- [x] done", "open\n\ndone"),
        ("| Name | Age |\n|---|---|\n| Ann | 7 |\n| | 8 |", "Name, Age\n\nAnn, 7\n\n8"),
        ("> Quoted\n> on", "Quoted on"),
        ("wrapped\nline", "wrapped line"),
        ("hard  \nbreak", "hard\nbreak"),
        ("hard<br>break and<br />another", "hard\nbreak and\nanother"),
        ("One\n\n* * *\n\nTwo", "One\n\nTwo"),
        ("AT&amp;T &mdash; \\*not light\\*", "AT&T — *not light*"),
        ("A claim[^1] and[^note] more.\n\n[^1]: Its proof.\n    And more.\n\n    A paragraph.\n\nEnd",
         "A claim and more.\n\nEnd"),
        ("A claim[^1].\n\n[^1]: proof\n```\ncode\n```\nEnd", "A claim.\n\nEnd"),
        ("Sized\n=====\n\nunder", "Sized\n\nunder"),
    ],
)
def test_spoken(markdown: str, spoken: str) -> None:
    assert read_markdown(markdown).text == spoken


@pytest.mark.parametrize(
    ("markdown", "spoken"),
    [
        (r"Write \[pause: 1] here", "Write [pause: 1] here"),
        (r"Write &#91;pause] here", "Write [pause] here"),
        (r"Write `[pause:2]` here", "Write [pause:2] here"),
        (r"Write `a[0]` here", "Write a[0] here"),
        ("# \\[speed:0.9]\n\ntext", "[speed:0.9]\n\ntext"),
        (r"\[note] and \[pauses:1] and \[^1] stay", "[note] and [pauses:1] and [^1] stay"),
    ],
)
def test_a_tag_behind_a_backslash_is_text(markdown: str, spoken: str) -> None:
    text = read_markdown(markdown).text
    assert runs(text, LANGUAGES) == (Run(spoken),)


def test_a_backslash_stands_only_before_tags() -> None:
    assert read_markdown(r"\[note] and \[pause:1] and [pause:2]").text == r"[note] and \[pause:1] and [pause:2]"


def test_chapters() -> None:
    manuscript = read_markdown("Before.\n\n# One\n\na\n\n### Deeper\n\nb\n\n## Two\n\nc")
    assert [(chapter.title, chapter.text) for chapter in manuscript.chapters] == [
        (None, "Before."), ("One", "One\n\na\n\nDeeper\n\nb"), ("Two", "Two\n\nc"),
    ]


def test_one_heading_makes_no_chapters() -> None:
    (chapter,) = read_markdown("# Title\n\ntext\n\n### Section\n\nmore").chapters
    assert (chapter.title, chapter.text) == (None, "Title\n\ntext\n\nSection\n\nmore")


def test_a_books_title_is_no_chapter_of_its_own() -> None:
    manuscript = read_markdown("# The *Book*\n\n## One\n\na\n\n## Two\n\nb")
    assert manuscript.title == "The Book"
    assert [(chapter.title, chapter.text) for chapter in manuscript.chapters] == [
        ("One", "The Book\n\nOne\n\na"), ("Two", "Two\n\nb"),
    ]


@pytest.mark.parametrize(
    "front",
    ['---\ntitle: "The Book"\nauthor: Ann\nlang: de\n---\n', "+++\ntitle = 'The Book'\nauthor = Ann\nlang = de\n+++\n"],
)
def test_front_matter(front: str) -> None:
    manuscript = read_markdown(front + "Text.")
    assert (manuscript.title, manuscript.author, manuscript.language) == ("The Book", "Ann", "de")
    assert manuscript.text == "Text."


def test_a_scene_break_at_the_start_is_no_front_matter() -> None:
    assert read_markdown("---\n\nIt was night.\n\n---\n\nIt was day.").text == "It was night.\n\nIt was day."
