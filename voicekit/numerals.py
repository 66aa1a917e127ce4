"""Numbers and signs into words where coqui's tokenizer cannot: so that it never raises and drops none of them.

coqui reads numbers with num2words, which knows no Hindi numbers and no Czech ordinals and gives up on long ones; in
Japanese it reads none. What it can read is left to it, and it is asked itself: what it makes of a text is decided
by its own code alone.
"""

from __future__ import annotations

import contextlib
import functools
import re
import unicodedata
from collections.abc import Callable

from voicekit import number_words

_READ_HERE = {"ja", "hi"}  # coqui reads no number in these
_NUMBERS_DROPPED = {"ar", "tr"}  # of some numbers, very small or very large, num2words says nothing here
_COMMA_GROUPS = {"en", "ja", "zh-cn", "ko", "hi"}  # 1,000,000.5; elsewhere 1.000.000,5
_NO_SPACES = {"zh-cn", "ja", "ko"}
_EUROS_READ = {"en", "es", "fr", "de", "it", "pt", "pl", "ru", "nl", "cs", "hu"}  # by num2words, as 20€
_LONGEST_DIGITS = 15  # longer numbers are spelt

_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
# Superscripts, fractions, roman numerals that are one sign, numbers in circles and brackets; ² and ³ have names.
_NUMERIC = re.compile(
    "[\xb9\xbc-\xbe\u2070\u2074-\u2079\u2080-\u2089\u2150-\u2188\u2460-\u249b\u24ea\u3220-\u3229\u3280-\u3289]"
)
_PLAIN = re.compile(r"[a-zA-Z\s.,;:!?'\"()]*")
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_SEPARATOR = re.compile(r"[.,]")
_ARABIC_POINT = re.compile(r"(?<=[0-9])\u066b(?=[0-9])")
_ARABIC_COMMA = re.compile(r"(?<=[0-9])\u066c(?=[0-9])")
_EURO_AFTER = re.compile(r"(?<=[0-9])\s€")
_EURO_BEFORE = re.compile(r"€\s(?=[0-9])")
_AMOUNT_BEFORE = re.compile(r"€([0-9](?:[0-9.,]*[0-9])?)")
_SIGNED = re.compile(r"(?:(?<=[\s(\"'])|\A)-(?=[0-9])")
_CLOCK = re.compile(r"(?<![0-9:])([0-9]{1,2}):([0-5][0-9])(?![0-9:])")
_TELEPHONE = re.compile(r"(?<![0-9.,-])0[0-9]*(?:-[0-9]+)+")
_CZECH_ORDINAL = re.compile(r"(?<![0-9.,])([0-9]{1,9})\.(?=\s+([^\W\d_]))(?=\s+([^\W\d_]+))")
_HINDI_ORDINAL = re.compile(r"(?<![0-9.,])([0-9]{1,9})(?:st|nd|rd|th)\b", re.IGNORECASE)
_OVERLONG = re.compile(r"[0-9][0-9.,]{40,}")  # coqui's patterns take cubic time on these
_TOKEN = re.compile(r"\S*[0-9]\S*")


def spoken_form(text: str, language: str) -> str:
    """What is handed to coqui's `VoiceBpeTokenizer.encode(text.strip().lower(), language)`. O(characters) time.

    The text as it is where coqui reads all of it. Else with its numbers and signs in words: those in signs that the
    vocabulary lacks (Eastern and superscript digits, fractions, the euro sign), all numbers in Japanese and Hindi, and
    elsewhere the words in which a number has num2words give up.
    """
    if _PLAIN.fullmatch(text):
        return text
    text = _western_digits(text, language)
    text = _named_signs(text, language)
    if not any("0" <= character <= "9" for character in text):
        return text
    if language in _READ_HERE:
        return read_numbers(text, language)
    if "€" in text and not _reads_euros(text, language):
        text = _AMOUNT_BEFORE.sub(r"\1 €", text).replace("€", f" {number_words.signs(language)['€']} ")
    text = _OVERLONG.sub(lambda match: read_numbers(match[0], language), text)
    if language in _NUMBERS_DROPPED:
        text = _NUMBER.sub(lambda match: match[0] if _says(match[0], language) else _number(match[0], language), text)
    if _reads(text, language):
        return text
    if language == "cs":
        text = _czech_ordinals(text)
    text = _TOKEN.sub(lambda token: token[0] if _reads(token[0], language) else read_numbers(token[0], language), text)
    return text if _reads(text, language) else read_numbers(text, language)


def expanded(text: str, language: str) -> str:
    """The text as coqui reads it out: numbers, abbreviations and symbols in words, before Latin letters are put for
    Chinese, Japanese and Korean ones. Its length is what the language's limit is compared with.
    """
    spoken = spoken_form(text, language).strip().lower()
    return spoken if language == "ja" else _cleaners()(spoken, language.split("-")[0])


def read_numbers(text: str, language: str) -> str:
    """The text with every run of digits in words; digit by digit where there are no words for it."""
    if language == "hi":
        text = _HINDI_ORDINAL.sub(lambda match: number_words.hindi_ordinal(int(match[1])), text)
    if language in ("ja", "zh-cn"):
        text = _CLOCK.sub("\\1時\\2分" if language == "ja" else "\\1点\\2分", text)
    text = _TELEPHONE.sub(lambda match: _telephone(match[0], language), text)
    return _NUMBER.sub(lambda match: _spaced(match, _number(match[0], language), language), text)


def _reads(text: str, language: str) -> bool:
    """Whether coqui's own text cleaning gets through."""
    cleaners = _cleaners()
    with contextlib.suppress(Exception):  # num2words raises what it likes: NotImplementedError, KeyError, IndexError
        cleaners(text.strip().lower(), language.split("-")[0])
        return True
    return False


def _says(number: str, language: str) -> bool:
    with contextlib.suppress(Exception):
        return bool(_cleaners()(number, language).strip())
    return False


def _reads_euros(text: str, language: str) -> bool:
    """Whether coqui says every euro: an amount with marks that it cannot tell apart keeps it from all of them."""
    with contextlib.suppress(Exception):
        return "€" not in _cleaners()(text.strip().lower(), language.split("-")[0])
    return False


def _cleaners() -> Callable[[str, str], str]:
    from TTS.tts.layers.xtts.tokenizer import multilingual_cleaners

    return multilingual_cleaners  # type: ignore[no-any-return]


# --- signs -------------------------------------------------------------------------------------------------


def _western_digits(text: str, language: str) -> str:
    """0 to 9 for the digits of other scripts, ``1/2`` for ½, plain letters for the one sign Ⅳ."""
    if language != "zh-cn":  # there coqui knows them
        text = _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
        text = _ARABIC_COMMA.sub(",", _ARABIC_POINT.sub(".", text))
    return _NUMERIC.sub(lambda match: _in_plain_signs(match[0]), text)


def _in_plain_signs(character: str) -> str:
    return f" {unicodedata.normalize('NFKC', character)} ".replace("\u2044", "/")


def _named_signs(text: str, language: str) -> str:
    """Names for the signs that coqui drops in this language; of a currency behind the amount."""
    names = number_words.signs(language)
    text = _EURO_BEFORE.sub("€", _EURO_AFTER.sub("€", text))
    space = "" if language in _NO_SPACES else " "
    text = _amount(language).sub(lambda match: f"{match[2]}{space}{names[match[1]]}", text)
    text = _SIGNED.sub(f"{names['-']} ", text)
    return _sign(language).sub(lambda match: f"{space}{names[match[0]]}{space}", text)


@functools.cache
def _amount(language: str) -> re.Pattern[str]:
    currencies = "".join(sign for sign in "€¥₹$£" if _is_named(sign, language))
    return re.compile(rf"([{currencies}])\s?([0-9](?:[0-9.,]*[0-9])?)")


@functools.cache
def _sign(language: str) -> re.Pattern[str]:
    signs = "".join(re.escape(sign) for sign in number_words.signs(language) if sign not in "-€")
    return re.compile(f"[{signs}€]" if _is_named("€", language) else f"[{signs}]|(?<![0-9])€(?![0-9])")


def _is_named(currency: str, language: str) -> bool:
    """Whether an amount in it is named here; the others coqui reads beside their number."""
    return currency in number_words.signs(language) and not (currency == "€" and language in _EUROS_READ)


def _czech_ordinals(text: str) -> str:
    return _CZECH_ORDINAL.sub(_czech_ordinal, text)


def _czech_ordinal(match: re.Match[str]) -> str:
    """Before a small letter an ordinal, before a month in the genitive; else the end of a sentence."""
    if match[2].isupper():
        return match[0]
    ordinal = number_words.czech_ordinal(int(match[1]))
    return number_words.czech_genitive(ordinal) if match[3].lower() in number_words.CZECH_MONTHS else ordinal


# --- numbers -----------------------------------------------------------------------------------------------


def _number(written: str, language: str) -> str:
    """``1.234,5`` in words, by the marks that the language uses; other marks part numbers."""
    group, point = (",", ".") if language in _COMMA_GROUPS else (".", ",")
    whole, mark, decimals = written.partition(point)
    parts = whole.split(group)
    is_grouped = len(parts) > 1 and len(parts[0]) <= 3 and all(len(part) in (2, 3) for part in parts[1:])
    is_decimal = bool(mark) and not _SEPARATOR.search(decimals)
    if is_grouped and len(parts[-1]) == 3 and (is_decimal or not mark):
        parts = ["".join(parts)]
    if len(parts) == 2 and not mark:  # 12.5 in German, 12,5 in English: a decimal all the same
        parts, decimals, is_decimal = parts[:1], parts[1], True
    if len(parts) > 1 or (mark and not is_decimal):
        return " ".join(_whole(part, language) for part in _SEPARATOR.split(written))
    if not is_decimal:
        return _whole(parts[0], language)
    words = (_whole(parts[0], language), number_words.POINT[language], number_words.spelt(decimals, language))
    return ("" if language in ("ja", "zh-cn") else " ").join(words)


def _telephone(written: str, language: str) -> str:
    return " ".join(number_words.spelt(part, language) for part in written.split("-"))


def _whole(digits: str, language: str) -> str:
    is_spelt = len(digits) > _LONGEST_DIGITS or (digits[0] == "0" and len(digits) > 1)
    if not is_spelt and language != "zh-cn":
        with contextlib.suppress(Exception):
            return number_words.cardinal(int(digits), language)
    return number_words.spelt(digits, language)


def _spaced(match: re.Match[str], words: str, language: str) -> str:
    """With a space towards a letter beside it, where words have spaces between them."""
    if language in _NO_SPACES:
        return words
    text = match.string
    before = text[match.start() - 1] if match.start() else " "
    after = text[match.end()] if match.end() < len(text) else " "
    return " " * _parts(before, language) + words + " " * _parts(after, language)


def _parts(character: str, language: str) -> bool:
    """A Hindi ending clings to its number."""
    return character.isalpha() and not (language == "hi" and character > "\u0900")
