"""What was spoken, heard again by a speech recogniser: which words of the text are missing?

The recogniser is faster-whisper, an extra that nobody needs: it is imported when it is asked for, and fetches its
model (the multilingual "small" one, 0.5 GB) when it is first used, unless the machine is to stay offline.
A recogniser errs; a word that it misses is a reason to listen, no proof. Words that are too many are not looked for.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from voicekit.audio import Audio, resample
from voicekit.errors import ModelUnavailable

MODEL = "small"
RATE_HZ = 16_000
INSTALL = 'python -m pip install "faster-whisper==1.2.1"'
BY_CHARACTER = ("zh-cn", "ja", "ko")  # languages in which spaces do not part words, or not the way they are heard
LONG_WORD = 5  # letters from which one of them may be heard otherwise

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_YEAR = re.compile(r"1[1-9]\d\d|20\d\d")
_ACCENT_IS_LETTER = ("hi",)  # its vowels are written as marks


class Recogniser:
    """faster-whisper, loaded when it first listens.

    Args:
        model: a size that it knows, or a folder with a converted model.
        device: `cpu` or `cuda`; anything else runs on the CPU.
        offline: take the model from the cache or the folder only.
    """

    def __init__(self, model: str = MODEL, *, device: str = "cpu", offline: bool = False) -> None:
        self._name, self._offline = model, offline
        self._device = "cuda" if device.startswith("cuda") else "cpu"
        self._model: Any = None

    def hears(self, audio: Audio, language: str) -> str:
        """The words in a recording of this language.

        Raises:
            ModelUnavailable: the package or its model is not here.
        """
        import numpy as np

        model = self.load()
        samples = np.ascontiguousarray(resample(audio, RATE_HZ).samples, dtype=np.float32)
        # One temperature, and nothing carried over: the same sound gives the same words.
        found, _ = model.transcribe(
            samples, language=language.split("-")[0], beam_size=5, temperature=0.0, condition_on_previous_text=False
        )
        return " ".join(piece.text.strip() for piece in found)

    def load(self) -> Any:
        """The model, loaded once; so that what is missing shows before anything is spoken.

        Raises:
            ModelUnavailable: as `hears`.
        """
        if self._model is None:
            self._model = _load(self._name, self._device, self._offline)
        return self._model


def _load(name: str, device: str, offline: bool) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise ModelUnavailable(f"Checking what was spoken needs faster-whisper ({error}).", INSTALL) from error
    try:
        kind = "float16" if device == "cuda" else "int8"
        return WhisperModel(name, device=device, compute_type=kind, local_files_only=offline)
    except Exception as error:  # the hub, the disk and CTranslate2 each raise their own
        where = "is not on this machine" if offline else "cannot be loaded"
        raise ModelUnavailable(
            f"The speech recogniser's model '{name}' {where} ({type(error).__name__}).",
            "Run once with a network connection, or leave out --verify.",
        ) from error


# --- comparing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Token:
    """A piece that is compared, and the word of the text that it belongs to."""

    sound: str
    word: int


def missing_words(text: str, heard: str, language: str) -> tuple[str, ...]:
    """The words of a text that were not heard, in its order and spelling.

    Case, punctuation and accents do not count; a number may be heard as digits or as words; of a word of five
    letters or more one letter may differ, and words may be joined or parted. In Chinese, Japanese and Korean
    characters are compared, and those that are missing in a row are given as one.
    """
    heard_sounds = [token.sound for token in _tokens(heard, language, ())]
    words = _words(text, language)
    tokens = _tokens(text, language, tuple(heard_sounds))
    matcher = difflib.SequenceMatcher(None, [token.sound for token in tokens], heard_sounds, autojunk=False)
    lost: list[_Token] = []
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind in ("delete", "replace"):
            lost += _unlike(tokens[start:end], heard_sounds[other_start:other_end], language)
    return _named(lost, tokens, words, language)


def _words(text: str, language: str) -> list[str]:
    if language in BY_CHARACTER:
        return [character for word in _WORD.findall(text) for character in _parted(word)]
    return _WORD.findall(text)


def _parted(word: str) -> list[str]:
    """Characters, but digits and Latin words whole."""
    return re.findall(r"[0-9]+|[A-Za-zÀ-ÿ'’]+|\w", word)


def _tokens(text: str, language: str, heard: tuple[str, ...]) -> list[_Token]:
    return [
        _Token(sound, number)
        for number, word in enumerate(_words(text, language))
        for sound in _sounds(word, language, heard)
    ]


def _sounds(word: str, language: str, heard: tuple[str, ...]) -> list[str]:
    """A word as it is compared; a number in the reading that was heard, or else as a cardinal."""
    if not word.isdecimal():
        return [_plain(word, language)]
    readings = _readings(word, language)
    return next((reading for reading in readings if _contains(heard, reading)), readings[0])


def _readings(digits: str, language: str) -> list[list[str]]:
    """How a number may be read: as a cardinal, as a year, digit by digit; as it stands where nobody knows."""
    texts: list[str | None] = [_read(int(digits), language, "cardinal")] if len(digits) <= 15 else [None]
    if _YEAR.fullmatch(digits):
        texts.append(_read(int(digits), language, "year"))
    single = [_read(int(digit), language, "cardinal") for digit in digits]
    texts.append(" ".join(each or "" for each in single) if all(single) else None)
    readings = [[_plain(word, language) for word in _words(text, language)] for text in texts if text]
    return readings or [[digits]]


def _read(number: int, language: str, how: str) -> str | None:
    try:
        from num2words import num2words

        return str(num2words(number, lang="zh" if language == "zh-cn" else language, to=how))
    except (ImportError, NotImplementedError, OverflowError, KeyError, ValueError, TypeError, AttributeError):
        return None


def _contains(sounds: tuple[str, ...], part: list[str]) -> bool:
    return any(list(sounds[at : at + len(part)]) == part for at in range(len(sounds) - len(part) + 1))


def _plain(word: str, language: str) -> str:
    """Without case, apostrophes and accents, full-width forms as usual ones."""
    word = unicodedata.normalize("NFKC", word).casefold().replace("'", "").replace("’", "")
    if language in _ACCENT_IS_LETTER:
        return word
    parted = unicodedata.normalize("NFD", word)
    bare = "".join(letter for letter in parted if not _is_accent(letter))
    return unicodedata.normalize("NFC", bare)


def _is_accent(letter: str) -> bool:
    """A combining mark; those of kana make other sounds, and stay."""
    return unicodedata.category(letter) == "Mn" and letter not in "\u3099\u309a"


def _unlike(tokens: list[_Token], heard: list[str], language: str) -> list[_Token]:
    """Of a stretch that differs, the tokens that no heard word resembles, taken in order."""
    if _alike("".join(token.sound for token in tokens), "".join(heard)):
        return []
    lost, left = [], heard
    for token in tokens:
        place = next((at for at, sound in enumerate(left) if _alike(token.sound, sound)), None)
        if place is None:
            lost.append(token)
        else:
            left = left[place + 1 :]
    return lost


def _alike(first: str, second: str) -> bool:
    """Equal, or one letter apart where both are long."""
    if first == second:
        return True
    if min(len(first), len(second)) < LONG_WORD or abs(len(first) - len(second)) > 1:
        return False
    same = next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]),
                min(len(first), len(second)))  # fmt: skip
    rest, other = first[same:], second[same:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:]


def _named(lost: list[_Token], tokens: list[_Token], words: list[str], language: str) -> tuple[str, ...]:
    """The words of which more than half is lost; where words are characters, neighbours as one."""
    missing = [
        number
        for number in sorted({token.word for token in lost})
        if 2 * sum(token.word == number for token in lost) > sum(token.word == number for token in tokens)
    ]
    if language not in BY_CHARACTER:
        return tuple(words[number] for number in missing)
    joined: list[str] = []
    for place, number in enumerate(missing):
        if place and missing[place - 1] == number - 1:
            joined[-1] += words[number]
        else:
            joined.append(words[number])
    return tuple(joined)
