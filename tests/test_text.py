"""voicekit.text: cuts where a reader would pause, within the limits, losing nothing."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.real_sentences import SENTENCES
from voicekit.errors import TextError
from voicekit.lexicon import Lexicon
from voicekit.packing import FRAGMENT_WORDS
from voicekit.plain_text import plain
from voicekit.text import (
    LANGUAGES,
    MAX_CHARACTERS,
    MAX_TOKENS,
    Gaps,
    Measured,
    Segment,
    clean,
    normalise_language,
    roughly,
    segments,
)

ENGLISH = (
    "Dr. Smith met Mr. J. Jones at half past three. He said: \"Stop!\" Then he left. The street was quiet, and the "
    "rain had begun; nobody was out. What had happened? Nobody knew. The lamps were lit early that evening, and the "
    "shops closed before six. It was the 12. of May, and 3.5 degrees colder than the day before. "
)
SPACELESS = ("zh-cn", "ja")


def as_it_stands(piece: str, language: str) -> Measured:
    return Measured(len(piece), len(piece) // 3)


def cut(text: str, language: str = "en", **options: Any) -> tuple[Segment, ...]:
    return segments(text, language, as_it_stands, **options)


def texts(text: str, language: str = "en", **options: Any) -> list[str]:
    return [segment.text for segment in cut(text, language, **options)]


def spoken(text: str) -> str:
    """Its letters and digits."""
    return "".join(filter(str.isalnum, text))


def without_space(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Measured]:
    """What coqui's own tokenizer makes of a piece, with the rehearsal vocabulary."""
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    from voicekit import numerals, rehearsal_tokenizer

    path = tmp_path_factory.mktemp("tokenizer") / "vocab.json"
    rehearsal_tokenizer.write_vocabulary(path)
    tokenizer = VoiceBpeTokenizer(path)

    def measured(piece: str, language: str) -> Measured:
        ids = tokenizer.encode(numerals.spoken_form(piece, language).strip().lower(), language)
        return Measured(len(numerals.expanded(piece, language)), len(ids))

    return measured


def test_seventeen_languages() -> None:
    assert len(LANGUAGES) == 17


@pytest.mark.parametrize("language", LANGUAGES)
def test_limits_are_coquis(language: str) -> None:
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    assert MAX_CHARACTERS[language] == VoiceBpeTokenizer().char_limits[language.split("-")[0]]


@pytest.mark.parametrize(
    ("given", "code"), [("zh", "zh-cn"), ("ZH-CN", "zh-cn"), ("EN", "en"), ("pt-br", "pt"), ("zh_CN.UTF-8", "zh-cn")]
)
def test_language_codes(given: str, code: str) -> None:
    assert normalise_language(given) == code


@pytest.mark.parametrize("given", ["xx", "", "klingon", "e n"])
def test_unknown_languages_are_refused(given: str) -> None:
    with pytest.raises(TextError, match="does not speak"):
        normalise_language(given)


@pytest.mark.parametrize("end", ["\v", "\f", "\x85", "\r", "\r\n"])
def test_lines_of_other_programs_do_not_run_together(end: str) -> None:
    assert clean(f"24{end}May") == "24\nMay"


def test_a_text_that_fits_is_one_segment() -> None:
    assert texts("Hello there. How are you?") == ["Hello there. How are you?"]


# --- where it is cut ---------------------------------------------------------------------------------------


def test_long_text_is_cut_at_sentence_ends_and_keeps_all() -> None:
    pieces = texts(ENGLISH * 3)
    assert without_space("".join(pieces)) == without_space(ENGLISH * 3)
    assert all(len(piece) <= MAX_CHARACTERS["en"] for piece in pieces)
    assert all(piece[-1] in '.!?"' for piece in pieces)


def test_abbreviations_and_initials_end_no_sentence() -> None:
    pieces = texts(ENGLISH * 5, batch_size=100)
    assert not any(re.search(r"(Dr|Mr|J|12)\.$", piece) for piece in pieces)


@pytest.mark.parametrize(
    ("language", "text", "never"),
    [
        ("de", "Am 3. Oktober kam Hr. Weber bzw. Frau Dr. Lang aus z. B. Köln an. ", r"(3|Hr|bzw|Dr|z|B)\.$"),
        ("cs", "Dne 8. května přijel Ing. Novák, tzv. starosta, do města č. 5 na řece. ", r"(8|Ing|tzv|č)\.$"),
        ("fr", "M. et Mme. Petit ont vu le Dr. Blanc à p. ex. Lyon en été avec nous. ", r"(M|Mme|Dr|p|ex)\.$"),
        ("es", "El Sr. Ruiz y la Dra. Gil fueron ayer por la tarde a Madrid en tren. ", r"(Sr|Dra)\.$"),
        ("ru", "Он жил на ул. Мира, д. 5, т.е. рядом с домом проф. Орлова много лет. ", r"(ул|д|т\.е|проф)\.$"),
        ("hu", "A 3. napon Dr. Kiss és pl. Nagy úr is ott volt velünk a kertben. ", r"(3|Dr|pl)\.$"),
    ],
)
def test_abbreviations_of_other_languages(language: str, text: str, never: str) -> None:
    pieces = texts(text * 12, language, batch_size=100)
    assert len(pieces) == 12
    assert not any(re.search(never, piece) for piece in pieces)


def test_speech_is_not_torn_from_who_says_it() -> None:
    text = "“Where have you been all this time?” she asked him at the door. It was late by then. " * 4
    pieces = texts(text, batch_size=99)
    assert not any(piece.startswith("she") for piece in pieces)


def test_a_text_without_capitals_is_cut_at_its_stops() -> None:
    assert all(piece.endswith(".") for piece in texts("we walked along the river for an hour. " * 20))


def test_a_long_sentence_is_cut_at_clauses_then_at_words() -> None:
    clauses = "one two three four five six seven eight nine ten, " * 9
    assert all(piece.endswith(",") for piece in texts(clauses)[:-1])
    pieces = texts("word " * 120)
    assert len(pieces) > 1
    assert all(set(piece.split()) == {"word"} for piece in pieces)
    assert sum(len(piece.split()) for piece in pieces) == 120


def test_pieces_are_even_rather_than_one_full_and_one_tiny() -> None:
    sizes = [len(piece) for piece in texts("The road was long and white. " * 10)]  # 289 characters of 250
    assert len(sizes) == 2
    assert min(sizes) > 0.7 * max(sizes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_long_texts_aim_at_60_to_90_percent(language: str) -> None:
    """Of short sentences, which can be put together as one likes."""
    own = {"zh-cn": "今天天气很好。", "ja": "今日は晴れです。", "hi": "आज मौसम अच्छा है। ", "ko": "날씨가 참 좋다. "}
    pieces = texts(own.get(language, "The rain was over now. ") * 200, language)
    fills = [len(piece) / MAX_CHARACTERS[language] for piece in pieces]
    assert all(0.55 <= fill <= 0.95 for fill in fills)
    assert 0.6 <= sum(fills) / len(fills) <= 0.9


def test_fragments_join_a_neighbour() -> None:
    text = "No. " + "The lamps along the harbour were lit early on that evening in November. " * 3
    for size in (1, 12):
        pieces = texts((text * 4).strip(), batch_size=size)
        assert all(len(piece.split()) >= FRAGMENT_WORDS for piece in pieces)
    chinese = "好。" + "今天天气很好，我们一起去公园里散步吧。" * 3
    assert all(len(piece) > MAX_CHARACTERS["zh-cn"] // 6 for piece in texts(chinese * 5, "zh-cn", batch_size=50))


def test_the_token_limit_cuts_too() -> None:
    def many(piece: str, language: str) -> Measured:
        return Measured(len(piece), 10 * len(piece))

    pieces = segments("A short sentence of words. " * 8, "en", many)
    assert len(pieces) > 1
    assert all(10 * len(piece.text) <= MAX_TOKENS for piece in pieces)


def test_what_is_longer_joined_than_its_parts_is_cut_again() -> None:
    """As a number that lies across a joint."""
    def dear_together(piece: str, language: str) -> Measured:
        return Measured(len(piece) * (3 if piece.count(".") > 1 else 1), 1)

    pieces = segments("A sentence of some words here. " * 20, "en", dear_together)
    assert all(dear_together(piece.text, "en").characters <= MAX_CHARACTERS["en"] for piece in pieces)
    assert spoken("".join(piece.text for piece in pieces)) == spoken("A sentence of some words here. " * 20)


def test_chinese_and_japanese_are_cut_without_spaces() -> None:
    chinese = "今天天气很好，我们去公园吧。" * 20
    pieces = texts(chinese, "zh-cn")
    assert "".join(pieces) == chinese
    assert all(len(piece) <= MAX_CHARACTERS["zh-cn"] for piece in pieces)
    unbroken = "漢" * 300
    assert "".join(texts(unbroken, "ja")) == unbroken


def test_words_of_scripts_without_spaces_stay_whole() -> None:
    for language, sentence, words in (
        ("ja", "私は昨日友達と一緒に公園へ行って桜の花を見ながらお弁当を食べました", ("友達", "一緒", "公園", "弁当")),
        ("zh-cn", "我们昨天和朋友们一起到公园里面去看樱花他们都非常高兴", ("我们", "朋友", "一起", "他们")),
    ):
        pieces = texts(sentence * 8, language)
        assert "".join(pieces) == sentence * 8
        for first, second in itertools.pairwise(pieces):
            assert not any(first.endswith(word[0]) and second.startswith(word[1]) for word in words)


# --- every language, as coqui reads it ---------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_real_text_stays_within_the_limits(language: str, measure: Callable[[str, str], Measured]) -> None:
    text = " ".join(SENTENCES[language] * 3) + "\n\n" + " ".join(SENTENCES[language][::-1])
    for size in (1, 12):
        found = segments(text, language, measure, batch_size=size)
        for segment in found:
            measured = measure(segment.text, language)
            assert measured.characters <= MAX_CHARACTERS[language]
            assert measured.tokens <= MAX_TOKENS
        assert spoken("".join(segment.text for segment in found)) == spoken(plain(clean(text), language))
        assert without_space("".join(segment.source for segment in found)) == without_space(clean(text))
        assert_no_word_is_cut(plain(clean(text), language), [segment.text for segment in found], language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_random_text_keeps_order_and_words(language: str, measure: Callable[[str, str], Measured]) -> None:
    chance = random.Random(language)
    odd = ("8.", "1,234.5", "12-13", "—", "...", "$3", "№", "ok!", "a,", "(b)")
    words = [*" ".join(SENTENCES[language]).split(), *odd]
    for length in (3, 30, 300):
        text = " ".join(chance.choice(words) for _ in range(length)) + " end."
        found = [segment.text for segment in segments(text, language, measure, batch_size=chance.choice((1, 4, 12)))]
        assert spoken("".join(found)) == spoken(plain(clean(text), language))
        assert all(measure(piece, language).characters <= MAX_CHARACTERS[language] for piece in found)
        assert_no_word_is_cut(plain(clean(text), language), found, language)


def assert_no_word_is_cut(whole: str, pieces: list[str], language: str) -> None:
    if language not in SPACELESS:
        assert [word for piece in pieces for word in piece.split()] == whole.split()


def test_numbers_count_as_they_are_read_out(measure: Callable[[str, str], Measured]) -> None:
    text = "In 1987, 1988, 1989, 1994, 1997 and 1999 it sold 777,777 and 888,888 of them, of 3,333,333 in all. " * 3
    found = segments(text, "en", measure)
    assert len(found) > len(cut(text))
    assert all(measure(segment.text, "en").characters <= MAX_CHARACTERS["en"] for segment in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_number_of_400_digits_is_spoken(language: str, measure: Callable[[str, str], Measured]) -> None:
    found = segments("9" * 400, language, measure)
    assert spoken("".join(segment.text for segment in found)) == "9" * 400


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rough_measure_is_never_too_small(language: str, measure: Callable[[str, str], Measured]) -> None:
    for segment in segments(" ".join(SENTENCES[language]), language, measure):
        rough, real = roughly(segment.text, language), measure(segment.text, language)
        assert rough.characters >= real.characters
        assert rough.tokens >= real.tokens


# --- silence, tags, subtitles ------------------------------------------------------------------------------


def test_gaps_follow_the_ends() -> None:
    text = "First paragraph, one sentence. " * 12 + "\n\nSecond paragraph.\n\n" + "no end, " * 60
    found = cut(text)
    assert found[0].gap_s == Gaps().sentence_s
    assert [segment.gap_s for segment in found if segment.text == "Second paragraph."] == [Gaps().paragraph_s]
    assert found[-2].gap_s == Gaps().clause_s
    wider = cut(text, gaps=Gaps(0.5, 0.2, 2.0))
    assert (wider[0].gap_s, wider[-2].gap_s, wider[-1].gap_s) == (0.5, 0.2, 2.0)


def test_a_pause_is_the_silence_where_it_stands() -> None:
    found = cut("[pause:3]One moment. [pause:1.5]Two moments. [pause:0.1] Three.\n\n[pause:0.2]Four. [PAUSE]")
    assert [(each.text, each.gap_s, each.lead_s) for each in found] == [
        ("One moment.", 1.5, 3.0), ("Two moments.", 0.25, 0.0), ("Three.", 0.6, 0.0), ("Four.", 1.0, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(("end", "seconds"), [
    ("", 0.0), (" [pause:2]", 2.0), ("\n\n[pause:2]\n", 2.0), (" [pause:0.1]", 0.1),
    (" [pause:1] * * * [pause:3]", 3.0), (" [speed:0.9][pause:2][speed]", 2.0), (r" \[pause:2]", 0.0),
])  # fmt: skip
def test_a_pause_at_the_end_is_silence_behind_the_last_segment(end: str, seconds: float) -> None:
    found = cut("[pause:5]One moment. [pause:1]Two moments." + end)
    assert [each.tail_s for each in found] == [0.0] * (len(found) - 1) + [seconds]


def test_speed_and_language_hold_until_they_end() -> None:
    found = cut("Plain. [speed:0.8]Slow. [language:de]Langsam.[speed] Schnell.[language] Plain.")
    assert [(each.text, each.speed, each.language) for each in found] == [
        ("Plain.", 1.0, None), ("Slow.", 0.8, None), ("Langsam.", 0.8, "de"), ("Schnell.", 1.0, "de"),
        ("Plain.", 1.0, None),
    ]  # fmt: skip


def test_each_language_has_its_own_limit() -> None:
    found = cut("[language:ja]" + "今日は晴れです。" * 40 + "[language]" + "The rain was over now. " * 40)
    assert max(len(each.text) for each in found if each.language == "ja") <= MAX_CHARACTERS["ja"]
    assert max(len(each.text) for each in found if not each.language) > MAX_CHARACTERS["ja"]


def test_a_blank_line_at_a_tag_is_a_paragraph_s_end() -> None:
    for text in ("One here.\n\n[speed:0.9]Two here.", "One here.[speed:0.9]\n\nTwo here."):
        assert cut(text)[0].gap_s == Gaps().paragraph_s


def test_the_source_is_as_the_author_wrote_it() -> None:
    lexicon = Lexicon.parse("Siobhan = shiv awn")
    found = cut("“Siobhan” — she\u00a0said…\nsee [speed:0.9]«Oui», \\[pause:1]", lexicon=lexicon)
    assert [each.text for each in found] == ['"shiv awn", she said... see', '"Oui", (pause:1)']
    assert [each.source for each in found] == ["“Siobhan” — she said… see", "«Oui», [pause:1]"]


def test_what_a_word_becomes_counts(measure: Callable[[str, str], Measured]) -> None:
    lexicon = Lexicon.parse("ab = a very long pronunciation of it")
    found = segments("The ab and the ab. " * 8, "en", measure, lexicon=lexicon)
    assert all(measure(each.text, "en").characters <= MAX_CHARACTERS["en"] for each in found)
    assert "".join(each.source for each in found).count("ab") == 16


# --- what cannot be spoken ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "\n\n", "... --- !!!", "\u200b\u202e", "\x00\x01", "\ud800", "***\n\n---", "[pause:1]",
        "[speed:0.9]...[speed]",
    ],
)  # fmt: skip
def test_nothing_to_speak_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="nothing that can be spoken"):
        cut(text)


def test_control_and_bidi_characters_are_taken_out() -> None:
    assert clean("a\x00b\u202ec\ud800d\r\ne") == "abcd\ne"


def test_a_word_that_no_segment_can_hold_is_refused_without_quoting_it() -> None:
    with pytest.raises(TextError, match="300 characters") as refused:
        cut("start " + "x" * 300 + " end")
    assert "xxx" not in str(refused.value)


def test_a_long_word_with_hyphens_is_parted_at_them() -> None:
    word = "-".join(["syllable"] * 60)
    pieces = texts(f"start {word} end")
    assert all(len(piece) <= MAX_CHARACTERS["en"] for piece in pieces)
    assert all(part in ("start", "end", "syllable") for piece in pieces for part in re.split(r"[- ]", piece) if part)


def test_a_line_without_letters_between_paragraphs_is_skipped() -> None:
    assert texts("One.\n\n* * *\n\nTwo.") == ["One.", "Two."]


@pytest.mark.parametrize(
    "text",
    [
        "He said no. " * 20_000, "a. " * 40_000, "!" * 200 + " x", "... " * 20_000 + "x", "a-" * 20_000 + "b",
        "word" + " \n" * 20_000 + "word", "[pause" * 10_000, "http://" + "." * 50_000 + " x", "“" * 50_000 + " x",
    ],
)  # fmt: skip
def test_long_runs_are_cut_in_linear_work(text: str) -> None:
    """Quadratic cutting took minutes on these; a test that hangs is seen."""
    assert spoken("".join(texts(text, "fr"))) == spoken(text).replace("http", "")


SHORT = (
    "The village lay at the end of a long valley. In winter the road was closed for weeks, and nobody came. "
    "Oh. People told each other stories by the fire, and the oldest was about a clock that ran backwards."
)


def test_a_short_text_fills_the_batch_with_sentences() -> None:
    alone, together = (texts(SHORT, batch_size=size) for size in (1, 8))
    assert len(alone) == 1
    assert [text[:4] for text in together] == ["The ", "In w", "Peop"]  # "Oh." is a fragment, and joins a neighbour
    assert without_space("".join(together)) == without_space(SHORT)


def test_a_text_that_fills_the_batch_anyway_is_cut_the_same() -> None:
    assert cut(ENGLISH * 30, batch_size=8) == cut(ENGLISH * 30)


def test_each_part_is_measured_a_few_times_at_most() -> None:
    asked: list[int] = []

    def counting(piece: str, language: str) -> Measured:
        asked.append(len(piece))
        return as_it_stands(piece, language)

    for text in (ENGLISH * 50, "and the train, late again, left at seven " * 200, "a. " * 5_000):
        asked.clear()
        segments(text, "en", counting)
        assert sum(asked) <= 5 * len(text)
