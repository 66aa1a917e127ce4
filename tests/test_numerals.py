"""voicekit.numerals: coqui's tokenizer never raises, reads all numbers, and is left alone where it can."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.real_sentences import SENTENCES
from voicekit import number_words
from voicekit.errors import TextError
from voicekit.numerals import expanded, spoken_form
from voicekit.text import LANGUAGES, clean

Read = Callable[[str, str], str]


@pytest.fixture(scope="module")
def read() -> Read:
    """What coqui makes of a text as the project hands it over, before it is cut into tokens."""
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    tokenizer: Any = VoiceBpeTokenizer()
    return lambda text, language: tokenizer.preprocess_text(
        spoken_form(text, language).strip().lower(), language.split("-")[0]
    )


NUMBERS = (
    "5", "0", "8.", "0.", "12345", "007", "1st", "2nd", "3rd", "8th", "0th", "100th", "3º", "1ª", "1er", "2ème",
    "3-й", "7-я",
    "3번째", "0번째", "3번", "3ون", "5ين", "4ث", "1de", "3ste", "5inci", "3üncü", "2adik", "8ödik", "12.5", "12,5",
    "1,000,000", "1.000.000,50", "1,234,567.89", "1.2.3.4", "1,2,3", "0.5", "0,000001", "0.0000000001",
    "1234567.1234567891", "$20", "$20.50", "£20", "20€", "20 €", "€1.234,56",
    "$1.2.3", "$.5", "5$", "$1e5", "¥500",
    "₹500", "R$ 5", "1:30", "10:30", "2026-11-23", "05/06/2026", "8.5.1945", "99%", "-5°", "5×3", "1/2", "1.5e-7",
    "10x10",
    "a1b2", "090-1234-5678", "№ 5", "9" * 15, "9" * 16, "9" * 40, "9" * 60, "9" * 400,
    "$" + "9" * 40,
    "1" + "0" * 30 + ".5", "x²", "m³", "½", "2½", "10⁶", "H₂O", "①", "Ⅳ",
     "٣٤", "٣٫٥", "۱۲", "३४", "１２", "𝟘", "㈠", "二十",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_number_makes_coqui_raise(language: str, read: Read) -> None:
    for number in NUMBERS:
        for text in (number, f"{number} x", f"x {number} y.", f"x{number}y", f"{number} {number}"):
            assert read(text, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_number_that_python_itself_refuses(language: str, read: Read) -> None:
    assert read("9" * 5000, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_makes_coqui_raise(language: str, read: Read) -> None:
    chance = random.Random(f"fuzz {language}")
    signs = "0123456789.,:;/-+$£€¥%&@#° \"'()xXеяд番回年月日分円가나번차عربيثىअआहिन्दी²½①٣४１\u200d、。！？ßİıſㅋ𠮷♥"
    bits = [*NUMBERS, *signs]
    for _ in range(400):
        text = "".join(chance.choice(bits) for _ in range(chance.randint(1, 25)))[:600]
        try:
            text = clean(text)
        except TextError:
            continue
        read(text, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_digit_is_left(language: str, read: Read) -> None:
    """Pinyin's tones apart; and signs that the released vocabulary lacks."""
    for number in NUMBERS:
        result = read(f"x {number} y", language)
        left = {character for character in result if character.isdigit() or character in "½Ⅳ€$£¥₹²³%+"}
        assert not left - set("12345" if language == "zh-cn" else ""), number


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code not in ("hi", "ja")])
def test_what_coqui_reads_is_left_to_it(language: str) -> None:
    """So that the numbers of the released model stay as they are."""
    ordinal = {"de": "Am 3. Mai", "ru": "3-й дом", "ko": "3번째", "en": "the 3rd"}.get(language, "3")
    for text in ("In 1999 x 50, y 12,5 z.", ordinal, "5 & 6 or 100.000", "(7) 10:30 3/4"):
        if language != "zh-cn" or "&" not in text:
            assert spoken_form(text, language) == text
    assert spoken_form("No number, and Roman XIV.", language) == "No number, and Roman XIV."


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_symbol_has_a_name(language: str, read: Read) -> None:
    alone = read("x y", language)
    for symbol in "&@%#$£°€¥₹+÷²³":
        named = read(f"x {symbol} y", language)
        assert symbol not in named
        assert len(named) > len(alone) + 1, symbol


@pytest.mark.parametrize(
    ("language", "written", "expected"),
    [
        ("hi", "5 सेब और 99 आम", "पाँच सेब और निन्यानवे आम"),
        ("hi", "1,00,000 या 1234567", "एक लाख या बारह लाख चौंतीस हज़ार पाँच सौ सड़सठ"),
        ("hi", "8वाँ, 8th और 1st", "आठवाँ, आठवाँ और पहला"),
        ("hi", "12.5 और ₹500", "बारह दशमलव पाँच और पाँच सौ रुपये"),
        ("hi", "२०२६ में", "दो हज़ार छब्बीस में"),
        ("cs", "8. května 1945", "osmého května 1945"),
        ("cs", "V 21. století a 3. kapitola", "V dvacátý první století a třetí kapitola"),
        ("cs", "Bylo to v roce 1999. Pak odešel.", "Bylo to v roce tisíc devětset devadesát devět. Pak odešel."),
        ("ja", "2026年11月23日、10:30に3匹", "二千二十六年十一月二十三日、十時三十分に三匹"),
        ("ja", "100%と$20", "百パーセントと二十ドル"),
        ("ko", "0번째", "영번째"),
        ("en", "٣٤ and x² and 2½", "34 and x squared  and 2 1/2 "),
        ("de", "3,50 € und -5 Grad", "3,50€ und minus 5 Grad"),
        ("ar", "$20", "20 دولار"),
        ("zh-cn", "$20", "20美元"),
        ("en", "€1.234,56", "1.234,56  euros "),
        ("tr", "20 €", "20 avro "),
    ],
)
def test_readings(language: str, written: str, expected: str) -> None:
    assert spoken_form(written, language) == expected


def test_hindi_numbers_are_a_hundred_different_words() -> None:
    """As CLDR and the schoolbooks list them: spot checks where the forms are easily mixed up."""
    assert len(set(number_words.HINDI)) == 100
    known = {0: "शून्य", 19: "उन्नीस", 29: "उनतीस", 39: "उनतालीस", 49: "उनचास", 50: "पचास", 59: "उनसठ", 69: "उनहत्तर",
             79: "उन्यासी", 89: "नवासी", 90: "नब्बे", 99: "निन्यानवे"}  # fmt: skip
    assert {number: number_words.HINDI[number] for number in known} == known


def test_czech_ordinals() -> None:
    assert [number_words.czech_ordinal(number) for number in (1, 13, 20, 31, 100)] == [
        "první", "třináctý", "dvacátý", "třicátý první", "stý",
    ]  # fmt: skip
    assert number_words.czech_genitive("třicátý první") == "třicátého prvního"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_expanded_text_is_what_coqui_reads_out(language: str, read: Read) -> None:
    for sentence in SENTENCES[language]:
        result = expanded(sentence, language)
        assert not any("0" <= character <= "9" for character in result)
        if language not in ("ja", "zh-cn", "ko"):  # these are put in Latin letters afterwards
            assert result == read(sentence, language)
