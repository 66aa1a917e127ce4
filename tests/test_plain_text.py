"""voicekit.plain_text: plain marks in place of typographic ones, the words untouched."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.real_sentences import SENTENCES
from voicekit.plain_text import plain, rewrite
from voicekit.rewritten import Rewritten
from voicekit.text import LANGUAGES

# What the issues of XTTS's users name: marks that set it off. None may be left.
TYPOGRAPHIC = "“”„‟«»‹›‘‚‛’–—―…•‣\u00a0\u2009\u202f\u00ad\u200b\u2060\ufeff‐‑"


@pytest.mark.parametrize(
    ("language", "written", "expected"),
    [
        ("en", "“Stop!” he said—‘don’t go’—and left.", "\"Stop!\" he said, \"don't go\", and left."),
        ("en", "It’s the dogs’ fault; ’tis ‘fine.’", "It's the dogs' fault; 'tis \"fine.\""),
        ("en", "rock ’n’ roll and o´clock", "rock 'n' roll and o'clock"),
        ("en", "She said - and then -- no. A well-known one.", "She said, and then, no. A well-known one."),
        ("en", "“But I—” he began", '"But I..." he began'),
        ("en", "1939–1945 and Paris–Lyon", "1939-1945 and Paris-Lyon"),
        ("en", "Well… so . . . yes ..... no", "Well... so ... yes ... no"),
        ("en", "Milk:\n• eggs\n• bread\n- tea", "Milk: eggs, bread, tea"),
        ("en", "soft\u00adhyphen, zero\u200bwidth, a\u00a0space", "softhyphen, zerowidth, a space"),
        ("en", "Great 😀👍🏽 work ©", "Great work "),
        ("en", "He [sic] and {she} ~ 5", "He (sic) and (she) 5"),
        ("fr", "« Bonjour », dit-il. — Oui ?", '"Bonjour", dit-il. Oui ?'),
        ("fr", "C'est 12 000 et 1\u202f234\u202f567.", "C'est 12000 et 1234567."),
        ("en", "12 000 is two numbers, 12\u00a0000 is one", "12 000 is two numbers, 12000 is one"),
        ("de", "Er sagte »so« und „nein“ – dann ging er.", 'Er sagte "so" und "nein", dann ging er.'),
        ("ru", "— Да, — сказал он. — Нет. Это «так».", 'Да, сказал он. Нет. Это "так".'),
        ("es", "—Hola —dijo Ana—. ¿Qué tal?", "Hola, dijo Ana. ¿Qué tal?"),
        ("zh-cn", "他说：“你好……”——然后走了。《红楼梦》", '他说："你好…"，然后走了。"红楼梦"'),
        ("ja", "「冗談でしょう」と言った――そして", '"冗談でしょう"と言った，そして'),
        ("hi", "क्\u200dष और “हाँ”", 'क्\u200dष और "हाँ"'),
    ],
)
def test_plain_forms(language: str, written: str, expected: str) -> None:
    assert plain(written, language).strip() == expected.strip()


@pytest.mark.parametrize(
    ("language", "written", "expected"),
    [
        ("en", "See https://www.example.org/a-b?x=1. Then", "See example dot org slash a b x 1. Then"),
        ("de", "Siehe www.example.org/", "Siehe example Punkt org"),
        ("en", "Mail joe.b@x.co.uk, please", "Mail joe dot b@x dot co dot uk, please"),
        ("en", "Version 3.5 of e.g. this", "Version 3.5 of e.g. this"),
    ],
)
def test_addresses_can_be_said(language: str, written: str, expected: str) -> None:
    assert plain(written, language) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_real_sentences_lose_marks_and_no_word(language: str) -> None:
    for sentence in SENTENCES[language]:
        result = plain(sentence, language)
        assert not set(result) & set(TYPOGRAPHIC) - {"…"}
        assert "".join(filter(str.isalnum, result)) == "".join(filter(str.isalnum, sentence))
        assert plain(result, language) == result


def test_plain_text_stays_as_it_is() -> None:
    """What is written plainly must reach the model as the author wrote it."""
    for text in ("Don't stop: it's 3.5 miles (at most), isn't it?", 'He said: "No; never!"', "A co-op, no. 5"):
        assert plain(text) == text


def test_a_very_long_number_falls_into_its_digits() -> None:
    assert plain("9" * 13) == "9 9 9 9 9 9 9 9 9 9 9 9 9"
    assert plain("999999999999") == "999999999999"


def test_every_character_knows_where_it_comes_from() -> None:
    """The source between any two places, put together, is the source; letters come from themselves."""
    chance = random.Random(3)
    for language in LANGUAGES:
        source = " ".join(SENTENCES[language])
        result = rewrite(Rewritten.of(source), language)
        assert len(result.places) == len(result.text) + 1
        assert list(result.places) == sorted(result.places)
        for place, character in zip(result.places, result.text, strict=False):
            assert source[place] == character or not character.isalnum()
        cuts = [0, *sorted(chance.sample(range(1, len(result.text)), 8)), len(result.text)]
        parts = [result.source_between(a, b) for a, b in itertools.pairwise(cuts)]
        assert "".join("".join(parts).split()) == "".join(source.split())
