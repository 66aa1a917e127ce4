"""voicekit.language_check: never doubts a text in its own language, and sees most that are in another."""

from __future__ import annotations

import itertools

import pytest

from tests.real_sentences import SENTENCES
from voicekit.language_check import looks_like
from voicekit.text import LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_false_alarm(language: str) -> None:
    """Neither on a sentence, nor on two, nor on all of them, whatever their case."""
    sentences = SENTENCES[language]
    assert len(sentences) >= 6
    for text in (*sentences, *map(" ".join, itertools.pairwise(sentences)), " ".join(sentences)):
        assert looks_like(text, language) is None
        assert looks_like(text.upper(), language) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_paragraph_in_another_language_is_seen(language: str) -> None:
    text = " ".join(SENTENCES[language])
    for asked in LANGUAGES:
        assert looks_like(text, asked) == (language if asked != language else None)


def test_most_single_sentences_are_seen() -> None:
    found = [looks_like(text, "en") == code for code in LANGUAGES if code != "en" for text in SENTENCES[code]]
    assert sum(found) / len(found) > 0.8


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Guten Morgen", "en"),  # too short to say
        ("12345 67890 " * 20, "en"),
        ("", "ja"),
        ("He said “déjà vu” and “raison d'être”, and ordered a croissant with his café au lait.", "en"),
        ("Mein Lieblingsfilm ist „The Good, the Bad and the Ugly“, den habe ich oft gesehen.", "de"),
        ("それはOpenAIのGPTやGoogle Geminiなどの大規模言語モデル(Large Language Models)のことです。", "ja"),
        ("Siehe https://www.example.org/this-is-a-very-long-english-address-with-many-words", "de"),
        ("Say it. [language:de]" + " ".join(SENTENCES["de"]) + "[language] That was German, as they speak it.", "en"),
    ],
)
def test_what_is_not_clear_is_passed_over(text: str, language: str) -> None:
    assert looks_like(text, language) is None


def test_han_characters_alone_are_chinese_and_with_kana_japanese() -> None:
    assert looks_like("今天天气很好，我们一起去公园里散步，然后回家吃饭。" * 2, "ja") == "zh-cn"
    assert looks_like("東京特許許可局局長は今日も急遽許可却下を発表した。" * 2, "zh-cn") == "ja"
