"""How long a text takes to speak: typical, least and most seconds, per language.

People of all languages convey about as much in a second (Coupé et al. 2019, Science Advances 5, eaaw2594: 39 bits/s
in 17 languages), so languages differ by how many characters they write for it. English is read at some 15 characters
a second; the others follow from the length of the same text (the Universal Declaration of Human Rights, article 1),
and the syllabic scripts from syllables a second (Pellegrino et al. 2011, Language 87: Mandarin 5.2, Japanese 7.8).
Knows no sound. Bounds are wide: voices and moods differ by far more than languages.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

ALPHABET_S = 0.067  # a letter or a space: 15 a second
LETTER_S = {"cs": 0.08, "ar": 0.095}  # languages that write less for the same: no articles, no short vowels
SYLLABLE_S = {"ko": 0.14, "zh-cn": 0.21, "ja": 0.25}  # a Hangul syllable, a Chinese character; in Japan it is two morae
KANA_S = 0.13  # one mora
# Digits and symbols are read out: "1000" as one thousand, "1999" as nineteen ninety-nine, "%" as per cent.
DIGIT_S = (0.15, 0.33, 0.55)  # least, typical, most
SYMBOL_S = (0.0, 0.3, 0.5)
CAPITAL_S = 0.2  # the most of one in a row of capitals, which may be spelt

# Times the typical rate. 151 English readings of known texts by 30 voices take 0.6 to 1.35 of the typical seconds.
FASTEST, SLOWEST = 2.0, 2.0
LEAST_S = 0.15  # less is not asked of any text: short words are swallowed
MOST_S = 0.4  # more than the rate allows, for any text: a word alone is spoken slowly
_SYMBOLS = frozenset("%&@#°+=$€£¥₽₺₹<>/*§")
_CAPITALS = re.compile(r"[^\W\d_a-zà-öø-ÿа-яё]{2,}")


@dataclass(frozen=True)
class SpokenSeconds:
    """How long a text takes without its pauses: at least, typically, at most."""

    least: float
    typical: float
    most: float


def spoken_seconds(text: str, language: str, speed: float = 1.0) -> SpokenSeconds:
    """The plausible seconds of a text, its pauses not counted.

    Args:
        text: as it is spoken; digits and symbols may stand in it.
        language: one of `voicekit.text.LANGUAGES`; the code itself does not matter for scripts that are told by sight.
        speed: times as fast as normal, above 0.
    """
    letters = digits = symbols = 0.0
    for character in " ".join(unicodedata.normalize("NFC", text).split()):
        if character.isdecimal():
            digits += 1
        elif character in _SYMBOLS:
            symbols += 1
        else:
            letters += _seconds(character, language)
    capitals = CAPITAL_S * sum(len(found) for found in _CAPITALS.findall(text) if found.isupper())
    least, typical, most = (letters + digits * digit + symbols * symbol
                            for digit, symbol in zip(DIGIT_S, SYMBOL_S, strict=True))  # fmt: skip
    return SpokenSeconds(
        max(0.0, least / FASTEST - LEAST_S) / speed, typical / speed, ((most + capitals) * SLOWEST + MOST_S) / speed
    )


def _seconds(character: str, language: str) -> float:
    """Of a letter, a mark on one, or a space, in this language; 0 for punctuation."""
    if "\u3040" <= character <= "\u30ff":
        return KANA_S
    if "\uac00" <= character <= "\ud7a3":
        return SYLLABLE_S["ko"]
    if "\u3400" <= character <= "\u9fff":
        return SYLLABLE_S.get(language, SYLLABLE_S["zh-cn"])
    if character == " " or unicodedata.category(character)[0] in "LM":
        return LETTER_S.get(language, ALPHABET_S)
    return 0.0
