"""voicekit.takes: known faults are found in takes that were made to have them, and none in takes that read the text."""

from __future__ import annotations

import numpy as np
import pytest

from tests import spoken_faults as spoken
from tests.spoken_faults import RATE_HZ, TEXT
from tests.voices import talking
from voicekit.audio import Audio
from voicekit.loops import loop_in_codes, loop_in_sound
from voicekit.speaking_rate import spoken_seconds
from voicekit.takes import Fault, Take, babble_start, best, faults, mark_places
from voicekit.text import LANGUAGES

# The Universal Declaration of Human Rights, article 1: one meaning in the 17 languages (United Nations).
ONE_TEXT = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
          "and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt "
          "und sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
          "conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
          "conciencia, deben comportarse fraternalmente los unos con los otros.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di "
          "coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de "
          "consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem "
          "i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve "
          "birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и "
          "должны поступать в отношении друг друга в духе братства.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en "
          "geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají "
          "spolu jednat v duchu bratrství.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح "
          "الإخاء.",
    "zh-cn": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és "
          "lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek.",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 "
          "부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを"
          "授けられており、互いに同胞の精神をもって行動しなければならない。",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन "
          "प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।",
}  # fmt: skip


def codes_of(take: Take, text: str = TEXT, language: str = "en", speed: float = 1.0) -> set[str]:
    return {fault.code for fault in faults(take, text, language, speed)}


# --- good takes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_a_take_that_reads_the_text_has_no_fault(seed: int) -> None:
    assert faults(spoken.good(seed=seed), TEXT, "en", 1.0) == ()


@pytest.mark.parametrize("pace", [0.65, 1.0, 1.5])
def test_slow_and_fast_readers_are_no_fault(pace: float) -> None:
    assert codes_of(spoken.good(pace=pace)) == set()


@pytest.mark.parametrize("text", ["Hello.", "No.", "How are you?", "Yes, I know."])
def test_short_texts_are_no_fault(text: str) -> None:
    assert codes_of(spoken.good(text), text) == set()


# --- what was injected is found ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("phrase_s", "times"), [(0.3, 8), (1.0, 2), (1.0, 5), (2.3, 2)])
def test_a_take_that_loops(seed: int, phrase_s: float, times: int) -> None:
    assert "loop" in codes_of(spoken.looping(seed=seed, phrase_s=phrase_s, times=times))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("seconds", [0.5, 1.5, 4.0])
def test_a_take_that_babbles_after_a_pause(seed: int, seconds: float) -> None:
    take = spoken.babbling(seed=seed, seconds=seconds)
    assert "babble" in codes_of(take)
    start_s = babble_start(take, TEXT, "en", 1.0)
    text_s = spoken.good(seed=seed).audio.duration_s
    assert start_s is not None and text_s + 0.4 <= start_s <= text_s + 0.6


def test_a_take_that_murmurs_on() -> None:
    take = spoken.murmuring()
    start_s = babble_start(take, TEXT, "en", 1.0)
    assert start_s is not None and start_s == pytest.approx(spoken.good().audio.duration_s, abs=0.3)


@pytest.mark.parametrize("text", ["Hello.", "How are you?", "Come in now."])
def test_a_short_text_with_babble_straight_after_it_is_too_long(text: str) -> None:
    assert "too_long" in codes_of(spoken.babbling(text, seconds=1.6, after_s=0.0), text)


def test_a_take_that_never_stops() -> None:
    assert {"ceiling", "too_long"} <= codes_of(spoken.never_stopping())
    assert "ceiling" not in codes_of(spoken.good())


@pytest.mark.parametrize("at", [0.5, 1.0])
def test_a_take_that_falls_silent(at: float) -> None:
    assert codes_of(spoken.falling_silent(at=at, seconds=2.0)) == {"silence"}


def test_a_text_that_hesitates_explains_a_silence_but_not_any() -> None:
    text = TEXT.replace("dawn, and", "dawn... and")
    assert codes_of(spoken.falling_silent(seconds=2.0, at=0.45), text) == set()
    assert "silence" in codes_of(spoken.falling_silent(seconds=5.0, at=0.45), text)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(48_000), np.full(48_000, 1e-5)])
def test_a_take_without_sound(samples: np.ndarray) -> None:
    assert codes_of(spoken.take(samples.astype(np.float32))) == {"silence"}


def test_a_take_that_stops_early_is_too_short() -> None:
    said = spoken.good().audio.samples
    assert "too_short" in codes_of(spoken.take(said[: said.size // 3]))


def test_speed_moves_every_bound() -> None:
    slow = spoken.good(pace=0.4)
    assert codes_of(slow) == {"too_long"}
    assert codes_of(slow, speed=0.5) == set()
    assert "too_short" in codes_of(spoken.good(), speed=0.35)
    assert codes_of(spoken.falling_silent(seconds=2.0), speed=0.6) == set()


@pytest.mark.parametrize("take", [spoken.noise(), spoken.noise(0.05), spoken.take(talking(5.0, RATE_HZ).samples)])
def test_sound_that_is_no_speech_is_judged_like_any_other(take: Take) -> None:
    assert all(fault.weight > 0 and fault.reason for fault in faults(take, TEXT, "en", 1.0))


def test_a_reason_holds_no_word_of_the_text() -> None:
    takes = [spoken.never_stopping(), spoken.looping(), spoken.babbling(), spoken.falling_silent()]
    reasons = " ".join(fault.reason for take in takes for fault in faults(take, TEXT, "en", 1.0)).split()
    own = {"ship", "had", "left", "harbour", "dawn", "nobody", "quay", "could", "say", "where", "was", "bound"}
    assert reasons and not own & set(reasons)


# --- what is no loop -----------------------------------------------------------------------------


def test_held_sounds_silence_and_noise_are_no_loops() -> None:
    time = np.arange(4 * RATE_HZ) / RATE_HZ
    vowel = sum(np.sin(2 * np.pi * 120 * harmonic * time) / harmonic for harmonic in range(1, 30)) * 0.1
    trembling = vowel * (1 + 0.2 * np.sin(2 * np.pi * 4 * time))
    for samples in (vowel, trembling, np.zeros(4 * RATE_HZ), spoken.noise(4.0).audio.samples, spoken.silence(4.0)):
        assert loop_in_sound(Audio(np.asarray(samples, dtype=np.float32), RATE_HZ)) is None


def test_a_text_that_says_it_again_explains_a_loop() -> None:
    said = spoken.good("thou also walk home", seed=3).audio.samples
    take = spoken.take(np.concatenate([said, said]))
    assert "loop" in codes_of(take, "Thou also walk along the river home.")
    assert "loop" not in codes_of(take, "Thou also walk home, thou also walk home.")


def test_a_loop_of_codes_is_found_where_it_is() -> None:
    codes = np.random.default_rng(1).integers(0, 1_024, 200)
    assert loop_in_codes(codes) is None
    codes[60:100] = np.tile(codes[60:68], 5)
    found = loop_in_codes(codes)
    assert found is not None
    first, last, period = found
    assert period == 8 and 56 <= first <= 60 and 100 <= last <= 107
    codes[75] = 5  # one that is not exact
    assert loop_in_codes(codes) is not None


@pytest.mark.parametrize(("times", "loops"), [(20, False), (40, True)])
def test_one_code_again_and_again(times: int, loops: bool) -> None:
    codes = np.random.default_rng(2).integers(0, 1_024, 200)
    codes[50 : 50 + times] = 77
    assert (loop_in_codes(codes) is not None) == loops


def test_random_codes_are_no_loop() -> None:
    rng = np.random.default_rng(3)
    assert not any(loop_in_codes(rng.integers(0, 50, 602)) for _ in range(100))


def test_the_codes_of_a_pause_may_repeat() -> None:
    take = spoken.falling_silent(seconds=1.4, at=0.5)
    middle = take.codes.size // 2
    take.codes[middle - 14 : middle + 14] = 4
    assert codes_of(take) == set()
    spoken_on = spoken.good()
    spoken_on.codes[30:65] = 4
    assert codes_of(spoken_on) == {"loop"}


# --- the best take -------------------------------------------------------------------------------


def test_the_first_take_without_faults_is_the_best() -> None:
    take = spoken.noise(0.1)
    bad, worse = (Fault("babble", "", 0.5),), (Fault("loop", "", 2.0), Fault("ceiling", "", 10.0))
    assert best([(take, worse), (take, ()), (take, ())]) == 1
    assert best([(take, worse), (take, bad), (take, bad)]) == 1
    assert best([(take, bad)]) == 0


def test_a_worse_take_weighs_more() -> None:
    def weight(take: Take) -> float:
        return sum(fault.weight for fault in faults(take, TEXT, "en", 1.0))

    assert 0 == weight(spoken.good()) < weight(spoken.babbling(seconds=0.6)) < weight(spoken.babbling(seconds=3.0))
    assert weight(spoken.babbling(seconds=3.0)) < weight(spoken.never_stopping())
    assert weight(spoken.never_stopping()) < weight(spoken.take(np.zeros(48_000, dtype=np.float32))) * 2
    assert weight(spoken.falling_silent(seconds=2.0)) < weight(spoken.falling_silent(seconds=6.0))


@pytest.mark.parametrize(("text", "marks"), [
    ("He came home.", 0), ("Well, he came.", 1), ("A well-known 3.5 % rise.", 0), ("He came - late - home.", 2),
    ("He came—late.", 1), ("人人生而自由，在尊严上平等。", 1), ("हाँ। वह आया।", 1), ("", 0), ("...", 0),
])  # fmt: skip
def test_marks_inside_a_text(text: str, marks: int) -> None:
    places = mark_places(text, "en")
    assert len(places) == marks and all(0 < place < 1 for place in places)


def test_a_pause_at_a_mark_is_no_babble_and_elsewhere_it_is() -> None:
    """The same sound, seven seconds and three: explained by a mark there, suspicious without."""
    first, second = "x" * 95, "y" * 30
    take = spoken.good(f"{first}, {second}.", seed=2)
    assert "babble" not in codes_of(take, f"{first}, {second}.")
    assert "babble" in codes_of(take, f"{first} {second}.")


# --- seconds of a text ---------------------------------------------------------------------------


def test_one_meaning_takes_as_long_in_every_language() -> None:
    """Coupé et al. 2019: 17 languages, one information rate; English is read at 14 to 16 characters a second."""
    assert set(ONE_TEXT) == set(LANGUAGES)
    english = len(ONE_TEXT["en"]) / 15
    for language, text in ONE_TEXT.items():
        seconds = spoken_seconds(text, language)
        assert english / 1.4 < seconds.typical < english * 1.4, language
        assert seconds.least < english < seconds.most, language


@pytest.mark.parametrize(("text", "language", "syllables", "a_second"), [
    ("東京大阪", "ja", 8, 7.84), ("とうきょうおおさか", "ja", 8, 7.84), ("自由平等", "zh-cn", 4, 5.18),
    ("自由平等", "en", 4, 5.18), ("자유평등", "ko", 4, 7.0),
])  # fmt: skip
def test_scripts_of_syllables(text: str, language: str, syllables: int, a_second: float) -> None:
    """Syllables a second of read speech: Pellegrino et al. 2011, table 2; Korean: Coupé et al. 2019."""
    assert spoken_seconds(text, language).typical == pytest.approx(syllables / a_second, rel=0.3)


@pytest.mark.parametrize(("written", "words"), [
    ("1999", "nineteen ninety-nine"),
    ("$1,000,000", "one million dollars"),
    ("25 %", "twenty-five per cent"),
    ("0176 5523", "zero one seven six five five two three"),
    ("the USA", "the U S A"),
])  # fmt: skip
def test_numbers_and_symbols_are_read_out(written: str, words: str) -> None:
    """By the words that they are read as, at 15 letters a second."""
    seconds = spoken_seconds(written, "en")
    assert seconds.least < len(words) / 15 < seconds.most


def test_bounds_are_wide_and_follow_the_speed() -> None:
    one, two = spoken_seconds(TEXT, "en"), spoken_seconds(TEXT, "en", 2.0)
    assert one.least < one.typical / 1.8 and one.most > one.typical * 1.8
    assert (two.least, two.typical, two.most) == pytest.approx((one.least / 2, one.typical / 2, one.most / 2))


def test_the_ceiling_of_the_takes_is_the_models() -> None:
    assert spoken.never_stopping().audio.duration_s == pytest.approx(27.96, abs=0.01)  # 602 codes of 46.4 ms
