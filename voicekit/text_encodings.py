"""Bytes -> text: byte order marks first, then UTF-8, then the legacy encoding that fits best.

A legacy encoding cannot be known, only judged: each candidate is tried, and the one wins in which the text fits the
writing of its language. The caller's language is looked at first, since a short text fits several. Where no language
fits, charset-normalizer decides. This module knows neither files nor what the text is for.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from voicekit.alphabets import LANGUAGES, misfit
from voicekit.errors import TextError
from voicekit.file_signatures import is_binary, name_of

_MARKS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WESTERN, _CENTRAL = ("cp1252",), ("cp1250", "iso8859_2")
_OF_LANGUAGE = {  # likeliest first
    "en": _WESTERN, "de": _WESTERN, "fr": _WESTERN, "es": _WESTERN, "it": _WESTERN, "pt": _WESTERN, "nl": _WESTERN,
    "pl": _CENTRAL, "cs": _CENTRAL, "hu": _CENTRAL, "tr": ("cp1254",),
    "ru": ("cp1251", "koi8_r", "cp866", "iso8859_5"),
    "el": ("cp1253", "iso8859_7"), "he": ("cp1255",), "ar": ("cp1256", "iso8859_6"),
    "ja": ("cp932", "euc_jp"), "zh": ("gb18030", "big5"), "ko": ("cp949",),
}
_NAMES = {
    **{f"cp125{i}": f"windows-125{i}" for i in range(9)},
    **{f"iso8859_{i}": f"iso-8859-{i}" for i in range(1, 17)},
    "koi8_r": "koi8-r", "cp866": "ibm866", "cp932": "shift_jis", "euc_jp": "euc-jp", "cp949": "euc-kr",
    "iso2022_jp": "iso-2022-jp",
}
_SAMPLE_BYTES = 50_000
_MAX_MISFIT = 0.05  # a foreign name or two in a page
_MIN_BALANCE = 0.8  # of the bytes of UTF-16 without a mark: on one side nearly all are NUL, on the other none
_DAMAGED = 10  # so many good characters for a bad one: UTF-8 with a damage, no legacy encoding


def decode(data: bytes, source: str, language: str | None = None) -> tuple[str, str]:
    """The text, and the name of its encoding (``utf-8``, ``windows-1251``, ``shift_jis``, ...).

    Args:
        data: the whole file.
        source: names it in an error.
        language: what the text is said to be in (``ru``, ``pt-br``, ...); it is a hint, and decides where a short
            legacy text would fit several encodings.

    Raises:
        TextError: no text at all (the message says what it is), damaged UTF-8, or no encoding fits.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], encoding, source), encoding
    if name := name_of(data):
        raise TextError(f"{source!r} is {name}, not text.", _what_to_do(name))
    if is_binary(data):
        if unmarked := _unmarked_utf16(data):
            return _strictly(data, unmarked, source), unmarked
        raise TextError(f"{source!r} is no text: it holds bytes that no text has.", "Give a text file.")
    if b"\x1b$" in data:
        return _strictly(data, "iso2022_jp", source), _NAMES["iso2022_jp"]
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        _refuse_damaged_utf8(data, source, error)
    return _legacy(data, source, language)


def _what_to_do(name: str) -> str:
    if name == "an EPUB book":
        return "Give it a name that ends in .epub."
    if any(word in name for word in ("document", "OpenDocument", "page", "presentation", "spreadsheet")):
        return "Save it as plain text first."
    return "Give a text file."


def _strictly(data: bytes, encoding: str, source: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextError(f"{source!r} says it is {_NAMES.get(encoding, encoding)}, and is damaged.",
                        "Save it again as UTF-8.") from error


def _unmarked_utf16(data: bytes) -> str | None:
    """Western UTF-16 whose mark was lost: every second byte is NUL."""
    half = max(len(data) // 2, 1)
    even, odd = data[::2].count(0) / half, data[1::2].count(0) / half
    if len(data) % 2 or min(even, odd) > 1 - _MIN_BALANCE or max(even, odd) < _MIN_BALANCE:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _refuse_damaged_utf8(data: bytes, source: str, error: UnicodeDecodeError) -> None:
    """A few broken bytes in a text that is UTF-8 else: any other encoding would turn all its accents to rubbish."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    good = sum(character > "\x7f" for character in text) - broken
    if good >= _DAMAGED * broken:
        line = data.count(b"\n", 0, error.start) + 1
        raise TextError(f"{source!r} is UTF-8 with a damage in line {line}.",
                        "Repair that line, and save the file as UTF-8.") from error


def _legacy(data: bytes, source: str, language: str | None) -> tuple[str, str]:
    sample = _sample(data)
    hinted = (language or "").lower().replace("_", "-").split("-")[0]
    for languages in ((hinted,) if hinted in _OF_LANGUAGE else (), LANGUAGES):
        for encoding in _fitting(sample, languages):
            try:
                return data.decode(encoding), _NAMES.get(encoding, encoding)
            except UnicodeDecodeError:
                continue
    return _asked_of_charset_normalizer(data, source)


def _fitting(sample: bytes, languages: tuple[str, ...]) -> list[str]:
    """The encodings in which the sample fits one of these languages, best first."""
    judged: list[tuple[float, int, str]] = []
    for language, encoding in _pairs(languages):
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(sample) - 4:  # at the very end the sample may cut a character in two
                continue
            text = sample.decode(encoding, "ignore")
        judged.append((misfit(text, language), len(judged), encoding))
    return [encoding for share, _, encoding in sorted(judged) if share <= _MAX_MISFIT]


def _pairs(languages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((language, encoding) for language in languages for encoding in _OF_LANGUAGE[language])


def _sample(data: bytes) -> bytes:
    """Lines that hold more than ASCII: the others say nothing."""
    lines: list[bytes] = []
    room = _SAMPLE_BYTES
    for line in data.splitlines():
        if room > 0 and not line.isascii():
            lines.append(line[:room])
            room -= len(line)
    return b"\n".join(lines)


def _asked_of_charset_normalizer(data: bytes, source: str) -> tuple[str, str]:
    from charset_normalizer import from_bytes

    candidates = sorted({encoding for encodings in _OF_LANGUAGE.values() for encoding in encodings})
    best = from_bytes(data, cp_isolation=candidates).best()
    if best is None:
        raise TextError(f"The encoding of {source!r} cannot be told.", "Save it as UTF-8.")
    return data.decode(best.encoding), _NAMES.get(best.encoding, best.encoding)
