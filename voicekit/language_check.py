"""Whether a text looks like another language than the one that was asked for.

The script decides where it can; among languages in Latin letters py3langid does, whose model comes with it. A text in
the right language must hardly ever be doubted: what is not clear is passed over.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from typing import Any

from voicekit.rehearsal_tokenizer import WORDS

LEAST_LETTERS = 40  # of an alphabet; fewer say too little
LEAST_WIDE_LETTERS = 20  # of Chinese, Japanese or Korean ones, of which each says more
_SAMPLE = 4000  # letters are enough
_SHARE = 0.8  # of the letters are in one script
_KANA_SHARE = 0.03  # of a Japanese text at least
_SURE = 0.98
USUAL, ENOUGH_USUAL = 40, 0.2  # the commonest words of a language, and their share of a text in it
_UNLIKELY = 1e-3

_LATIN = ("en", "es", "fr", "de", "it", "pt", "pl", "tr", "nl", "cs", "hu")
_OF_SCRIPT = {"CYRILLIC": "ru", "ARABIC": "ar", "DEVANAGARI": "hi", "HANGUL": "ko"}
_SCRIPTS = ("LATIN", *_OF_SCRIPT, "CJK", "HIRAGANA", "KATAKANA")
_OTHERWISE_MARKED = re.compile(r"\[language:[^\[\]\n]*\].*?(?:\[language\]|\Z)", re.DOTALL | re.IGNORECASE)
_TAGS_AND_ADDRESSES = re.compile(r"\[[^\[\]\n]{0,60}\]|\S*(?:://|www\.|@)\S*")


def looks_like(text: str, language: str) -> str | None:
    """The code of the language that the text is clearly in, if that is another one of XTTS's 17; else None.

    Args:
        language: the code that was asked for, as in `voicekit.text.LANGUAGES`. What a tag in the text names another
            language for is left out.
    """
    sample = _OTHERWISE_MARKED.sub(" ", text[: 4 * _SAMPLE])
    sample = _TAGS_AND_ADDRESSES.sub(" ", sample)[:_SAMPLE]
    scripts = Counter(filter(None, map(_script, sample)))
    if _has_usual_words(sample, language):
        return None
    found = _language_of(sample, scripts, language)
    return found if found != language else None


def _has_usual_words(sample: str, language: str) -> bool:
    """Whether the text has more of the language's commonest words than of any other's, and enough of them.

    Then it is in it, and py3langid, whose model takes half a second to load, need not be asked.
    """
    words = Counter(re.findall(r"[^\W\d_]+", sample.lower()))
    found = {code: sum(words[word] for word in usual) for code, usual in _usual_words().items()}
    return found.get(language, 0) >= max(ENOUGH_USUAL * max(1, words.total()), *found.values())


@functools.cache
def _usual_words() -> dict[str, tuple[str, ...]]:
    """The commonest words of the languages in Latin letters."""
    return {code: tuple(WORDS[code].split()[:USUAL]) for code in _LATIN}


def _language_of(sample: str, scripts: Counter[str], asked: str) -> str | None:
    letters = scripts.total()
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    wide = kana + scripts["CJK"]
    if letters < (LEAST_WIDE_LETTERS if wide + scripts["HANGUL"] > letters / 2 else LEAST_LETTERS):
        return None
    if wide >= _SHARE * letters:
        return "ja" if kana >= _KANA_SHARE * wide else "zh-cn"
    script, count = scripts.most_common(1)[0]
    if count < _SHARE * letters:
        return None
    return _latin_language(sample, asked) if script == "LATIN" else _OF_SCRIPT.get(script)


@functools.lru_cache(maxsize=4096)
def _script(character: str) -> str | None:
    """The script of a letter as its Unicode name begins, or None for what is no letter of one."""
    if not character.isalpha():
        return None
    name = unicodedata.name(character, "")
    return next((script for script in _SCRIPTS if name.startswith(script)), "OTHER")


def _latin_language(sample: str, asked: str) -> str | None:
    """The language if it is one of the 17 beyond doubt and the one that was asked for is out of the question."""
    chances: dict[str, float] = dict(_identifier().rank(sample.lower()))
    best = max(chances, key=lambda code: chances[code])
    is_clear = chances[best] >= _SURE and chances.get(asked, 0.0) <= _UNLIKELY
    return best if best in _LATIN and is_clear else None


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
