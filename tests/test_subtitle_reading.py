"""voicekit.subtitle_reading: every word at its time, as players read such files."""

from __future__ import annotations

import pytest

from voicekit.chapters import Cue
from voicekit.errors import TextError
from voicekit.subtitle_reading import read_subtitles


def cues(text: str) -> list[Cue]:
    return list(read_subtitles(text, "film.srt").chapters[0].cues)


def spoken(text: str) -> list[str]:
    return [cue.text for cue in cues(text)]


def test_subrip() -> None:
    text = "1\n00:00:01,500 --> 00:00:02,750\nHello\nthere.\n\n2\n01:02:03,004 --> 01:02:05,000 X1:10 X2:20\nBye.\n"
    assert cues(text) == [Cue(1.5, 2.75, "Hello there."), Cue(3723.004, 3725.0, "Bye.")]
    assert read_subtitles(text, "x").text == "Hello there.\nBye."


def test_web_vtt() -> None:
    text = (
        "WEBVTT - A film\nKind: captions\n\nNOTE not spoken\n00:01 either\n\nSTYLE\n::cue { color: red }\n\n"
        "intro\n00:01.500 --> 00:02.000 align:start line:0\n<v Ann>Hello <c.loud>there</c></v> <00:00:01.700>friend\n\n"
        "01:00:00.000 --> 01:00:01.000\nR&amp;D &lt;now&gt;\n"
    )
    assert cues(text) == [Cue(1.5, 2.0, "Hello there friend"), Cue(3600.0, 3601.0, "R&D <now>")]


@pytest.mark.parametrize("header", ["WEBVTT", "WEBVTT - A --> B", "WEBVTT\tA film\nKind: captions", "WEBVTT X\nid",
                                    "WEBVTT\n", "WEBVTT\n\nNOTE first\n", "WEBVTT\n\nREGION\nid:a\n"])  # fmt: skip
def test_a_header_of_web_vtt_ends_at_a_blank_line_or_at_the_first_times(header: str) -> None:
    text = f"{header}\n00:01.000 --> 00:02.000\nHello\nthere\n\n00:03.000 --> 00:04.000\nBye\n"
    assert cues(text) == [Cue(1, 2, "Hello there"), Cue(3, 4, "Bye")]


def test_a_bad_time_in_a_header_of_web_vtt_names_its_line() -> None:
    with pytest.raises(TextError, match=r"line 2 of 'film.srt' cannot be read"):
        cues("WEBVTT\n00:00:01.000 -> 00:00:02.000\nHello\n\n00:03.000 --> 00:04.000\nBye\n")


def test_times_end_a_cue_of_web_vtt_and_an_arrow_in_its_words_does_not() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\nfrom A --> B\n00:03.000 --> 00:04.000\nBye\n"
    assert cues(text) == [Cue(1, 2, "from A --> B"), Cue(3, 4, "Bye")]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("<i>Hello</i>", "Hello"), (r"{\an8}Hello", "Hello"), ('<font color="#ff0">Hello</font>', "Hello"),
        (r"Hello\Nthere", "Hello there"), ("2 < 3 and 4 > 3", "2 < 3 and 4 > 3"), ("a&nbsp;b", "a b"), ("AT&T", "AT&T"),
    ],
)
def test_tags(marked: str, plain: str) -> None:
    assert spoken(f"1\n00:00:01,000 --> 00:00:02,000\n{marked}\n") == [plain]


def test_cues_come_in_order_and_may_overlap() -> None:
    times = {"B": "00:00:05,000 --> 00:00:09,000", "A": "00:00:01,000 --> 00:00:06,000",
             "C": "00:00:05,000 --> 00:00:06,000"}
    text = "\n\n".join(f"{number}\n{time}\n{word}" for number, (word, time) in enumerate(times.items(), 1))
    assert [(cue.start_s, cue.end_s, cue.text) for cue in cues(text)] == [(1, 6, "A"), (5, 6, "C"), (5, 9, "B")]


def test_cues_without_words_are_skipped() -> None:
    assert spoken("1\n00:00:01,000 --> 00:00:02,000\n♪ ♪\n\n2\n00:00:03,000 --> 00:00:04,000\n\n3\n"
                  "00:00:05,000 --> 00:00:06,000\nWord\n") == ["Word"]


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01,000 --> 00:00:02,000\nA\n\nB\n\n2\n00:00:03,000 --> 00:00:04,000\nC\n",  # a blank line in a cue
        "1\n00:00:01,000 --> 00:00:02,000\nA\nB\n2\n00:00:03,000 --> 00:00:04,000\nC",  # no blank line between cues
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\nA\r\nB\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nC\r\n",
        "00:00:01.000-->00:00:02.000\nA\nB\n\n00:00:03,0 --> 00:00:04,000\nC\n",  # no numbers, dots, few digits
    ],
)
def test_files_from_the_wild(text: str) -> None:
    assert spoken(text) == ["A B", "C"]


def test_a_control_character_is_no_part_of_a_number() -> None:
    """`\\s` takes more than int() does."""
    assert spoken("1\n00:00:01,000 --> 00:00:02,000\nA\nB\n\x1f2\n00:00:03,000 --> 00:00:04,000\nC")[-1] == "C"


def test_a_number_that_is_said_is_no_counter() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nIn\n1984\n\n2\n00:00:03,000 --> 00:00:04,000\n42\n"
    assert spoken(text) == ["In 1984", "42"]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ("00:00:0x,000 --> 00:00:04,000", "cannot be read"), ("00:61:00,000 --> 00:62:00,000", "cannot be read"),
        ("00:00:01,000 -> 00:00:04,000", "cannot be read"), ("00:00:01,000 -->", "cannot be read"),
        ("00:00:05,000 --> 00:00:04,000", "ends before it starts"),
    ],
)
def test_a_bad_time_names_its_line(times: str, words: str) -> None:
    with pytest.raises(TextError, match=words) as error:
        read_subtitles(f"1\n00:00:00,000 --> 00:00:01,000\nFine\n\n2\n{times}\nBad\n", "film.srt")
    assert "line 6 of 'film.srt'" in error.value.message


@pytest.mark.parametrize("text", ["", "Just prose.\n", "WEBVTT\n", "WEBVTT\n\nNOTE x\n"])
def test_no_cues(text: str) -> None:
    with pytest.raises(TextError, match="nothing to speak"):
        read_subtitles(text, "film.srt")
