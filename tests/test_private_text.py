"""What is to be spoken cannot be read in a line that was scrubbed, and what is not private still can."""

from __future__ import annotations

import json
import threading
import unicodedata
import urllib.parse
from collections.abc import Callable

import pytest

from tests.canaries import SENTENCES, traces
from voicekit import private_text
from voicekit.private_text import is_ours, register, scrub_sentences, scrub_words


def test_where_nothing_is_registered_a_line_is_the_same_object() -> None:
    line = "nothing to hide: Zyzzyva"
    register("  \n ")
    register("a b, c!")
    assert scrub_words(line) is line and scrub_sentences(line) is line


def test_a_forgotten_text_is_not_masked() -> None:
    register("Zyzzyva fjord quokka lemur")
    private_text.forget()
    assert scrub_words("Zyzzyva fjord quokka lemur") == scrub_sentences("Zyzzyva fjord quokka lemur")
    assert scrub_words("Zyzzyva") == "Zyzzyva"


# --- other people's lines ------------------------------------------------------------------------------


def test_each_word_of_three_letters_is_masked_and_neighbours_become_one() -> None:
    register("The quokka sat on a lemur.")
    assert scrub_words("a QUOKKA, the lemur! failed on (Quokka) at a lemur") == "a ***! failed on (***) at a ***"
    assert scrub_words("quokkas are no quokka") == "quokkas are no ***"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "ascii": ascii,
    "json": json.dumps,
    "json in json": lambda text: json.dumps([json.dumps({"input": text})]),
    "repr of json of json": lambda text: repr(json.dumps(json.dumps(text))),
    "utf-8 bytes": lambda text: repr(text.encode()),
    "address": lambda text: f"https://example.org/say?{urllib.parse.urlencode({'text': text})}&x=1",
    "capitals": str.upper,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "word by word": lambda text: repr(text.split()),
    "lines": lambda text: repr(text.replace(" ", "\n")),
    "tabs": lambda text: json.dumps(text.replace(" ", "\t")),
    "slug": lambda text: text.replace(" ", "_") + ".wav",
    "numbered": lambda text: " ".join(f"{word}{number}" for number, word in enumerate(text.split())),
    "coloured": lambda text: " ".join(f"\x1b[1;31m{word}\x1b[0m" for word in text.split()),
    "coloured without spaces": lambda text: "\x1b[0m".join(text.split()),
    "coloured and quoted": lambda text: repr(f"\x1b[31m{text}\x1b[0m"),
}


@pytest.mark.parametrize("script", SENTENCES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_piece_is_left_in_any_spelling(spelling: str, script: str) -> None:
    line = f"IndexError in step 7: {SPELLINGS[spelling](SENTENCES[script])} (end)"
    assert traces(SENTENCES[script], line), "the canary must be able to sing"
    register(SENTENCES[script])
    scrubbed = scrub_words(line)
    assert traces(SENTENCES[script], scrubbed) == []
    assert scrubbed.startswith("IndexError in step 7: ") and scrubbed.endswith(" (end)")


def test_a_word_of_a_path_with_backslashes_is_no_escape() -> None:
    register("network quokka")
    assert scrub_words(r"C:\network\quokka\table") == r"C:\***\table"


def test_scripts_without_spaces_are_masked_by_two_characters() -> None:
    register("我爱你，中国。" + unicodedata.normalize("NFD", "안녕하세요"))
    assert scrub_words("错误：爱你 x") == "错误：*** x"
    assert scrub_words("我们爱国") == "我们爱国"  # four characters of the text, no two of them neighbours there
    assert scrub_words("['我', '爱', '你'] 0") == "['***'] 0"
    assert scrub_words("하세 x") == scrub_words(unicodedata.normalize("NFD", "하세 x")) == "*** x"


def test_characters_beyond_16_bits_are_known_from_their_surrogates() -> None:
    register("𠀀𠀁𠀂")
    assert json.dumps("𠀀𠀁") == r'"\ud840\udc00\ud840\udc01"'
    assert scrub_words(json.dumps("𠀀𠀁")) == scrub_words(ascii('"𠀀𠀁"')).strip("'") == '"***"'


def test_accents_vowel_points_and_format_characters_do_not_hide_a_word() -> None:
    register("Café مَرْحَبًا नमस्ते hel\u00adlo")
    for known in ("cafe", "CAFÉ", "مرحبا", "مـرحبـا", "नमस्ते", "hello", "he\u200bllo"):
        assert scrub_words(f"[{known}]") == "[***]"


def test_numbers_and_mixtures_are_words_too() -> None:
    register("Call 4155550 or B2B")
    assert scrub_words("dial 4155550 b2b 41 4155551") == "dial *** 41 4155551"


# --- our own lines -------------------------------------------------------------------------------------


def test_our_own_words_stay_though_the_text_has_them() -> None:
    register("When the voice stopped, cloning was what they completed: output file, model, duration.")
    for line in ("Voice cloning completed", "Output file: a.wav, Size: 1.5 MB", "model: xtts_v2, Duration: 0.1s"):
        assert scrub_sentences(line) == line


def test_four_words_in_the_order_of_the_text_are_masked() -> None:
    register("One quokka saw two lemurs at the fjord.")
    assert scrub_sentences("it said: Quokka - saw two LEMURS, twice") == "it said: ***, twice"
    assert scrub_sentences("quokka saw two fjords; lemurs at the lake") == "quokka saw two fjords; lemurs at the lake"
    assert scrub_sentences("two saw quokka one") == "two saw quokka one"
    assert scrub_sentences(r"C:\quokka saw two lemurs\tat the fjord") == r"C:\***"


def test_six_characters_in_order_are_masked() -> None:
    register("饕餮魑魅魍魉貔貅")
    assert scrub_sentences("Input: 饕餮魑魅魍.wav") == "Input: 饕餮魑魅魍.wav"
    assert scrub_sentences("Input: 餮魑魅魍魉貔.wav") == "Input: ***.wav"
    assert scrub_sentences(f"Input: {'餮魑魅魍魉貔'!a}") == "Input: '***'"


def test_four_units_of_two_scripts_are_masked() -> None:
    register("私は iPhone を買った")
    assert scrub_sentences("Input: 私はiPhoneを") == "Input: ***"


def test_a_short_text_is_masked_whole() -> None:
    register("Grüß Gott")
    register("hi you")
    register("你好世界")
    assert scrub_sentences("GRÜSS GOTT, x") == "***, x"
    assert scrub_sentences("grüß, x; hi you") == "grüß, x; hi you"
    assert scrub_sentences("你好世界 你好世") == "*** 你好世"


def test_whose_records_are_ours() -> None:
    ours = ("voicekit", "voicekit.text", "simple_voice_clone", "improve_voice_sample", "logger_config")
    assert all(is_ours(name) for name in ours)
    assert not any(is_ours(name) for name in ("py.warnings", "root", "", "TTS.voicekit", "voicekit_peer", "__main__"))


# --- many texts ----------------------------------------------------------------------------------------


def test_all_texts_of_all_threads_are_known() -> None:
    names = [f"{n:03}".translate(str.maketrans("0123456789", "abcdefghij")) for n in range(400)]
    texts = [f"marmot{name} tapir{name} gecko{name} okapi{name} dugong{name}" for name in names]
    failures: list[BaseException] = []

    def work(mine: list[str]) -> None:
        try:
            for text in mine:
                register(text)
                assert scrub_words(text) == scrub_sentences(text) == "***"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(texts[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert {scrub_words(text) for text in texts} == {"***"}


def test_a_book_takes_the_memory_of_its_vocabulary_and_of_its_phrases() -> None:
    sentence = "One quokka saw two lemurs at the fjord. "
    register(sentence * 3)
    known = private_text._registered
    before = len(known.words), len(known.phrases)
    register(sentence * 3000)
    assert (len(known.words), len(known.phrases)) == before == (7, 8)
