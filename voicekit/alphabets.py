"""How well a text fits a language's writing: what tells a right guess of an encoding from a wrong one.

A legacy text that is read in the wrong encoding shows letters that its language has not, capitals in the middle of
words, or rare characters in place of everyday ones. This module counts these; it knows no bytes and no encodings,
save that Korean's everyday syllables are those of KS X 1001.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

# Letters beyond ASCII: the alphabets, and what common loan words need.
_LETTERS = {
    "en": "éèêëàâçñöüïôæœ",
    "de": "äöüßéèà",
    "fr": "àâæçéèêëîïôœùûüÿ",
    "es": "áéíñóúüªº",
    "it": "àèéìíîòóùúªº",
    "pt": "áâãàçéêíóôõúüªº",
    "nl": "áéíóúàèëïöüêç",
    "pl": "ąćęłńóśźż",
    "cs": "áčďéěíňóřšťúůýž",
    "hu": "áéíóöőúüű",
    "tr": "çğıöşüâîûİ",
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "el": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",
    "he": "אבגדהוזחטיךכלםמןנסעףפץצקרשת"
          "\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6\u05b7\u05b8\u05b9\u05bb\u05bc\u05c1\u05c2",
    "ar": "ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىي\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652،؛؟\u200c\u200d",
}
LANGUAGES = (*_LETTERS, "ja", "zh", "ko")
_MARKS = frozenset("\u00a0\u00ad“”‘’„‚«»‹›–—…•·°§©®™€£¢½¼¾²³´×÷¡¿№ˇ")
_WIDE_MARKS = frozenset("，。、；：？！（）「」『』《》〈〉【】〔〕“”‘’…—～·・　％＆／＋－＝￥ー々〜")
# Everyday characters, simplified and traditional: about a third of any Chinese prose.
_CHINESE = frozenset(
    "的一是不了在人有我他这這中大来來上个個国國说說到们們为為子和你地出道也时時年得就那要下以生会會自着著去之过過家学學"
    "对對可她里裡后後小么麼心多天而能好都然没沒日于於起还還发發成事只作当當想看文无無开開手与與其所面前老头頭方又如从從"
)
_MIN_KANA_SHARE = 0.15
_MIN_CHINESE_SHARE = 0.1
_UNLIKELY = 0.5  # as bad as half of the characters being foreign


def misfit(text: str, language: str) -> float:
    """The share of the characters beyond ASCII that do not belong to this writing; 0 fits, 1 and more does not.

    Args:
        text: a sample; some thousand characters say enough.
        language: one of ``LANGUAGES``.
    """
    beyond = [character for character in text if character > "\x7f"]
    if not beyond:
        return 0.0
    if language in _LETTERS:
        letters = _alphabet(language)
        foreign = sum(character not in letters for character in beyond)
        return (foreign + _case_flips(text)) / len(beyond)
    return _WIDE[language](beyond)


@functools.cache
def _alphabet(language: str) -> frozenset[str]:
    letters = _LETTERS[language]
    return frozenset(letters) | frozenset(letters.upper()) | _MARKS


def _case_flips(text: str) -> int:
    """Capitals right after a small letter, one of them beyond ASCII: KOI8 read as Windows-1251 is full of them."""
    return sum(
        first.islower() and second.isupper() and max(first, second) > "\x7f"
        for first, second in itertools.pairwise(text)
    )


def _japanese(beyond: list[str]) -> float:
    kana = sum("\u3041" <= character <= "\u30fe" for character in beyond)
    known = sum("\u3041" <= each <= "\u30fe" or _is_han(each) or each in _WIDE_MARKS or _is_full(each)
                for each in beyond)
    return (len(beyond) - known) / len(beyond) + (_UNLIKELY if kana < _MIN_KANA_SHARE * len(beyond) else 0.0)


def _chinese(beyond: list[str]) -> float:
    everyday = sum(character in _CHINESE for character in beyond)
    known = sum(_is_han(each) or each in _WIDE_MARKS or _is_full(each) for each in beyond)
    rare = everyday < _MIN_CHINESE_SHARE * len(beyond)
    return (len(beyond) - known) / len(beyond) + (_UNLIKELY if rare else 0.0)


def _korean(beyond: list[str]) -> float:
    syllables = _everyday_syllables()
    return sum(each not in syllables and each not in _WIDE_MARKS for each in beyond) / len(beyond)


def _is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def _is_full(character: str) -> bool:
    return "\uff01" <= character <= "\uff5e"


@functools.cache
def _everyday_syllables() -> frozenset[str]:
    cells = (bytes((row, column)) for row in range(0xB0, 0xC9) for column in range(0xA1, 0xFF))
    return frozenset(cell.decode("euc_kr", "ignore") for cell in cells)


_WIDE: dict[str, Callable[[list[str]], float]] = {"ja": _japanese, "zh": _chinese, "ko": _korean}
