"""voicekit.subtitles: cues that players take, whatever the text and the times.

Truth: FFmpeg's own SubRip and WebVTT readers (through PyAV), the standard library's HTML, and arithmetic.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import av
import pytest

from voicekit.subtitles import Line, srt, vtt

Written = Callable[[Iterable[Line]], str]
LINES = [
    Line(0.0, 2.5, "The first sentence."),
    Line(2.75, 3600.0, "One hour; with ünïcödé, “quotes” and R&D <i>not italic</i>."),
    Line(3600.0, 360_000.0004, "More than 99 hours --> and an arrow."),
]
TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d)[.,](\d{3}) --> (\d{2,}):(\d\d):(\d\d)[.,](\d{3})$", re.M)


def times(document: str) -> list[tuple[int, int]]:
    """Start and end of each cue, ms."""
    found = []
    for match in TIMES.finditer(document):
        hours, minutes, seconds, rest, *end = map(int, match.groups())
        start_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
        found.append((start_ms, ((end[0] * 60 + end[1]) * 60 + end[2]) * 1000 + end[3]))
    return found


def rows(document: str) -> list[list[str]]:
    """The rows of text of each cue."""
    blocks = document.removeprefix("WEBVTT\n\n").strip("\n").split("\n\n")
    return [block[match.end() + 1 :].split("\n") for block in blocks if (match := TIMES.search(block))]


def columns(row: str) -> int:
    """How wide a terminal shows it."""
    return sum(
        0 if unicodedata.category(each) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in row
    )


def test_srt_is_written_as_players_expect_it() -> None:
    assert srt(LINES[:2]) == (
        "1\n00:00:00,000 --> 00:00:02,500\nThe first sentence.\n\n"
        "2\n00:00:02,750 --> 01:00:00,000\nOne hour; with ünïcödé, “quotes” and R&D\n<i>not italic</i>.\n\n"
    )


def test_vtt_is_written_as_browsers_expect_it() -> None:
    document = vtt(LINES)
    assert document.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nThe first sentence.\n\n")
    assert "R&amp;D\n&lt;i&gt;not italic&lt;/i&gt;." in document
    assert document.count("-->") == 3, "none in the text"
    assert html.unescape(" ".join(rows(document)[2])) == LINES[2].text
    assert srt(LINES).count("-->") == 3
    assert times(document)[2] == (3_600_000, 360_000_000)


@pytest.mark.parametrize("ending, written", [("srt", srt), ("vtt", vtt)])
def test_ffmpeg_reads_the_same_times_and_words(tmp_path: Path, ending: str, written: Written) -> None:
    wrapped = Line(2.75, 5.0, "R&D, and a second row that is long enough to be wrapped.")
    lines = [LINES[0], wrapped, Line(5, 6.2, "三。")]
    path = tmp_path / f"a.{ending}"
    path.write_text(written(lines), "utf-8")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    assert [round(1000 * float(packet.pts * packet.time_base)) for packet in packets] == [0, 2750, 5000]
    assert [round(1000 * float(packet.duration * packet.time_base)) for packet in packets] == [2500, 2250, 1200]
    words = [html.unescape(bytes(packet).decode()).split() for packet in packets]
    assert words == [line.text.split() for line in lines]


@pytest.mark.parametrize("written", [srt, vtt])
def test_no_cue_overlaps_goes_back_or_lasts_nothing(written: Written) -> None:
    lines = [Line(0.0004, 1.0006, "a"), Line(1.0004, 1.0004, "b"), Line(0.5, 0.6, "c"), Line(1.0021, 1.0021, "d"),
             Line(1.0022, 9.0, "e")]  # fmt: skip
    found = times(written(lines))
    assert len(found) == 5 and found[0] == (0, 1001) and found[4][1] == 9000
    assert all(start < end for start, end in found)
    assert all(first[1] <= second[0] for first, second in pairwise(found))
    moved = [abs(start - 1000 * line.start_s) for (start, _), line in zip(found, lines, strict=True)]
    assert max(moved[:2] + moved[3:]) < 3, "only what went back was moved"


TEXTS = {
    "English": "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
               "foolishness, it was the epoch of belief.",
    "one long word": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft " * 2,
    "Chinese": "這是一個很長的句子，沒有空格，所以必須在任意位置換行；但是標點符號不應該出現在一行的開頭。" * 2,
    "Japanese": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で、" * 2,
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।" * 2,
    "Arabic": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا.",
    "accents apart": "e\u0301" * 100,
    "address": "See https://example.org/a/very/long/address/that/has/no/space/in/it/at/all?and=more for more.",
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("written", [srt, vtt])
def test_rows_are_narrow_and_lose_nothing(name: str, written: Written) -> None:
    text = TEXTS[name]
    (found,) = rows(written([Line(0, 1, text)]))
    found = [html.unescape(row) for row in found]
    assert max(map(columns, found)) <= 42
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(row == row.strip() and row for row in found)
    assert len(found) <= columns(text) / 42 * 1.5 + 1, "no rows of a word or two"
    assert not any(row[0] in "，。；、" or unicodedata.combining(row[0]) for row in found)


def test_words_stay_whole_where_they_fit() -> None:
    (found,) = rows(srt([Line(0, 1, TEXTS["English"])]))
    assert [word for row in found for word in row.split()] == TEXTS["English"].split()


@pytest.mark.parametrize("written, head", [(srt, ""), (vtt, "WEBVTT\n\n")])
def test_blank_rows_and_controls_never_end_a_cue(written: Written, head: str) -> None:
    nasty = "First\r\n\r\n\n \t second\u2028\u2029third\x00\x1b fourth\x85fifth \ud800"
    document = written([Line(0, 1, nasty), Line(1, 2, " \n "), Line(2, 3, "last")])
    assert rows(document) == [["First second third fourth fifth"], ["last"]]
    assert not re.search(r"[\r\x00-\x09\x0b-\x1f\u2028\u2029\x85]", document)
    document.encode("utf-8")
    assert written([]) == head
