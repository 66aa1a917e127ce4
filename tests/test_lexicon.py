"""voicekit.lexicon: words of a file replaced in a text, whole and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicekit.errors import TextError
from voicekit.lexicon import NO_LEXICON, Lexicon
from voicekit.text import normalise_language


def parse(text: str) -> Lexicon:
    return Lexicon.parse(text, normalise_language)


def test_a_file_is_read_in_both_forms(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# names\r\nSiobhan = shiv awn\r\n\r\nNguyen\twin\nRoy\tруа\tru\nC# = see sharp\n", "utf-8")
    lexicon = Lexicon.read(path, normalise_language)
    assert [(each.written, each.spoken, each.language) for each in lexicon.entries] == [
        ("Siobhan", "shiv awn", None), ("Nguyen", "win", None), ("Roy", "руа", "ru"), ("C#", "see sharp", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "text", "expected"),
    [
        ("Siobhan = shiv awn", "SIOBHAN and siobhan's friend", "shiv awn and shiv awn's friend"),
        ("cat = dog", "cat, cats, concat, cat-like, Cat.", "dog, cats, concat, dog-like, dog."),
        ("NASA = nassa", "NASA, nasa, Nasa", "nassa, nasa, Nasa"),
        ("US = you ess", "the US and us", "the you ess and us"),
        ("New York = noo york\nYork = yark", "New  York, york, new york", "noo york, yark, noo york"),
        ("a = b\nb = a", "a b a b", "b a b a"),
        ("C++ = see plus plus\nC = sea", "C++ or C", "see plus plus or sea"),
        ("don't = do not", "Don’t worry", "do not worry"),
        ("राम = राहम", "राम रामा", "राहम रामा"),
        ("東京 = とーきょー\n東 = ひがし", "東京は東だ", "とーきょーはひがしだ"),
        ("AI = エーアイ", "AIは賢い。AIR", "エーアイは賢い。AIR"),
        ("서울 = 서우르", "서울은 크다", "서우르은 크다"),
        ("straße = schtrasse", "Die Straße", "Die schtrasse"),
    ],
)
def test_whole_words_are_replaced_once(entries: str, text: str, expected: str) -> None:
    assert parse(entries).apply(text.replace("’", "'"), "en") == expected


def test_an_entry_can_be_for_one_language() -> None:
    lexicon = parse("chat\tshah\tfr\nchat\tchatt")
    assert lexicon.apply("chat", "fr") == "shah"
    assert lexicon.apply("chat", "en") == "chatt"
    assert parse("chat\tshah\tfr").apply("chat", "en") == "chat"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = b\nword", 2), ("= b", 1), ("a =", 1), ("a\tb\tklingon", 1), ("a\tb\tfr\tx", 1), ("a = b\n\nA = c", 3)],
)
def test_a_broken_line_is_named(text: str, line: int) -> None:
    with pytest.raises(TextError, match=f"Line {line} of the pronunciation file"):
        parse(text)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="cannot be read"):
        Lexicon.read(tmp_path / "missing.txt")
    (tmp_path / "latin").write_bytes("é = e".encode("latin-1"))
    with pytest.raises(TextError, match="not UTF-8"):
        Lexicon.read(tmp_path / "latin")
    with pytest.raises(TextError, match="over 1 MB"):
        Lexicon.read("/dev/zero")


def test_a_text_reads_otherwise_only_where_an_entry_is_for_it() -> None:
    first = parse("a = b\nc = d").readings("a c", "en")
    assert first == ("b d",)
    assert first == parse("# other\nc\td\n\na = b\nzebra = horse").readings("a c", "en")
    assert first != parse("a = b\nc = e").readings("a c", "en")
    assert parse("a = b\nc\td\tfr").readings("a c", "en") == ("b c", "b d")  # it may hold a part in French
    assert NO_LEXICON.readings("a c", "en") == ()


def test_a_file_is_taken_apart_once_while_it_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("a = b")
    first = Lexicon.read(path)
    assert Lexicon.read(path) is first
    path.write_text("a = c")
    assert Lexicon.read(path).apply("a", "en") == "c"


def test_many_entries_cost_no_more_than_few() -> None:
    """Ten thousand alternatives tried at every word would take minutes; a test that hangs is seen."""
    lexicon = parse("\n".join(f"word{number} = spoken{number}" for number in range(20_000)))
    text = "word7 nothing else " * 20_000
    assert lexicon.apply(text, "en").count("spoken7") == 20_000
