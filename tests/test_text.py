"""voicekit.text: cuts where a reader would pause, within the limits, losing nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voicekit.errors import TextError
from voicekit.text import (
    CLAUSE_GAP_S,
    LANGUAGES,
    MAX_CHARACTERS,
    MAX_TOKENS,
    PARAGRAPH_GAP_S,
    SENTENCE_GAP_S,
    clean,
    normalise_language,
    read_text,
    segments,
)

ENGLISH = (
    "Dr. Smith met Mr. J. Jones at half past three. He said: \"Stop!\" Then he left. The street was quiet, and the "
    "rain had begun; nobody was out. What had happened? Nobody knew. The lamps were lit early that evening, and the "
    "shops closed before six. It was the 12. of May, and 3.5 degrees colder than the day before."
)


def texts(text: str, language: str = "en", tokens: object = len) -> list[str]:
    return [segment.text for segment in segments(text, language, tokens)]  # type: ignore[arg-type]


def without_space(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_seventeen_languages() -> None:
    assert len(LANGUAGES) == 17


@pytest.mark.parametrize("language", LANGUAGES)
def test_limits_are_coquis(language: str) -> None:
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    assert MAX_CHARACTERS[language] == VoiceBpeTokenizer().char_limits[language.split("-")[0]]


@pytest.mark.parametrize(
    ("given", "code"), [("zh", "zh-cn"), ("ZH-CN", "zh-cn"), ("EN", "en"), ("pt-br", "pt"), ("zh_CN.UTF-8", "zh-cn")]
)
def test_language_codes(given: str, code: str) -> None:
    assert normalise_language(given) == code


@pytest.mark.parametrize("given", ["xx", "", "klingon", "e n"])
def test_unknown_languages_are_refused(given: str) -> None:
    with pytest.raises(TextError, match="does not speak"):
        normalise_language(given)


def test_a_text_that_fits_is_one_segment() -> None:
    assert texts("Hello there. How are you?") == ["Hello there. How are you?"]


def test_long_text_is_cut_at_sentence_ends_and_keeps_all() -> None:
    pieces = texts(ENGLISH * 3)
    assert without_space("".join(pieces)) == without_space(ENGLISH * 3)
    assert all(len(piece) <= MAX_CHARACTERS["en"] for piece in pieces)
    assert all(piece[-1] in '.!?"' for piece in pieces)


def test_abbreviations_and_initials_end_no_sentence() -> None:
    pieces = texts(ENGLISH * 3)
    assert not any(re.search(r"(Dr|Mr|J|12)\.$", piece) for piece in pieces)


def test_a_long_sentence_is_cut_at_clauses_then_at_words() -> None:
    clauses = "one two three four five six seven eight nine ten, " * 9
    assert all(piece.endswith(",") for piece in texts(clauses)[:-1])
    words = "word " * 120
    pieces = texts(words)
    assert len(pieces) > 1
    assert all(set(piece.split()) == {"word"} for piece in pieces)
    assert sum(len(piece.split()) for piece in pieces) == 120


def test_the_token_limit_cuts_too() -> None:
    pieces = texts("A short sentence of words. " * 8, tokens=lambda piece: 10 * len(piece))
    assert len(pieces) > 1
    assert all(10 * len(piece) <= MAX_TOKENS for piece in pieces)


def test_gaps_follow_the_ends() -> None:
    text = "First paragraph, one sentence. " * 12 + "\n\nSecond paragraph.\n\n" + "no end, " * 60
    found = segments(text, "en", len)
    assert found[0].gap_s == SENTENCE_GAP_S
    assert [segment.gap_s for segment in found if segment.text == "Second paragraph."] == [PARAGRAPH_GAP_S]
    assert found[-2].gap_s == CLAUSE_GAP_S


def test_chinese_and_japanese_are_cut_without_spaces() -> None:
    chinese = "今天天气很好，我们去公园吧。" * 20
    pieces = texts(chinese, "zh-cn")
    assert "".join(pieces) == chinese
    assert all(len(piece) <= MAX_CHARACTERS["zh-cn"] for piece in pieces)
    unbroken = "漢" * 300
    assert "".join(texts(unbroken, "ja")) == unbroken


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_stays_within_its_limit(language: str) -> None:
    own = {"zh-cn": "你好。", "ja": "こんにちは。", "hi": "नमस्ते दुनिया। ", "ar": "مرحبا بالعالم؟ "}
    text = own.get(language, "Abc def ghi. ") * 80
    pieces = texts(text, language)
    assert len(pieces) > 1
    assert all(len(piece) <= MAX_CHARACTERS[language] for piece in pieces)
    assert without_space("".join(pieces)) == without_space(text)


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "... --- !!!", "\u200b\u202e", "\x00\x01", "\ud800", "***\n\n---"])
def test_nothing_to_speak_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="nothing that can be spoken"):
        segments(text, "en", len)


def test_control_and_bidi_characters_are_taken_out() -> None:
    assert clean("a\x00b\u202ec\ud800d\r\ne") == "abcd\ne"


def test_a_word_that_no_segment_can_hold_is_refused_without_quoting_it() -> None:
    with pytest.raises(TextError, match="300 characters") as refused:
        segments("start " + "x" * 300 + " end", "en", len)
    assert "xxx" not in str(refused.value)


def test_a_line_without_letters_between_paragraphs_is_skipped() -> None:
    assert texts("One.\n\n* * *\n\nTwo.") == ["One.", "Two."]


@pytest.mark.parametrize("text", ["He said no. " * 20_000, "a. " * 40_000, "!" * 200 + " x"])
def test_long_runs_are_cut_in_linear_work(text: str) -> None:
    """Quadratic cutting took minutes on these; a test that hangs is seen."""
    pieces = texts(text)
    assert without_space("".join(pieces)) == without_space(text)


def test_a_run_of_marks_inside_a_word_is_refused_at_once() -> None:
    """Thirty thousand dots were tried from each of them on."""
    with pytest.raises(TextError, match="30001 characters"):
        segments("Hello " + "." * 30_000 + "x", "en", len)


def test_more_than_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="over 20 MB"):
        read_text("/dev/zero")
    with pytest.raises(TextError, match="cannot be read"):
        read_text(str(tmp_path / "missing.txt"))


SHORT = (
    "The village lay at the end of a long valley. In winter the road was closed for weeks, and nobody came. "
    "Oh. People told each other stories by the fire, and the oldest was about a clock that ran backwards."
)


def test_a_short_text_fills_the_batch_with_sentences() -> None:
    alone, together = ([each.text for each in segments(SHORT, "en", len, size)] for size in (1, 8))
    assert len(alone) == 1
    assert [text[:4] for text in together] == ["The ", "In w", "Peop"]  # "Oh." is a fragment, and joins a neighbour
    assert without_space("".join(together)) == without_space(SHORT)


def test_a_text_that_fills_the_batch_anyway_is_cut_the_same() -> None:
    assert segments(ENGLISH * 30, "en", len, 8) == segments(ENGLISH * 30, "en", len)
