"""voicekit.text_encodings: real sentences come back as they were, and what is no text is named."""

from __future__ import annotations

import io
import wave
import zipfile

import pytest

from voicekit.errors import TextError
from voicekit.text_encodings import decode

# Opening lines and proverbs that a native reader would recognise, each with the encoding that its files often had.
SENTENCES = [
    ("de", "cp1252", "windows-1252", "Die Straße war naß, und über den Dächern hing ein grauer Himmel."),
    ("fr", "cp1252", "windows-1252", "Le garçon était très fatigué, mais il a marché jusqu’à la forêt."),
    ("es", "cp1252", "windows-1252", "El niño corrió por la montaña. ¿Dónde está mi corazón?"),
    ("pt", "cp1252", "windows-1252", "A canção não terminou. Amanhã, às três horas, ele voltará à estação."),
    ("it", "cp1252", "windows-1252", "Perché la città è così silenziosa? Verrà il giorno della libertà."),
    ("en", "cp1252", "windows-1252", "“It’s late,” she said — and the café was closed…"),
    ("pl", "cp1250", "windows-1250", "Zażółć gęślą jaźń. Wczoraj wieczorem poszliśmy do kościoła."),
    ("pl", "iso8859_2", "iso-8859-2", "Zażółć gęślą jaźń. Wczoraj wieczorem poszliśmy do kościoła."),
    ("cs", "cp1250", "windows-1250", "Příliš žluťoučký kůň úpěl ďábelské ódy. Když přišel, bylo už pozdě."),
    ("cs", "iso8859_2", "iso-8859-2", "Příliš žluťoučký kůň úpěl ďábelské ódy. Když přišel, bylo už pozdě."),
    ("hu", "cp1250", "windows-1250", "Árvíztűrő tükörfúrógép. A gyermekek az udvaron játszottak."),
    ("ru", "cp1251", "windows-1251", "Все счастливые семьи похожи друг на друга."),
    ("ru", "koi8_r", "koi8-r", "Все счастливые семьи похожи друг на друга."),
    ("ru", "cp866", "ibm866", "Все счастливые семьи похожи друг на друга."),
    ("tr", "cp1254", "windows-1254", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar."),
    ("el", "cp1253", "windows-1253", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι."),
    ("ar", "cp1256", "windows-1256", "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق."),
    ("ja", "cp932", "shift_jis", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
    ("ja", "euc_jp", "euc-jp", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
    ("ja", "iso2022_jp", "iso-2022-jp", "吾輩は猫である。名前はまだ無い。"),
    ("zh", "gb18030", "gb18030", "人人生而自由，在尊严和权利上一律平等。"),
    ("zh", "big5", "big5", "人人生而自由，在尊嚴和權利上一律平等。"),
    ("ko", "cp949", "euc-kr", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
]


@pytest.mark.parametrize(("language", "codec", "name", "sentence"), SENTENCES)
@pytest.mark.parametrize("hint", [True, False])
def test_a_sentence_comes_back(language: str, codec: str, name: str, sentence: str, hint: bool) -> None:
    assert decode(sentence.encode(codec), "x", language if hint else None) == (sentence, name)


@pytest.mark.parametrize(("language", "codec", "name", "sentence"), SENTENCES)
def test_a_wrong_hint_does_no_harm(language: str, codec: str, name: str, sentence: str) -> None:
    """The command's language is English unless somebody says otherwise."""
    assert decode(sentence.encode(codec), "x", "en")[0] == sentence


def test_the_hint_decides_what_is_ambiguous() -> None:
    """One word, one byte beyond ASCII: nothing but the language tells."""
    word = "egy nő"
    assert decode(word.encode("cp1250"), "x", "hu") == (word, "windows-1250")
    assert decode(word.encode("cp1250"), "x")[0] != word  # it would be as good as Portuguese


@pytest.mark.parametrize(
    ("codec", "name"),
    [("utf-8-sig", "utf-8"), ("utf-8", "utf-8"), ("utf-16", "utf-16-le"), ("utf-32", "utf-32-le")],
)
def test_unicode(codec: str, name: str) -> None:
    assert decode("Žluťoučký 猫".encode(codec), "x") == ("Žluťoučký 猫", name)


def test_big_endian_marks() -> None:
    assert decode("\ufeffЖ".encode("utf-16-be"), "x") == ("Ж", "utf-16-be")
    assert decode("\ufeffЖ".encode("utf-32-be"), "x") == ("Ж", "utf-32-be")


def test_utf_16_that_lost_its_mark() -> None:
    assert decode("A plain sentence.".encode("utf-16-le"), "x") == ("A plain sentence.", "utf-16-le")


def test_a_broken_byte_is_named_and_not_guessed_over() -> None:
    data = "Čeština má háčky a čárky.\nPříliš žluťoučký kůň.\nKonec.".encode()
    broken = data.replace("kůň".encode(), b"k\xffn")
    with pytest.raises(TextError, match="damage in line 2"):
        decode(broken, "book.txt", "cs")


def zipped(**files: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return stream.getvalue()


def wav() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(24000)  # type: ignore[func-returns-value]
        file.writeframes(b"\1\2" * 100)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7\n1 0 obj", "PDF"),
        (zipped(word__document_xml="<w/>"), "Word"),
        (zipped(mimetype="application/epub+zip"), "EPUB"),
        (zipped(anything="x"), "ZIP"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
        (wav(), "WAV"),
        (b"ID3\x03\0\0\0\0\0\0", "MP3"),
        (rb"{\rtf1\ansi Hello}", "RTF"),
        (b"<!DOCTYPE html>\n<html><body>Hello</body></html>", "HTML"),
        (b"\0\1\2\3" * 20, "bytes that no text has"),
        (bytes(range(1, 32)) * 9, "bytes that no text has"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, name: str) -> None:
    with pytest.raises(TextError, match=name) as error:
        decode(data, "given")
    assert error.value.hint
