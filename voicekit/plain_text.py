"""Typographic marks into the plain ones that XTTS was trained on; the words stay as they are.

Curly quotes, guillemets, dashes, ellipses, bullets and invisible characters set the model off: it babbles, or skips
what follows. Numbers are left to `voicekit.numerals`, except that a very long one falls into its digits.
"""

from __future__ import annotations

import re

from voicekit.rewritten import Replacement, Rewritten

LONG_NUMBER_DIGITS = 13  # as many are no amount any more, and spelt out too long for one segment

# "dot", "slash" in an address, as they are said [ours].
_DOT_AND_SLASH = {
    "en": ("dot", "slash"), "es": ("punto", "barra"), "fr": ("point", "barre oblique"), "de": ("Punkt", "Schrägstrich"),
    "it": ("punto", "barra"), "pt": ("ponto", "barra"), "pl": ("kropka", "ukośnik"), "tr": ("nokta", "bölü"),
    "ru": ("точка", "слэш"), "nl": ("punt", "schuine streep"), "cs": ("tečka", "lomítko"), "ar": ("نقطة", "شرطة مائلة"),
    "zh-cn": ("点", "斜杠"), "ja": ("ドット", "スラッシュ"), "hu": ("pont", "perjel"), "ko": ("점", "슬래시"),
    "hi": ("डॉट", "स्लैश"),
}  # fmt: skip
_SPACED_THOUSANDS = {"fr", "ru", "pl", "cs", "hu"}  # where a plain space parts them too
_NO_SPACES = {"zh-cn", "ja"}

_ADDRESS = re.compile(
    r"(?<![\w@])(?:https?://|www\.)[^\s<>\"'“”«»（）。，、]{3,}|(?<![\w.@+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    re.ASCII | re.IGNORECASE,
)
_WWW = re.compile(r"^(?:https?://)?(?:www\.)?", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]{2,}")
_UNSEEN = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+")
_PICTURES = re.compile("[\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\u200d\u20e3]+(?<![\u200d])")
_BULLET = "[•‣◦▪■●○∙·*❖➤►✓✔\u2043]"
_FIRST_BULLET = re.compile(rf"\A\s*(?:{_BULLET}|[-–—])\s+")
_BULLET_AFTER_WORD = re.compile(rf"(?<=[^\W_])[^\S\n]*\n\s*(?:{_BULLET}|-)\s+")
_BULLET_LINE = re.compile(rf"\n\s*(?:{_BULLET}|-)\s+")
_TYPED_THOUSANDS = re.compile("(?<![\\d.,])\\d{1,3}(?:[\u00a0\u2007\u2009\u202f]\\d{3})+(?!\\d)")
_ANY_THOUSANDS = re.compile("(?<![\\d.,])(?<!\\d[ \u00a0])\\d{1,3}(?:[ \u00a0\u2007\u2009\u202f]\\d{3})+(?!\\d)")
_INNER_SPACE_FIRST = re.compile(r"(?:(?<=[\s(\"'])|\A)[«‹]\s+")
_INNER_SPACE_LAST = re.compile(r"\s+[»›](?=[\s.,;:!?…)—–]|\Z)")
_DOUBLE_QUOTE = re.compile("[“”„‟«»‹›〝〞〟＂「」『』《》〈〉【】]")
_SINGLE_QUOTE = re.compile("[‘’‚‛]")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])[´`ʼ′＇](?=[^\W\d_])")
_HYPHEN = re.compile("[\u2010\u2011\u2012\u2212\u00ad\ufe63\uff0d]")
_RANGE = re.compile(r"(?<=\d)\s?[–—]\s?(?=\d)|(?<=[^\W\d_])–(?=[^\W\d_])")
_WIDE_DASH = re.compile("(?:——?|──?)(?=[^\\x00-\\x7f])")
_DASH = r"(?<![-–—])(?:[–—―⸺]++|-{2,}+)"
_DASH_LAST = re.compile(rf"(?<=[^\W_])\s*{_DASH}(?=[\"')]*\s*\Z|[\"'](?=\s|\Z))")
_DASH_AFTER_MARK = re.compile(rf"(?:(?<=[.,;:!?…(])|(?<=[.,;:!?…(\s][\"'])|\A)\s*(?:{_DASH}|(?<=\s)-(?=\s))\s*")
_DASH_BETWEEN = re.compile(rf"\s*(?:{_DASH}\s*|(?<=\s)-(?=\s)\s*)([.,;:!?]?)")
_ELLIPSIS = re.compile(r"(?:\.(?: ?\.){2}|…)(?: ?[.…])*")
_REPEATED = re.compile(r"([!?,;:~_=*#|/\\<>+\"'()-])\1{3,}")
_LONG_NUMBER = re.compile(rf"[0-9]{{{LONG_NUMBER_DIGITS},}}")
_OPENING = re.compile(r"[\[{]")
_CLOSING = re.compile(r"[\]}]")
# Read by nobody, and not in the vocabulary.
_NAMELESS = re.compile(r"[\\^~§¶†‡|<>©®™]|(?<![^\W_])[*_`]+|[*_`]+(?![^\W_])")
_SPACE = re.compile(r"\s+")


def plain(text: str, language: str = "en") -> str:
    """The text in plain marks. O(characters) time."""
    return rewrite(Rewritten.of(text), language).text


def rewrite(given: Rewritten, language: str) -> Rewritten:
    """As `plain`, keeping where each character comes from."""
    for pattern, replacement in _rules(language):
        given = given.sub(pattern, replacement)
    return given


def _rules(language: str) -> list[tuple[re.Pattern[str], Replacement]]:
    """What replaces what, in this order; the quotes need a memory, so that it is made afresh for each text."""
    thousands = _ANY_THOUSANDS if language in _SPACED_THOUSANDS else _TYPED_THOUSANDS
    dash = "，" if language in _NO_SPACES else ", "
    return [
        (_ADDRESS, lambda match: _spoken_address(match, language)),
        (_SPACES, " "),
        (_UNSEEN, ""),
        (_FIRST_BULLET, ""),
        (_BULLET_AFTER_WORD, dash),
        (_BULLET_LINE, " "),
        (_PICTURES, " "),
        (thousands, lambda match: _SPACE.sub("", match[0])),
        (_INNER_SPACE_FIRST, '"'),
        (_INNER_SPACE_LAST, '"'),
        (_DOUBLE_QUOTE, '"'),
        (_SINGLE_QUOTE, _Quotes().plain),
        (_APOSTROPHE, "'"),
        (_HYPHEN, "-"),
        (_RANGE, "-"),
        *([(_WIDE_DASH, "，")] if language in _NO_SPACES else []),
        (_ELLIPSIS, "…" if language in _NO_SPACES else "..."),
        (_DASH_LAST, "..."),
        (_DASH_AFTER_MARK, " "),
        (_DASH_BETWEEN, lambda match: match[1] or dash),
        (_OPENING, "("),
        (_CLOSING, ")"),
        (_REPEATED, lambda match: match[1] * 3),
        (_NAMELESS, " "),
        (_LONG_NUMBER, lambda match: " ".join(match[0])),
        (_SPACE, " "),
    ]


class _Quotes:
    """Tells single quotes from apostrophes by what came before."""

    def __init__(self) -> None:
        self._is_open = False

    def plain(self, match: re.Match[str]) -> str:
        text, place = match.string, match.start()
        after_letter = place > 0 and text[place - 1].isalnum()
        before_letter = place + 1 < len(text) and text[place + 1].isalnum()
        if after_letter and before_letter:
            return "'"
        if match[0] != "’":
            self._is_open = before_letter or self._is_open
            return '"' if before_letter else "'"
        closes = not before_letter and (self._is_open or not after_letter)
        self._is_open = self._is_open and not closes
        return '"' if closes else "'"


def _spoken_address(match: re.Match[str], language: str) -> str:
    """``https://www.example.org/a-b`` as "example dot org slash a b"; the at sign is read with the other symbols."""
    dot, slash = _DOT_AND_SLASH[language]
    address = match[0].rstrip(".,;:!?…)]")
    after = match[0][len(address) :]
    words = _WWW.sub("", address).rstrip("/")
    words = words.replace(".", f" {dot} ").replace("/", f" {slash} ")
    return re.sub(r"[\s\-_?=~:;]+", " ", words).strip() + after
